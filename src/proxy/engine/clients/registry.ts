import { unblock } from '../blocking/waits.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { describe } from './describe.js';
import { type ClientFilter, matches } from './filter.js';

/** The kinds of questions between workers. */
export const Ask = {
  list: 'clients.list',
  kill: 'clients.kill',
  unblock: 'clients.unblock',
  pause: 'clients.pause',
} as const;

export interface FilterQuestion {
  readonly filter: ClientFilter;
  /** The id of the client that asks. */
  readonly me: number;
}

export interface Listed {
  readonly id: number;
  readonly line: string;
}

export interface Killed {
  readonly count: number;
  /** The one that asked is among them: it still gets its reply. */
  readonly me: boolean;
}

export interface UnblockQuestion {
  readonly id: number;
  readonly how: 'timeout' | 'error';
}

export interface PauseQuestion {
  /** 0: goes on. */
  readonly milliseconds: number;
  readonly writesOnly: boolean;
}

/** Answers what other workers ask about this one's clients. */
export class Registry {
  constructor(private readonly core: Core) {
    const { relay } = core;
    relay.on(Ask.list, (question) => this.list(question as FilterQuestion));
    relay.on(Ask.kill, (question) => this.kill(question as FilterQuestion));
    relay.on(Ask.unblock, (question) => this.unblock(question as UnblockQuestion));
    relay.on(Ask.pause, (question) => {
      const { milliseconds, writesOnly } = question as PauseQuestion;
      if (milliseconds === 0) core.pause.end();
      else core.pause.begin(milliseconds, writesOnly);
    });
  }

  private meant({ filter, me }: FilterQuestion): Client[] {
    return [...this.core.clients].filter((client) => matches(filter, client, me));
  }

  private list(question: FilterQuestion): Listed[] {
    return this.meant(question).map((client) => ({ id: client.id, line: describe(client) }));
  }

  private kill(question: FilterQuestion): Killed {
    const meant = this.meant(question);
    let me = false;
    for (const client of meant) {
      if (client.id === question.me) me = true;
      else {
        client.transport.terminate();
        this.core.left(client);
      }
    }
    return { count: meant.length, me };
  }

  /** 1 when the client was blocked, and is not any more. */
  private unblock({ id, how }: UnblockQuestion): number {
    for (const client of this.core.clients) if (client.id === id) return unblock(client, how) ? 1 : 0;
    return 0;
  }
}

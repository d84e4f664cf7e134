import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import type { Client } from './client.js';
import type { Guard } from './guard.js';

/** What limits a client in one respect; null: nothing does. */
export type GuardOf = (client: Client) => Guard | null;

/**
 * What looks at clients' commands: each part that limits clients is asked for its guard when a client comes, and
 * whenever its user or the limits change. A client that nothing limits has no guard, and one that one thing limits has
 * just that guard.
 */
export class Guards {
  private readonly parts: GuardOf[] = [];

  /** Parts are asked in the order in which they were added, and so are their guards. */
  add(part: GuardOf): void {
    this.parts.push(part);
  }

  /** Gives a client the guards that it has to have now. */
  renew(client: Client): void {
    let guard: Guard | null = null;
    for (const part of this.parts) {
      const next = part(client);
      if (next !== null) guard = guard === null ? next : new Both(guard, next);
    }
    client.guard = guard;
  }
}

/** Two guards: the first one's refusal counts. */
class Both implements Guard {
  constructor(
    private readonly first: Guard,
    private readonly second: Guard,
  ) {}

  refusal(client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): Bytes | null {
    return this.first.refusal(client, entry, bytes, frame) ?? this.second.refusal(client, entry, bytes, frame);
  }

  waits(client: Client): void {
    this.first.waits?.(client);
    this.second.waits?.(client);
  }
}

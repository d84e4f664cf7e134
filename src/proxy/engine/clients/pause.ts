import type { CommandEntry } from '../commands/catalog.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { Hold } from '../core/hold.js';
import { Attention } from './attention.js';

/** CLIENT PAUSE: commands are not read until it ends; what is on its way is finished. */
export class Pause {
  private untilMs = 0;
  private writesOnly = false;

  constructor(private readonly core: Core) {}

  get active(): boolean {
    return this.untilMs !== 0;
  }

  /** Pauses clients; of two pauses the later end and the stricter kind hold, as in Redis. */
  begin(milliseconds: number, writesOnly: boolean): void {
    this.writesOnly = writesOnly && (this.writesOnly || !this.active);
    this.untilMs = Math.max(this.untilMs, this.core.nowMs + milliseconds);
    this.core.attention |= Attention.pause;
  }

  end(): void {
    this.untilMs = 0;
    this.core.attention &= ~Attention.pause;
    // None are listed here: a pause may last for years, and clients come and go.
    for (const client of this.core.clients) {
      if ((client.hold & Hold.pause) === 0) continue;
      // A client without a command on its way has nobody else who would lift the other one.
      client.liftHold(client.head === null ? Hold.pause | Hold.order : Hold.pause);
    }
  }

  tick(): void {
    if (this.active && this.core.nowMs >= this.untilMs) this.end();
  }

  /** True when this command waits: the client is held then. */
  holds(client: Client, entry: CommandEntry): boolean {
    if (!this.active || client.details.monitor) return false;
    if (this.writesOnly && !mayWrite(entry)) return false;
    // A pause of everything could not be ended otherwise.
    if (entry.name.startsWith('client|')) return false;
    client.setHold(Hold.pause);
    return true;
  }
}

/** Redis's rule; a transaction waits as a whole, whatever is in it. */
function mayWrite(entry: CommandEntry): boolean {
  return (entry.spec.flags & (CommandFlag.write | CommandFlag.may_replicate)) !== 0 || entry.name === 'exec';
}

import { Attention } from '../clients/attention.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import { replyError } from '../core/refuse.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import { type Ledger, Overload } from './ledger.js';

/** How often a worker looks what the main thread says of the load, and measures how late it is itself. */
const LOOK_MS = 50;
/** A reading command up to this size may come whatever the load. */
const SMALL_BYTES = 4096;
const READS_ONE = CommandFlag.readonly | CommandFlag.fast;
const ERROR = 'ERR proxy is overloaded, try again';

/** Refuses new commands when there is too much already; what is on its way is finished. */
export class Shedding implements Scheduled {
  dueMs = Number.POSITIVE_INFINITY;
  private expectedMs = 0;

  constructor(
    private readonly core: Core,
    private readonly ledger: Ledger,
  ) {
    this.configure();
  }

  configure(): void {
    const { core } = this;
    if (core.settings.admission?.overload) {
      if (this.dueMs === Number.POSITIVE_INFINITY) this.again();
      return;
    }
    core.deadlines.remove(this);
    core.attention &= ~Attention.overload;
  }

  due(): void {
    const { core, ledger } = this;
    ledger.late(core.settings.worker, Math.max(0, core.nowMs - this.expectedMs));
    if (ledger.overload >= Overload.refuseCommands) core.attention |= Attention.overload;
    else core.attention &= ~Attention.overload;
    this.again();
  }

  private again(): void {
    this.expectedMs = this.core.nowMs + LOOK_MS;
    this.core.deadlines.add(this, this.expectedMs);
  }

  get active(): boolean {
    return (this.core.attention & Attention.overload) !== 0;
  }

  /** Refuses a command that would take memory. True: it is answered. */
  refuses(client: Client, entry: CommandEntry, frame: RequestFrame): boolean {
    if (passes(entry, frame)) return false;
    const { core } = client;
    core.count(Counter.downstream_rq_overload_reject);
    core.countRequest(entry);
    core.countError(entry);
    client.mode?.refused?.(client, entry);
    replyError(client, entry.name === 'exec' ? `EXECABORT Transaction discarded because of: ${ERROR}` : ERROR);
    return true;
  }
}

/** What the proxy answers itself, what ends something, and small reads. */
function passes({ name, route, spec }: CommandEntry, frame: RequestFrame): boolean {
  if (frame.end - frame.starts[0] > SMALL_BYTES) return false;
  if (route === Route.local || name === 'discard' || name === 'unwatch' || name.endsWith('unsubscribe')) return true;
  return route === Route.keyed && (spec.flags & READS_ONE) === READS_ONE;
}

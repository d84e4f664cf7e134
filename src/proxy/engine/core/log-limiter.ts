import type { Runtime } from './runtime.js';

/** What thousands of clients may cause at once is said this often; what came between is counted in the next line. */
const INTERVAL_MS = 1000;
/** Kinds of event that are told apart; there are not that many. */
const KINDS_MAX = 256;

interface Kind {
  saidMs: number;
  unsaid: number;
}

/** Logs what clients cause: each kind of event once a second at most. The kind is the message, which is the same each time. */
export class LogLimiter {
  private readonly kinds = new Map<string, Kind>();

  constructor(private readonly core: { readonly runtime: Pick<Runtime, 'log'>; readonly nowMs: number }) {}

  note(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    const { nowMs, runtime } = this.core;
    let kind = this.kinds.get(message);
    if (kind === undefined) {
      if (this.kinds.size >= KINDS_MAX) this.kinds.clear();
      kind = { saidMs: Number.NEGATIVE_INFINITY, unsaid: 0 };
      this.kinds.set(message, kind);
    }
    if (nowMs - kind.saidMs < INTERVAL_MS) {
      kind.unsaid++;
      return;
    }
    kind.saidMs = nowMs;
    runtime.log(level, message, kind.unsaid === 0 ? fields : { ...fields, 'more like this': kind.unsaid });
    kind.unsaid = 0;
  }
}

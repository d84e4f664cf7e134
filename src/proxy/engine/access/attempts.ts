/** Pairs of an address and a user whose failed logins are remembered, per worker; the oldest are forgotten first. */
const REMEMBERED_MAX = 4096;
/** A failed login is forgotten after this time. */
const REMEMBERED_MS = 60_000;
/** So many failures are held for the same time; each further one twice as long as the one before. */
const STEADY_FAILURES = 3;
/** The longest that one failed login is held, unless the setting is longer. */
const DELAY_MAX_MS = 4000;

interface Failures {
  count: number;
  lastMs: number;
  /** Nobody from there is told anything about the user before. */
  untilMs: number;
}

/** Failed logins, by address and user: so that passwords cannot be tried quickly. */
export class Attempts {
  private readonly failures = new Map<string, Failures>();

  /** Until when logins of that kind are held. */
  heldUntilMs(key: string): number {
    return this.failures.get(key)?.untilMs ?? 0;
  }

  /** A login has failed. Returns until when its answer is held. */
  failed(key: string, delayMs: number, nowMs: number): number {
    if (delayMs === 0) return nowMs;
    const before = this.failures.get(key);
    const count = before === undefined || nowMs - before.lastMs > REMEMBERED_MS ? 1 : before.count + 1;
    const grown = delayMs * 2 ** Math.min(Math.max(0, count - STEADY_FAILURES), 30);
    const untilMs = nowMs + Math.min(grown, Math.max(delayMs, DELAY_MAX_MS));
    // The newest one is the last in the map's order.
    this.failures.delete(key);
    this.failures.set(key, { count, lastMs: nowMs, untilMs });
    if (this.failures.size > REMEMBERED_MAX) {
      for (const oldest of this.failures.keys()) {
        this.failures.delete(oldest);
        break;
      }
    }
    return untilMs;
  }

  succeeded(key: string): void {
    this.failures.delete(key);
  }
}

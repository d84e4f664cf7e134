/**
 * The garbage collector does not see how large received chunks are: after this many bytes in large ones it is told to
 * run, which takes a millisecond or two. Without it, the chunks of a 500 MB value stay until the heap itself grows.
 */
export const COLLECT_AFTER_BYTES = 64 * 1024 * 1024;
/** … or when large chunks have stopped coming for this long. */
export const COLLECT_IDLE_MS = 1000;
/** What the start has left behind is given back so soon. */
export const AFTER_START_MS = 1000;
/** A worker that nothing has come to for so long gives back what is left of the last events. */
export const QUIET_MS = 5000;
/**
 * … and again at this distance while it stays quiet: the ticks leave garbage, too, and the runtime drops compiled code
 * only in a collection, when it has not run for some time. One takes a millisecond or two of a thread.
 */
export const AGAIN_MS = 20_000;

/** When a worker's garbage is worth collecting. Pure: times are given, and whoever asks collects. */
export class CollectionTimes {
  private largeBytes = 0;
  private largeMs = 0;
  private tickMs = 0;
  private eventMs = 0;
  private collectMs = Number.POSITIVE_INFINITY;

  /** The worker has started. */
  start(nowMs: number): void {
    this.tickMs = this.eventMs = nowMs;
    this.collectMs = nowMs + AFTER_START_MS;
  }

  /** A large chunk was received. True when there is enough of them to be collected after this event. */
  large(bytes: number, nowMs: number): boolean {
    this.largeBytes += bytes;
    this.largeMs = nowMs;
    return this.largeBytes >= COLLECT_AFTER_BYTES;
  }

  /** Whether large chunks have come that nobody has collected; if so, they are taken for collected from here on. */
  takeLarge(): boolean {
    const some = this.largeBytes > 0;
    this.largeBytes = 0;
    return some;
  }

  /** Before every tick. @param nowMs the time of the last event or tick, whichever was later */
  noteEvents(nowMs: number): void {
    if (nowMs === this.tickMs) return;
    this.eventMs = nowMs;
    this.collectMs = nowMs + QUIET_MS;
  }

  /** With every tick: whether the garbage should be collected now. */
  tick(nowMs: number): boolean {
    this.tickMs = nowMs;
    const stopped = this.largeBytes > 0 && nowMs - this.largeMs >= COLLECT_IDLE_MS && this.takeLarge();
    if (nowMs < this.collectMs) return stopped;
    this.collectMs = nowMs + (nowMs - this.eventMs < QUIET_MS ? QUIET_MS : AGAIN_MS);
    return true;
  }
}

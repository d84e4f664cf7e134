import type { Allocate, Bytes } from '../bytes.js';

const PUSH = 62;
/** Messages up to a quarter of it are kept in one. */
const LOG_BYTES = 32 * 1024;

/**
 * The newest messages of a topic with many subscribers, one behind the other. A message that comes while an earlier one
 * is not written yet extends what is to be written, for each subscriber, without a copy for each.
 */
export class MessageLog {
  static readonly messageBytesMax = LOG_BYTES / 4;
  bytes: Bytes;
  /** The same as RESP3's pushes, at the same places; only what a RESP3 client was to get. */
  pushes: Bytes | null = null;
  used = 0;

  constructor(private readonly allocate: Allocate) {
    this.bytes = allocate(LOG_BYTES);
  }

  /** Takes messages; returns where they stand. What was taken before is not moved, and not overwritten. */
  take(source: Bytes, start: number, end: number): number {
    if (this.used + end - start > LOG_BYTES) {
      this.bytes = this.allocate(LOG_BYTES);
      this.pushes = null;
      this.used = 0;
    }
    const at = this.used;
    source.copy(this.bytes, at, start, end);
    this.used += end - start;
    return at;
  }

  /** The messages at `at` as pushes; `starts` are their places, counted from `from`. */
  asPushes(at: number, starts: readonly number[], from: number): Bytes {
    this.pushes ??= this.allocate(LOG_BYTES);
    this.bytes.copy(this.pushes, at, at, this.used);
    for (let i = 0; i < starts.length; i++) this.pushes[at + starts[i] - from] = PUSH;
    return this.pushes;
  }
}

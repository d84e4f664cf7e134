import type { Bytes } from '../bytes.js';

/** A message is at all nodes by then, though it may wait on the links between them, and the machine may be busy. */
export const PASSED_ON_MS = 400;
/** Memory of received buffers that is held for it, and how many of them. */
const RECENT_BYTES_MAX = 1024 * 1024;
const RECENT_RANGES_MAX = 256;

/** Whole messages, one behind the other. */
export interface Range {
  readonly bytes: Bytes;
  readonly start: number;
  end: number;
  readonly atMs: number;
}

/** What a node has said last, as it was received: nothing is copied. */
export class Recent {
  private ranges: Range[] = [];
  private heldBytes = 0;

  note(bytes: Bytes, start: number, end: number, nowMs: number): void {
    const { ranges } = this;
    const last = ranges[ranges.length - 1];
    if (last !== undefined && last.bytes === bytes) {
      if (last.end === start) {
        last.end = end;
        return;
      }
    } else this.heldBytes += bytes.length;
    ranges.push({ bytes, start, end, atMs: nowMs });
    while (ranges.length > 0 && (this.heldBytes > RECENT_BYTES_MAX || ranges.length > RECENT_RANGES_MAX)) this.shift();
  }

  /** Forgets what was said before then. */
  expire(beforeMs: number): void {
    while (this.ranges.length > 0 && this.ranges[0].atMs < beforeMs) this.shift();
  }

  /** All of it, which is forgotten here. */
  take(): readonly Range[] {
    const { ranges } = this;
    this.ranges = [];
    this.heldBytes = 0;
    return ranges;
  }

  private shift(): void {
    const [{ bytes }] = this.ranges.splice(0, 1);
    if (this.ranges.length === 0 || this.ranges[0].bytes !== bytes) this.heldBytes -= bytes.length;
  }
}

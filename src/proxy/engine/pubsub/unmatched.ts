import type { Bytes } from '../bytes.js';
import type { Runtime } from '../core/runtime.js';

/** Of one topic: what one node has said and another has not yet. */
const KEPT_MESSAGES_MAX = 4096;
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
/** A message of the one node is looked for among so many of the other. */
const LOOK_MAX = 256;

interface Said {
  readonly message: Bytes;
  readonly atMs: number;
}

/** Messages that one of two nodes has said, and the other has not. */
export class Unmatched {
  readonly said: Said[] = [];
  private bytes = 0;

  get empty(): boolean {
    return this.said.length === 0;
  }

  get full(): boolean {
    return this.said.length > KEPT_MESSAGES_MAX || this.bytes > KEPT_BYTES_MAX;
  }

  add(message: Bytes, atMs: number): void {
    this.said.push({ message, atMs });
    this.bytes += message.length;
  }

  /** The oldest, if it was said before then: taken out. */
  shift(beforeMs: number): Bytes | null {
    const [oldest] = this.said;
    if (oldest === undefined || oldest.atMs >= beforeMs) return null;
    this.said.shift();
    this.bytes -= oldest.message.length;
    return oldest.message;
  }

  /** Takes out the first message that is the same, and was said then or later; false when there is none. */
  strike(bytes: Bytes, start: number, end: number, sinceMs: number): boolean {
    const { said } = this;
    const size = end - start;
    const count = Math.min(said.length, LOOK_MAX);
    for (let i = 0; i < count; i++) {
      const { message, atMs } = said[i];
      if (message.length !== size || atMs < sinceMs) continue;
      let at = 0;
      while (at < size && message[at] === bytes[start + at]) at++;
      if (at < size) continue;
      said.splice(i, 1);
      this.bytes -= size;
      return true;
    }
    return false;
  }
}

/** The bytes `[start, end)` in memory of their own. */
export function copyOf(runtime: Pick<Runtime, 'allocate'>, bytes: Bytes, start: number, end: number): Bytes {
  const copy = runtime.allocate(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

import type { Allocate, Bytes } from '../bytes.js';
import { DEFAULT_LIMITS, PREAUTH_LIMITS, RequestFrame, type RequestLimits } from '../resp/request-framer.js';

/** An unfinished command above this size is collected in a buffer of its own. */
export const LARGE_REQUEST_BYTES = 64 * 1024;

/** What a client may send: little, before it has logged in. */
export function requestLimits(authenticated: boolean): RequestLimits {
  return authenticated ? DEFAULT_LIMITS : PREAUTH_LIMITS;
}

/**
 * Collects one command that is too large to be cut from received chunks. The buffer has the command's size as soon as
 * that is known — memory that is reserved and not yet written costs nothing — so its bytes are copied once and held
 * once.
 */
export class LargeRequest {
  readonly frame = new RequestFrame();
  buffer: Bytes;
  length = 0;

  constructor(
    private readonly allocate: Allocate,
    bytesAtLeast: number,
  ) {
    this.buffer = allocate(Math.max(bytesAtLeast, 2 * LARGE_REQUEST_BYTES));
  }

  /**
   * Takes what fits of `bytes[at, end)`, with room for at least `bytesAtLeast` in all. Returns the number of bytes
   * taken; they may reach into the next command, which the caller sees when this one is complete.
   */
  take(bytes: Bytes, at: number, end: number, bytesAtLeast: number): number {
    if (bytesAtLeast > this.buffer.length) {
      const grown = this.allocate(Math.max(bytesAtLeast, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, this.length);
      this.buffer = grown;
    }
    const wanted = Math.min(end - at, this.buffer.length - this.length);
    bytes.copy(this.buffer, this.length, at, at + wanted);
    this.length += wanted;
    return wanted;
  }
}

/** `first` followed by `bytes[at, end)`, in a buffer of its own. */
export function join(allocate: Allocate, first: Bytes, bytes: Bytes, at: number, end: number): Bytes {
  const joined = allocate(first.length + end - at);
  first.copy(joined, 0, 0, first.length);
  bytes.copy(joined, first.length, at, end);
  return joined;
}

/** A copy of `bytes[at, end)`, so that a large received chunk is not kept for a few bytes of it. */
export function detach(allocate: Allocate, bytes: Bytes, at: number, end: number): Bytes {
  const copy = allocate(end - at);
  bytes.copy(copy, 0, at, end);
  return copy;
}

import { LF } from '../bytes.js';

/** `ReplyFramer.feed`: the chunk ended inside the reply; feed the next one from its start. */
export const REPLY_INCOMPLETE = -1;
/** `ReplyFramer.feed`: these bytes are not RESP; the connection is beyond repair. */
export const REPLY_MALFORMED = -2;

const PHASE_TYPE = 0;
const PHASE_LINE = 1;
const PHASE_LENGTH = 2;
const PHASE_SKIP = 3;

/** The largest bulk string that Redis can be configured to send (`proto-max-bulk-len` is a signed 64-bit; 4 GiB is its practical ceiling). */
const BULK_BYTES_MAX = 4 * 1024 ** 3;
/** The largest aggregate that is believed; above it the stream is taken for garbage. */
const AGGREGATE_LENGTH_MAX = 2 ** 31;

/** Bulk strings above this take the general way; the bound keeps the arithmetic in small integers. */
const FLAT_BULK_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The offset after the reply at `at` when it is of a common flat kind and wholly in `bytes[at, end)`; else
 * `REPLY_INCOMPLETE`, which here means only that `ReplyFramer` has to look. Most replies take this way.
 */
export function flatReplyEnd(bytes: Uint8Array, at: number, end: number): number {
  const type = bytes[at];
  if (type === 36) {
    let length = 0;
    for (let i = at + 1; i < end; i++) {
      const byte = bytes[i];
      if (byte >= 48 && byte <= 57) {
        length = length * 10 + (byte - 48);
        if (length > FLAT_BULK_BYTES_MAX) return REPLY_INCOMPLETE;
      } else {
        if (i === at + 1) return nullEnd(bytes, at, end);
        // Where the line does not end so, the other way refuses it: both find the same ends, however bytes come.
        if (byte !== 13 || bytes[i + 1] !== LF) return REPLY_INCOMPLETE;
        const after = i + 2 + length + 2;
        return after <= end && bytes[after - 1] === LF ? after : REPLY_INCOMPLETE;
      }
    }
    return REPLY_INCOMPLETE;
  }
  if (type === 43 || type === 58) {
    for (let i = at + 1; i < end; i++) if (bytes[i] === LF) return i + 1;
  }
  return REPLY_INCOMPLETE;
}

/** The same for RESP2's null, `$-1\r\n`. */
function nullEnd(bytes: Uint8Array, at: number, end: number): number {
  const whole = at + 5 <= end && bytes[at + 1] === 45 && bytes[at + 2] === 49 && bytes[at + 4] === LF;
  return whole && bytes[at + 3] === 13 ? at + 5 : REPLY_INCOMPLETE;
}

/** As `flatReplyEnd`, and also for an array of one such reply, which is what MGET says of one key. */
export function shortReplyEnd(bytes: Uint8Array, at: number, end: number): number {
  // `*1\r\n`
  return bytes[at] === 42 && bytes[at + 1] === 49 && bytes[at + 2] === 13 && bytes[at + 3] === LF
    ? flatReplyEnd(bytes, at + 4, end)
    : flatReplyEnd(bytes, at, end);
}

/**
 * Frames replies that follow one another and are of the kinds that `shortReplyEnd` knows, up to `ends[last - 1]`.
 * @param ends where each one ends, counted from `origin`, from `ends[first]` on
 * @returns how many it framed before one that is of another kind or goes on behind `end`
 */
export function shortReplyEnds(
  bytes: Uint8Array,
  at: number,
  end: number,
  origin: number,
  ends: Int32Array,
  first: number,
  last: number,
): number {
  let index = first;
  while (index < last && at < end) {
    const next = shortReplyEnd(bytes, at, end);
    if (next < 0) break;
    ends[index++] = next - origin;
    at = next;
  }
  return index - first;
}

/** Elements of an array that are looked at by `flatArrayEnd`; a longer one takes the general way. */
const FLAT_ARRAY_LENGTH_MAX = 65536;

/**
 * The offset after the array at `at` when all of its elements are of the kinds that `flatReplyEnd` knows and it is wholly
 * in `bytes[at, end)`; else `REPLY_INCOMPLETE`: `ReplyFramer` has to look.
 */
export function flatArrayEnd(bytes: Uint8Array, at: number, end: number): number {
  let length = 0;
  let i = at + 1;
  for (; i < end; i++) {
    const digit = bytes[i] - 48;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
    if (length > FLAT_ARRAY_LENGTH_MAX) return REPLY_INCOMPLETE;
  }
  if (i === at + 1 || i + 1 >= end || bytes[i] !== 13 || bytes[i + 1] !== LF) return REPLY_INCOMPLETE;
  let next = i + 2;
  for (; length > 0; length--) {
    next = next < end ? flatReplyEnd(bytes, next, end) : REPLY_INCOMPLETE;
    if (next < 0) return REPLY_INCOMPLETE;
  }
  return next;
}

/**
 * Finds where a reply ends, without looking at what it says, copying or recursing: nested aggregates only add to a
 * count of values still to come, so any depth costs the same. Keeps its place between chunks.
 * RESP2 and RESP3 (https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md).
 */
export class ReplyFramer {
  private phase = PHASE_TYPE;
  /** Values that must still be read for the reply to be whole. */
  private remaining = 1;
  /** PHASE_LENGTH: the type byte whose length is being read. */
  private type = 0;
  private length = 0;
  private negative = false;
  private digits = 0;
  /** PHASE_LENGTH: its CR has come. */
  private ending = false;
  /** PHASE_SKIP: bytes of a bulk string, its CRLF counted in, that are still to come. */
  private skip = 0;

  /** True between replies: nothing of a next one has been seen. */
  idle = true;

  /** Forgets a reply that will not be finished, because its connection is gone. */
  reset(): void {
    this.phase = PHASE_TYPE;
    this.remaining = 1;
    this.skip = 0;
    this.idle = true;
  }

  /**
   * Reads one reply from `bytes[at, end)`. Returns the offset after it, `REPLY_INCOMPLETE` when all bytes were taken
   * and more are needed, or `REPLY_MALFORMED`.
   */
  feed(bytes: Uint8Array, at: number, end: number): number {
    for (;;) {
      switch (this.phase) {
        case PHASE_TYPE: {
          if (at >= end) return REPLY_INCOMPLETE;
          const type = bytes[at++];
          this.idle = false;
          switch (type) {
            case 43: // + simple string
            case 45: // - error
            case 58: // : integer
            case 95: // _ null
            case 35: // # boolean
            case 44: // , double
            case 40: // ( big number
              this.phase = PHASE_LINE;
              break;
            case 36: // $ bulk string
            case 42: // * array
            case 37: // % map
            case 126: // ~ set
            case 62: // > push
            case 61: // = verbatim string
            case 33: // ! bulk error
            case 124: // | attribute
              this.phase = PHASE_LENGTH;
              this.type = type;
              this.length = 0;
              this.negative = false;
              this.digits = 0;
              this.ending = false;
              break;
            default:
              return REPLY_MALFORMED;
          }
          break;
        }
        case PHASE_LINE: {
          while (at < end && bytes[at] !== LF) at++;
          if (at >= end) return REPLY_INCOMPLETE;
          at++;
          this.phase = PHASE_TYPE;
          if (--this.remaining === 0) {
            return this.finish(at);
          }
          break;
        }
        case PHASE_LENGTH: {
          let done = false;
          while (at < end) {
            const byte = bytes[at++];
            if (this.ending && byte !== LF) return REPLY_MALFORMED;
            if (byte >= 48 && byte <= 57) {
              this.length = this.length * 10 + (byte - 48);
              if (++this.digits > 15) return REPLY_MALFORMED;
            } else if (byte === 45 && this.digits === 0 && !this.negative) {
              this.negative = true;
            } else if (byte === LF) {
              done = true;
              break;
            } else if (byte === 13) {
              this.ending = true;
            } else {
              return REPLY_MALFORMED;
            }
          }
          if (!done) return REPLY_INCOMPLETE;
          if (this.digits === 0) return REPLY_MALFORMED;
          if (!this.acceptLength()) return REPLY_MALFORMED;
          if (this.remaining === 0) {
            return this.finish(at);
          }
          break;
        }
        default: {
          const available = end - at;
          if (available < this.skip) {
            this.skip -= available;
            return REPLY_INCOMPLETE;
          }
          at += this.skip;
          this.skip = 0;
          if (bytes[at - 1] !== LF) return REPLY_MALFORMED;
          this.phase = PHASE_TYPE;
          if (--this.remaining === 0) {
            return this.finish(at);
          }
        }
      }
    }
  }

  private finish(at: number): number {
    this.remaining = 1;
    this.idle = true;
    return at;
  }

  /** Applies a length line; leaves the phase for what follows. False when the length cannot be. */
  private acceptLength(): boolean {
    this.phase = PHASE_TYPE;
    if (this.negative) {
      // RESP2's null bulk string and null array.
      if (this.length !== 1) return false;
      this.remaining--;
      return true;
    }
    const length = this.length;
    switch (this.type) {
      case 36:
      case 61:
      case 33:
        if (length > BULK_BYTES_MAX) return false;
        this.skip = length + 2;
        this.phase = PHASE_SKIP;
        return true;
      case 37:
        if (length > AGGREGATE_LENGTH_MAX) return false;
        this.remaining += 2 * length - 1;
        return true;
      case 124:
        // An attribute stands before the value that it describes, and is not a value of its own.
        if (length > AGGREGATE_LENGTH_MAX) return false;
        this.remaining += 2 * length;
        return true;
      default:
        if (length > AGGREGATE_LENGTH_MAX) return false;
        this.remaining += length - 1;
        return true;
    }
  }
}

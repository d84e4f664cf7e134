import { CR, LF } from '../bytes.js';

/** `frameRequest`: a whole command stands in the frame. */
export const FRAME_COMPLETE = 0;
/** `frameRequest`: the bytes end inside a command. */
export const FRAME_INCOMPLETE = 1;
/** `frameRequest`: these bytes are not a command; `frame.error` says why, in Redis's words. */
export const FRAME_MALFORMED = 2;
/** `frameRequest`: an empty line or an empty array, which Redis skips; go on at `frame.end`. */
export const FRAME_EMPTY = 3;

/** What one client may send. `PREAUTH` bounds are Redis's own for clients that have not logged in. */
export interface RequestLimits {
  /** Arguments in a command; Redis allows 1,048,576 in practice. */
  readonly argumentsMax: number;
  /** Bytes in one argument (`proto-max-bulk-len`, 512 MB by default). */
  readonly bulkBytesMax: number;
}

export const DEFAULT_LIMITS: RequestLimits = { argumentsMax: 1024 * 1024, bulkBytesMax: 512 * 1024 * 1024 };
export const PREAUTH_LIMITS: RequestLimits = { argumentsMax: 10, bulkBytesMax: 16384 };

/** Redis's PROTO_INLINE_MAX_SIZE: the longest inline command and the longest length line. */
export const INLINE_BYTES_MAX = 64 * 1024;

/** Longest run of digits that a length line may hold. */
const LENGTH_DIGITS_MAX = 18;

/**
 * One command's place in a buffer: filled by `frameRequest`, used again for the next one. Offsets are absolute.
 */
export class RequestFrame {
  /** Number of arguments, the command's name counted in. */
  count = 0;
  starts: Int32Array = new Int32Array(64);
  ends: Int32Array = new Int32Array(64);
  /** Offset after the command. */
  end = 0;
  /** True for an inline command (`PING\r\n` without RESP around it). */
  inline = false;
  /** FRAME_MALFORMED: Redis's words for it, without `ERR`. */
  error = '';
  /** FRAME_INCOMPLETE: bytes that the command has at least, counted from its first; a hint for collecting them. */
  bytesAtLeast = 0;
  /** FRAME_INCOMPLETE: arguments framed so far; 0 when the count is not known yet. `resumeRequest` goes on from here. */
  done = 0;
  /** FRAME_INCOMPLETE with `done` above 0: offset after the last framed argument. */
  doneEnd = 0;

  /** Makes room for `count` arguments. */
  reserve(count: number): void {
    if (this.starts.length >= count) return;
    const size = Math.max(count, this.starts.length * 2);
    const starts = new Int32Array(size);
    const ends = new Int32Array(size);
    starts.set(this.starts);
    ends.set(this.ends);
    this.starts = starts;
    this.ends = ends;
  }
}

/**
 * Frames the command that begins at `at` in `bytes[at, end)`, without copying or making strings. Inline commands are
 * split at white space with Redis's quoting left to `splitInline`; here they are only found.
 */
export function frameRequest(
  bytes: Uint8Array,
  at: number,
  end: number,
  frame: RequestFrame,
  limits: RequestLimits,
): number {
  frame.done = 0;
  if (bytes[at] !== 42) return frameInline(bytes, at, end, frame);
  frame.inline = false;
  let i = at + 1;

  // *<count>\r\n
  let count = 0;
  let digit = bytes[i] - 48;
  if (i < end && digit >= 0 && digit <= 9) {
    count = digit;
    i++;
    for (; i < end; i++) {
      digit = bytes[i] - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      // As in Redis, a length has no leading zeros; without this, zeros could come for ever.
      if (count === 0) return malformed(frame, 'Protocol error: invalid multibulk length');
      count = count * 10 + digit;
      if (count > limits.argumentsMax) return malformedCount(frame, limits);
    }
    if (i + 1 >= end) return incomplete(frame, end - at + 1);
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return malformed(frame, 'Protocol error: invalid multibulk length');
    if (count > limits.argumentsMax) return malformedCount(frame, limits);
    i += 2;
  } else {
    return frameOddCount(bytes, at, end, frame);
  }
  if (count === 0) {
    frame.end = i;
    return FRAME_EMPTY;
  }

  frame.count = count;
  return frameArguments(bytes, at, i, 0, end, frame, limits);
}

/**
 * Goes on with a command of which `frameRequest` framed the first `frame.done` arguments, so that a command of a
 * million arguments that arrives in a thousand chunks is read once and not a thousand times. The command must stand
 * at the same offsets as before.
 */
export function resumeRequest(
  bytes: Uint8Array,
  at: number,
  end: number,
  frame: RequestFrame,
  limits: RequestLimits,
): number {
  if (frame.done === 0) return frameRequest(bytes, at, end, frame, limits);
  return frameArguments(bytes, at, frame.doneEnd, frame.done, end, frame, limits);
}

function frameArguments(
  bytes: Uint8Array,
  at: number,
  i: number,
  first: number,
  end: number,
  frame: RequestFrame,
  limits: RequestLimits,
): number {
  const { count } = frame;
  const { bulkBytesMax } = limits;
  let { starts, ends } = frame;
  for (let n = first; n < count; n++) {
    if (i >= end) return incompleteAt(frame, n, i, i - at + 4);
    if (bytes[i] !== 36) {
      return malformed(frame, `Protocol error: expected '$', got '${printable(bytes[i])}'`);
    }
    let length = 0;
    let j = i + 1;
    for (; j < end; j++) {
      const digit = bytes[j] - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      if (length === 0 && j > i + 1) return malformed(frame, 'Protocol error: invalid bulk length');
      length = length * 10 + digit;
      if (length > bulkBytesMax) return malformedBulk(frame, limits);
    }
    if (j + 1 >= end) {
      if (j < end && bytes[j] !== CR) return malformed(frame, 'Protocol error: invalid bulk length');
      return incompleteAt(frame, n, i, j - at + 2);
    }
    if (bytes[j] !== CR || bytes[j + 1] !== LF || j === i + 1) {
      return malformed(frame, 'Protocol error: invalid bulk length');
    }
    const start = j + 2;
    const after = start + length + 2;
    if (after > end) return incompleteAt(frame, n, i, after - at);
    i = after;
    // Redis trusts the two bytes after an argument; a proxy that forwards to a shared connection must not.
    if (bytes[i - 2] !== CR || bytes[i - 1] !== LF) return malformed(frame, 'Protocol error: invalid bulk length');
    if (n >= starts.length) {
      frame.reserve(n + 1);
      starts = frame.starts;
      ends = frame.ends;
    }
    starts[n] = start;
    ends[n] = i - 2;
  }
  frame.end = i;
  return FRAME_COMPLETE;
}

/** A count that does not begin with a digit: not yet there, negative (an empty command to Redis), or wrong. */
function frameOddCount(bytes: Uint8Array, at: number, end: number, frame: RequestFrame): number {
  let i = at + 1;
  if (i >= end) return incomplete(frame, 4);
  if (bytes[i] !== 45) return malformed(frame, 'Protocol error: invalid multibulk length');
  for (i++; i < end && bytes[i] !== LF; i++) {
    const digit = bytes[i] - 48;
    if (bytes[i] !== CR && !(digit >= 0 && digit <= 9)) {
      return malformed(frame, 'Protocol error: invalid multibulk length');
    }
    if (i - at > LENGTH_DIGITS_MAX) return malformed(frame, 'Protocol error: invalid multibulk length');
  }
  if (i >= end) return incomplete(frame, i - at + 1);
  if (bytes[i - 1] !== CR || i - at < 4) return malformed(frame, 'Protocol error: invalid multibulk length');
  frame.end = i + 1;
  return FRAME_EMPTY;
}

function frameInline(bytes: Uint8Array, at: number, end: number, frame: RequestFrame): number {
  const scanEnd = Math.min(end, at + INLINE_BYTES_MAX);
  let newline = at;
  while (newline < scanEnd && bytes[newline] !== LF) newline++;
  if (newline === scanEnd) {
    if (scanEnd < end || end - at >= INLINE_BYTES_MAX) {
      return malformed(frame, 'Protocol error: too big inline request');
    }
    return incomplete(frame, end - at + 1);
  }
  frame.inline = true;
  frame.end = newline + 1;
  frame.count = 1;
  frame.starts[0] = at;
  frame.ends[0] = newline > at && bytes[newline - 1] === CR ? newline - 1 : newline;
  return frame.starts[0] === frame.ends[0] ? FRAME_EMPTY : FRAME_COMPLETE;
}

function incomplete(frame: RequestFrame, bytesAtLeast: number): number {
  frame.bytesAtLeast = bytesAtLeast;
  return FRAME_INCOMPLETE;
}

/** The command ends within the argument after the first `done`, which begins at `doneEnd`. */
function incompleteAt(frame: RequestFrame, done: number, doneEnd: number, bytesAtLeast: number): number {
  frame.done = done;
  frame.doneEnd = doneEnd;
  return incomplete(frame, bytesAtLeast);
}

function malformed(frame: RequestFrame, error: string): number {
  frame.error = error;
  return FRAME_MALFORMED;
}

function malformedCount(frame: RequestFrame, limits: RequestLimits): number {
  const early = limits.argumentsMax === PREAUTH_LIMITS.argumentsMax;
  return malformed(
    frame,
    early ? 'Protocol error: unauthenticated multibulk length' : 'Protocol error: invalid multibulk length',
  );
}

function malformedBulk(frame: RequestFrame, limits: RequestLimits): number {
  const early = limits.bulkBytesMax === PREAUTH_LIMITS.bulkBytesMax;
  return malformed(
    frame,
    early ? 'Protocol error: unauthenticated bulk length' : 'Protocol error: invalid bulk length',
  );
}

function printable(byte: number): string {
  return byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}

/**
 * Bytes as the engine handles them. The engine is free of any runtime, yet it wants the runtime's fastest copy: a
 * native `copy(target, targetStart, start, end)` as Node's and Bun's `Buffer` have it (14 ns whatever the length; a
 * `subarray` + `set` takes 35 ns, a loop in JavaScript 0.6 ns per byte).
 */
export interface Bytes extends Uint8Array {
  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
}

/** Gives a buffer of `size` bytes with arbitrary content. */
export type Allocate = (size: number) => Bytes;

export const CR = 13;
export const LF = 10;

/** Runs of up to this many bytes are copied by a loop; a native call costs more than the loop below it. */
const LOOP_COPY_BYTES_MAX = 16;

/** Copies `source[start, end)` to `target` at `at`; returns the offset after the copy. */
export function copyBytes(source: Bytes, start: number, end: number, target: Bytes, at: number): number {
  const length = end - start;
  if (length <= LOOP_COPY_BYTES_MAX) {
    for (let i = start; i < end; i++) target[at++] = source[i];
    return at;
  }
  source.copy(target, at, start, end);
  return at + length;
}

/** What `copyWords` needs of a buffer. Making one costs as much as ten copies: it is for those who copy many pieces. */
export function viewOf(bytes: Bytes): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Pieces of up to so many bytes are copied faster by `copyWords` (0.25 ns per byte) than by a native call. */
export const WORD_COPY_BYTES_MAX = 56;

/** `copyBytes` for small pieces of 4 bytes or more: four at a time, the last four wherever they begin. */
export function copyWords(source: DataView, start: number, end: number, target: DataView, at: number): number {
  const last = end - 4;
  for (; start < last; start += 4, at += 4) target.setInt32(at, source.getInt32(start, true), true);
  at -= start - last;
  target.setInt32(at, source.getInt32(last, true), true);
  return at + 4;
}

/** Writes an ASCII or Latin-1 string at `at`; returns the offset after it. */
export function writeAscii(text: string, target: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) target[at++] = text.charCodeAt(i);
  return at;
}

/** Reads `[start, end)` as Latin-1 text: one character a byte, whatever the bytes are. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: false });
const utf8Encoder = new TextEncoder();

/** Reads `[start, end)` as UTF-8, with replacement characters for what is not. */
export function utf8(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return utf8Decoder.decode(bytes.subarray(start, end));
}

/** Encodes text as UTF-8. */
export function utf8Encoded(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Reads bytes from their hexadecimal digits. */
export function hexBytes(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length >> 1 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** Encodes text as UTF-8 into a buffer of the allocator's kind. */
export function utf8Bytes(text: string, allocate: Allocate): Bytes {
  const encoded = utf8Encoder.encode(text);
  const bytes = allocate(encoded.length);
  bytes.set(encoded);
  return bytes;
}

/** True when `[start, end)` equals the lower-case ASCII word, ignoring case. */
export function equalsIgnoreCase(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    let byte = bytes[start + i];
    if (byte >= 65 && byte <= 90) byte |= 32;
    if (byte !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** The longest decimal that `parseDecimal` takes: below 2^53 without a check per digit. */
const DECIMAL_DIGITS_MAX = 15;

/** Parses an optional minus and decimal digits; NaN when `[start, end)` is anything else or too long. */
export function parseDecimal(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  const negative = at < end && bytes[at] === 45;
  if (negative) at++;
  if (at >= end || end - at > DECIMAL_DIGITS_MAX) return Number.NaN;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at] - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
}

/** Patterns of keys as KEYS and SCAN have them, on bytes: `*`, `?`, `[a-z]`, `[^a]`, and `\` before any of these. Pure. */
import { ForgeError } from '../../errors.js';

export const PATTERN_BYTES_MAX = 4_096;

type Part =
  | { readonly kind: 'byte'; readonly byte: number }
  | { readonly kind: 'any' }
  | { readonly kind: 'many' }
  | { readonly kind: 'set'; readonly bytes: Uint8Array };

const [STAR, QUESTION, OPEN, CLOSE, CARET, DASH, BACKSLASH] = [0x2a, 0x3f, 0x5b, 0x5d, 0x5e, 0x2d, 0x5c];
const BYTE_VALUES = 256;

/** Whether a key fits; takes time in proportion to the key's length, whatever the pattern (times its stars at worst). */
export type KeyPattern = (key: Uint8Array) => boolean;

/** @throws ForgeError `usage` for a pattern that is longer than any use */
export function keyPattern(text: string): KeyPattern {
  const pattern = Buffer.from(text);
  if (pattern.length > PATTERN_BYTES_MAX) {
    throw new ForgeError('usage', `A pattern of ${pattern.length} bytes is longer than ${PATTERN_BYTES_MAX}.`);
  }
  const parts = partsOf(pattern);
  return (key) => matches(parts, key);
}

function partsOf(pattern: Uint8Array): Part[] {
  const parts: Part[] = [];
  let at = 0;
  while (at < pattern.length) {
    const byte = pattern[at] as number;
    if (byte === STAR) {
      if (parts.at(-1)?.kind !== 'many') parts.push({ kind: 'many' });
      at++;
    } else if (byte === QUESTION) {
      parts.push({ kind: 'any' });
      at++;
    } else if (byte === OPEN) {
      const [bytes, end] = readSet(pattern, at + 1);
      parts.push({ kind: 'set', bytes });
      at = end;
    } else {
      // A backslash at the end is one.
      const escaped = byte === BACKSLASH && at + 1 < pattern.length;
      parts.push({ kind: 'byte', byte: pattern[escaped ? at + 1 : at] as number });
      at += escaped ? 2 : 1;
    }
  }
  return parts;
}

/** The bytes that are meant, and where the set ends: one that is not closed ends with the pattern, as in Redis. */
function readSet(pattern: Uint8Array, start: number): [Uint8Array, number] {
  const bytes = new Uint8Array(BYTE_VALUES);
  const negated = pattern[start] === CARET;
  let at = negated ? start + 1 : start;
  while (at < pattern.length && pattern[at] !== CLOSE) {
    if (pattern[at] === BACKSLASH && at + 1 < pattern.length) {
      bytes[pattern[at + 1] as number] = 1;
      at += 2;
    } else if (pattern[at + 1] === DASH && at + 2 < pattern.length) {
      const [one, other] = [pattern[at] as number, pattern[at + 2] as number];
      bytes.fill(1, Math.min(one, other), Math.max(one, other) + 1);
      at += 3;
    } else {
      bytes[pattern[at] as number] = 1;
      at++;
    }
  }
  if (negated) for (let byte = 0; byte < BYTE_VALUES; byte++) bytes[byte] = 1 - (bytes[byte] as number);
  return [bytes, Math.min(pattern.length, at + 1)];
}

function fits(part: Part, byte: number): boolean {
  if (part.kind === 'byte') return part.byte === byte;
  return part.kind === 'any' || (part.kind === 'set' && part.bytes[byte] === 1);
}

/** Goes back to the last star only: an earlier one can always give what a later one can. */
function matches(parts: readonly Part[], key: Uint8Array): boolean {
  let part = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < key.length) {
    const next = parts[part];
    if (next?.kind === 'many') {
      star = part++;
      starAt = at;
    } else if (next !== undefined && fits(next, key[at] as number)) {
      part++;
      at++;
    } else if (star >= 0) {
      part = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (parts[part]?.kind === 'many') part++;
  return part === parts.length;
}

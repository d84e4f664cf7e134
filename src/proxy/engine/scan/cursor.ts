import { parseDecimal } from '../bytes.js';

/**
 * SCAN's cursors over all shards. Everything that is needed to go on is in the number, so that it is good for any client,
 * worker and proxy; from its low end:
 *
 *   12 bits  which slots belong together, as a hash that is never 0; other slots, and the scan cannot go on
 *   10 bits  the server process whose own cursor this is; another one's cursors mean nothing to it
 *   n bits   the shard's number, n as few as the number of shards needs
 *   the rest the shard's own cursor
 *
 * The shard's own cursor stands at the high end, where it makes the number no larger than it must be: clients that keep
 * cursors as doubles are exact below 2^53, others below 2^63.
 */
const CHECK_BITS = 12n;
const PROCESS_BITS = 10n;
const CURSOR_MAX = 2n ** 63n - 1n;
/** Digits of 2^64 - 1: what Redis can read as a cursor. */
const DIGITS_MAX = 20;

export interface Cursor {
  /** `checkOf` the partition that the scan began with. */
  readonly check: number;
  /** `fingerprintOf` the process; of no meaning while `own` is 0. */
  readonly process: number;
  /** The shard that is being scanned. */
  readonly shard: number;
  /** The shard's own cursor; 0: from its beginning. */
  readonly own: bigint;
}

/** What a cursor keeps of a partition's hash; never 0. */
export function checkOf(hash: number): number {
  return 1 + ((hash >>> 0) % (2 ** Number(CHECK_BITS) - 1));
}

/** What a cursor keeps of a server process, whose `run_id` or address this is. */
export function fingerprintOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  return (hash >>> 0) % 2 ** Number(PROCESS_BITS);
}

function shardBits(shards: number): bigint {
  return shards <= 1 ? 0n : BigInt(32 - Math.clz32(shards - 1));
}

/** The number for a cursor; null when the shard's own is too large for the bits that are left. */
export function encodeCursor({ check, process, shard, own }: Cursor, shards: number): bigint | null {
  const head = (own << shardBits(shards)) | BigInt(shard);
  const value = (((head << PROCESS_BITS) | BigInt(process)) << CHECK_BITS) | BigInt(check);
  return value > CURSOR_MAX ? null : value;
}

/** The bits of a cursor that do not depend on the number of shards. */
export function checkIn(value: bigint): number {
  return Number(value & (2n ** CHECK_BITS - 1n));
}

/** Reads a cursor that is not 0; null when it cannot be one of this number of shards. */
export function decodeCursor(value: bigint, shards: number): Cursor | null {
  if (value <= 0n || value > CURSOR_MAX) return null;
  const bits = shardBits(shards);
  const head = value >> (CHECK_BITS + PROCESS_BITS);
  const check = checkIn(value);
  const shard = Number(head & ((1n << bits) - 1n));
  if (check === 0 || shard >= shards) return null;
  const process = Number((value >> CHECK_BITS) & (2n ** PROCESS_BITS - 1n));
  return { check, process, shard, own: head >> bits };
}

/** The decimal number in `bytes[start, end)`; null when it is none that fits into 64 bits. */
export function readCursor(bytes: Uint8Array, start: number, end: number): bigint | null {
  if (start === end || end - start > DIGITS_MAX) return null;
  const small = parseDecimal(bytes, start, end);
  if (small >= 0) return BigInt(small);
  let text = '';
  for (let i = start; i < end; i++) {
    if (bytes[i] < 48 || bytes[i] > 57) return null;
    text += String.fromCharCode(bytes[i]);
  }
  const value = BigInt(text);
  return value < 2n ** 64n ? value : null;
}

import { HI, LO, productHigh } from './uint64.js';

/**
 * xxHash64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), by which Envoy places hosts in Maglev
 * tables and on rings. A ring hashes up to 8,388,608 names, so this too does without BigInt.
 */

/** The last result of {@link xxHash64}: two unsigned halves at {@link HI} and {@link LO}. */
export const XXHASH64 = new Uint32Array(2);

/** A 64-bit constant as two halves. */
interface Prime {
  readonly hi: number;
  readonly lo: number;
}

const P1: Prime = { hi: 0x9e3779b1, lo: 0x85ebca87 };
const P2: Prime = { hi: 0xc2b2ae3d, lo: 0x27d4eb4f };
const P3: Prime = { hi: 0x165667b1, lo: 0x9e3779f9 };
const P4: Prime = { hi: 0x85ebca77, lo: 0xc2b2ae63 };
const P5: Prime = { hi: 0x27d4eb2f, lo: 0x165667c5 };

const STRIPE_BYTES = 32;

/** 64-bit registers, each two elements (lower half, upper half): four accumulators, a scratch and the hash. */
const registers = new Int32Array(12);
const SCRATCH = 8;
const HASH = 10;

function set(at: number, hi: number, lo: number): void {
  registers[at] = lo;
  registers[at + 1] = hi;
}

function add(at: number, hi: number, lo: number): void {
  const sum = (registers[at] >>> 0) + (lo >>> 0);
  registers[at] = sum;
  registers[at + 1] += hi + (sum > 0xffffffff ? 1 : 0);
}

function multiply(at: number, { hi, lo }: Prime): void {
  const low = registers[at];
  registers[at + 1] = productHigh(low, lo) + Math.imul(low, hi) + Math.imul(registers[at + 1], lo);
  registers[at] = Math.imul(low, lo);
}

/** Rotates to the left by 1..31 bits. */
function rotate(at: number, bits: number): void {
  const low = registers[at];
  const high = registers[at + 1];
  registers[at] = (low << bits) | (high >>> (32 - bits));
  registers[at + 1] = (high << bits) | (low >>> (32 - bits));
}

function exclusiveOr(at: number, other: number): void {
  registers[at] ^= registers[other];
  registers[at + 1] ^= registers[other + 1];
}

/** Mixes a 64-bit input into an accumulator. */
function round(at: number, hi: number, lo: number): void {
  set(SCRATCH, hi, lo);
  multiply(SCRATCH, P2);
  add(at, registers[SCRATCH + 1], registers[SCRATCH]);
  rotate(at, 31);
  multiply(at, P1);
}

function read32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Hashes all whole stripes into four accumulators and those into the hash; returns the offset after them. */
function stripes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  for (let at = 0; at < SCRATCH; at += 2) set(at, 0, seed);
  add(0, P1.hi, P1.lo);
  add(0, P2.hi, P2.lo);
  add(2, P2.hi, P2.lo);
  // Minus P1 is its complement plus one.
  add(6, ~P1.hi, ~P1.lo);
  add(6, 0, 1);
  let offset = start;
  for (; end - offset >= STRIPE_BYTES; offset += STRIPE_BYTES) {
    for (let lane = 0; lane < 4; lane++) {
      const at = offset + 8 * lane;
      round(2 * lane, read32(bytes, at + 4), read32(bytes, at));
    }
  }
  mergeLanes();
  return offset;
}

/** By how much each accumulator is rotated before they are added. */
const LANE_ROTATIONS = [1, 7, 12, 18];

function mergeLanes(): void {
  set(HASH, 0, 0);
  for (let lane = 0; lane < 4; lane++) {
    set(SCRATCH, registers[2 * lane + 1], registers[2 * lane]);
    rotate(SCRATCH, LANE_ROTATIONS[lane]);
    add(HASH, registers[SCRATCH + 1], registers[SCRATCH]);
  }
  for (let lane = 0; lane < 4; lane++) {
    const hi = registers[2 * lane + 1];
    const lo = registers[2 * lane];
    set(2 * lane, 0, 0);
    round(2 * lane, hi, lo);
    exclusiveOr(HASH, 2 * lane);
    multiply(HASH, P1);
    add(HASH, P4.hi, P4.lo);
  }
}

/** Hashes what is left after the stripes: eight bytes, four bytes and single bytes at a time. */
function tail(bytes: Uint8Array, start: number, end: number): void {
  let at = start;
  for (; end - at >= 8; at += 8) {
    set(0, 0, 0);
    round(0, read32(bytes, at + 4), read32(bytes, at));
    exclusiveOr(HASH, 0);
    rotate(HASH, 27);
    multiply(HASH, P1);
    add(HASH, P4.hi, P4.lo);
  }
  if (end - at >= 4) {
    set(SCRATCH, 0, read32(bytes, at));
    multiply(SCRATCH, P1);
    exclusiveOr(HASH, SCRATCH);
    rotate(HASH, 23);
    multiply(HASH, P2);
    add(HASH, P3.hi, P3.lo);
    at += 4;
  }
  for (; at < end; at++) {
    set(SCRATCH, 0, bytes[at]);
    multiply(SCRATCH, P5);
    exclusiveOr(HASH, SCRATCH);
    rotate(HASH, 11);
    multiply(HASH, P1);
  }
}

/** Hashes `bytes[start, end)` with a 32-bit seed and leaves the result in {@link XXHASH64}. Allocates nothing. */
export function xxHash64(bytes: Uint8Array, start: number, end: number, seed = 0): void {
  let at = start;
  if (end - start >= STRIPE_BYTES) {
    at = stripes(bytes, start, end, seed);
  } else {
    set(HASH, 0, seed);
    add(HASH, P5.hi, P5.lo);
  }
  add(HASH, 0, end - start);
  tail(bytes, at, end);

  // The last mixing: shifts by 33, 29 and 32 bits with a product between them.
  registers[HASH] ^= registers[HASH + 1] >>> 1;
  multiply(HASH, P2);
  registers[HASH] ^= (registers[HASH] >>> 29) | (registers[HASH + 1] << 3);
  registers[HASH + 1] ^= registers[HASH + 1] >>> 29;
  multiply(HASH, P3);
  registers[HASH] ^= registers[HASH + 1];
  XXHASH64[HI] = registers[HASH + 1];
  XXHASH64[LO] = registers[HASH];
}

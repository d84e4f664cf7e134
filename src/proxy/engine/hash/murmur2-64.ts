import { HI, LO } from './uint64.js';

/**
 * MurmurHash2 for 64-bit machines (MurmurHash64A by Austin Appleby), with the seed and the byte order of libstdc++'s
 * `std::_Hash_bytes`, which is what Envoy's `MurmurHash::murmurHash2` computes: the hash by which Envoy's redis_proxy
 * shards keys outside of Redis Cluster.
 */

/** libstdc++'s seed for `std::hash` of a string. */
export const MURMUR2_SEED = 0xc70f6907;

/** The last result of {@link murmur2}: two unsigned halves at {@link HI} and {@link LO}. */
export const MURMUR2 = new Uint32Array(2);

/** The multiplier, 0xc6a4a7935bd1e995, in the pieces that a 64-bit product needs. */
const M_HI = 0xc6a4a793;
const M_LO = 0x5bd1e995;
const M_LO_HIGH = 0x5bd1;
const M_LO_LOW = 0xe995;

/** The upper half of (hi, lo) · M, modulo 2⁶⁴; the lower half is `Math.imul(lo, M_LO)`. */
function productHigh(hi: number, lo: number): number {
  const low = lo & 0xffff;
  const high = lo >>> 16;
  const cross1 = Math.imul(high, M_LO_LOW);
  const cross2 = Math.imul(low, M_LO_HIGH);
  const carry = ((Math.imul(low, M_LO_LOW) >>> 16) + (cross1 & 0xffff) + (cross2 & 0xffff)) >>> 16;
  const upper = (Math.imul(high, M_LO_HIGH) + (cross1 >>> 16) + (cross2 >>> 16) + carry) | 0;
  return (upper + Math.imul(lo, M_HI) + Math.imul(hi, M_LO)) | 0;
}

/** Hashes `bytes[start, end)` and leaves the result in {@link MURMUR2}. Allocates nothing. */
export function murmur2(bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  let hi = productHigh(0, length);
  let lo = MURMUR2_SEED ^ Math.imul(length, M_LO);

  let at = start;
  for (const blocksEnd = start + (length & ~7); at < blocksEnd; at += 8) {
    const blockLo = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    const blockHi = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
    const mixedHi = productHigh(blockHi, blockLo);
    // A shift to the right by 47 takes the upper half's top 17 bits to the lower half.
    const mixedLo = Math.imul(blockLo, M_LO) ^ (mixedHi >>> 15);
    const newHi = hi ^ productHigh(mixedHi, mixedLo);
    const newLo = lo ^ Math.imul(mixedLo, M_LO);
    hi = productHigh(newHi, newLo);
    lo = Math.imul(newLo, M_LO);
  }

  const rest = end - at;
  if (rest > 0) {
    for (let i = rest - 1; i >= 4; i--) hi ^= bytes[at + i] << ((i - 4) << 3);
    for (let i = rest < 4 ? rest - 1 : 3; i >= 0; i--) lo ^= bytes[at + i] << (i << 3);
    hi = productHigh(hi, lo);
    lo = Math.imul(lo, M_LO);
  }

  lo ^= hi >>> 15;
  hi = productHigh(hi, lo);
  lo = Math.imul(lo, M_LO);
  MURMUR2[HI] = hi;
  MURMUR2[LO] = lo ^ (hi >>> 15);
}

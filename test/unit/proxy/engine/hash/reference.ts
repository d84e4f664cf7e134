/**
 * The hash functions as their authors describe them, on BigInts: slow and plain, to compare with.
 * Nothing here shares a line with what it checks.
 */
const MASK = (1n << 64n) - 1n;

function little(bytes: Uint8Array, at: number, count: number): bigint {
  let value = 0n;
  for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]);
  return value;
}

/** MurmurHash64A. */
export function murmur2Reference(bytes: Uint8Array, seed = 0xc70f6907n): bigint {
  const m = 0xc6a4a7935bd1e995n;
  const mix = (value: bigint) => value ^ (value >> 47n);
  let hash = seed ^ ((BigInt(bytes.length) * m) & MASK);
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8) {
    const block = (mix((little(bytes, at, 8) * m) & MASK) * m) & MASK;
    hash = ((hash ^ block) * m) & MASK;
  }
  if (whole < bytes.length) hash = ((hash ^ little(bytes, whole, bytes.length - whole)) * m) & MASK;
  hash = (mix(hash) * m) & MASK;
  return mix(hash);
}

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const rotate = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & MASK;
const accumulate = (lane: bigint, input: bigint) => (rotate((lane + input * P2) & MASK, 31n) * P1) & MASK;

/** xxHash64. */
export function xxHash64Reference(bytes: Uint8Array, seed = 0n): bigint {
  let at = 0;
  let hash = (seed + P5) & MASK;
  if (bytes.length >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; bytes.length - at >= 32; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = accumulate(lanes[i], little(bytes, at + 8 * i, 8));
    }
    hash = (rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n)) & MASK;
    for (const lane of lanes) hash = ((hash ^ accumulate(0n, lane)) * P1 + P4) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; bytes.length - at >= 8; at += 8) {
    hash = (rotate(hash ^ accumulate(0n, little(bytes, at, 8)), 27n) * P1 + P4) & MASK;
  }
  if (bytes.length - at >= 4) {
    hash = (rotate(hash ^ ((little(bytes, at, 4) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

/** Byte i of the text whose beginnings were hashed by other implementations. */
export const sampleBytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + 201) & 0xff);

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HI, LO } from '../../../../../src/proxy/engine/hash/uint64.js';
import { XXHASH64, xxHash64 } from '../../../../../src/proxy/engine/hash/xxhash64.js';
import { sampleBytes, xxHash64Reference } from './reference.js';

function hashOf(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): bigint {
  xxHash64(bytes, start, end, seed);
  return (BigInt(XXHASH64[HI]) << 32n) | BigInt(XXHASH64[LO]);
}

/** By XXH64 of libxxhash 0.8.1: with seed 0 and with seed 1. */
const LIBXXHASH: [length: number, seed0: string, seed1: string][] = [
  [0, 'ef46db3751d8e999', 'd5afba1336a3be4b'],
  [1, 'a12b65809f934310', 'e2cabf2be37fe188'],
  [3, '379856500e89e3e5', 'a11b8511cb00eb09'],
  [4, 'dee656244722115d', 'f8c7ea97af17f2e0'],
  [7, '77def9ab07f46914', '085ee6bcfe2378bd'],
  [8, '84de7305c6b19c11', '999e98baff7f18f3'],
  [11, '29ef10dcf7949257', '278b24266342bf07'],
  [12, 'eeac2f20a29c2e53', '3abda93f4fd12efd'],
  [31, 'b01297dd1a2a7d39', 'f1ec8cc1c79bb171'],
  [32, '7c657ee8dd6feff8', 'ba9e76d2353f01b1'],
  [33, '28fd4b728138e255', '4a742ef373685c03'],
  [39, '8569d0eaa90ff162', '41c3dbe7ef9f6d25'],
  [63, '56bd463ce7636038', '8e784304c6d3955e'],
  [64, 'a508af81546803f3', 'd93bfab35587f131'],
  [95, 'd9c2d1ba468519a9', 'e537eade6bddf5da'],
  [100, 'd5e76edb4c34c7b3', '12ccb8bfd07090c8'],
];

describe('xxHash64', () => {
  it.each([
    ['foo', 3728699739546630719n],
    ['bar', 5234164152756840025n],
    ['foo\nbar', 8917841378505826757n],
    ['lyft', 4400747396090729504n],
    ['', 17241709254077376921n],
  ])("of %j is the one of Envoy's own tests", (text, hash) => {
    expect(hashOf(Buffer.from(text))).toBe(hash);
  });

  it.each(LIBXXHASH)('of %i bytes is the one of libxxhash', (length, seed0, seed1) => {
    const hex = (hash: bigint) => hash.toString(16).padStart(16, '0');
    expect(hex(hashOf(sampleBytes(length), 0))).toBe(seed0);
    expect(hex(hashOf(sampleBytes(length), 1))).toBe(seed1);
  });

  it('of any bytes and seed is the published one', () => {
    const seeds = fc.oneof(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff), fc.nat());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), seeds, (bytes, seed) => {
        expect(hashOf(bytes, seed)).toBe(xxHash64Reference(bytes, BigInt(seed)));
      }),
      { numRuns: 2000 },
    );
  });

  it('of bytes with every bit set carries through both halves', () => {
    for (let length = 0; length <= 100; length++) {
      const bytes = new Uint8Array(length).fill(0xff);
      expect(hashOf(bytes), String(length)).toBe(xxHash64Reference(bytes));
    }
  });

  it('looks at nothing outside of its range', () => {
    const bytes = sampleBytes(120);
    for (const [start, end] of [
      [0, 0],
      [3, 4],
      [5, 52],
      [7, 119],
      [120, 120],
    ]) {
      expect(hashOf(bytes, 0, start, end)).toBe(xxHash64Reference(bytes.slice(start, end)));
    }
  });
});

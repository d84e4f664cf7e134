import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MURMUR2, murmur2 } from '../../../../../src/proxy/engine/hash/murmur2-64.js';
import { HI, LO } from '../../../../../src/proxy/engine/hash/uint64.js';
import { murmur2Reference, sampleBytes } from './reference.js';

function hashOf(bytes: Uint8Array, start = 0, end = bytes.length): bigint {
  murmur2(bytes, start, end);
  return (BigInt(MURMUR2[HI]) << 32n) | BigInt(MURMUR2[LO]);
}

/** By `std::_Hash_bytes(sample, length, 0xc70f6907)` of GCC 12's libstdc++ on x86-64. */
const LIBSTDCXX: [length: number, hash: string][] = [
  [0, '553e93901e462a6e'],
  [1, '00f05c616c0e64bb'],
  [2, 'a1357c9a22477159'],
  [3, 'b455ae6e75862e98'],
  [4, 'd0ead9c70fb89da8'],
  [5, 'c7315275f1474ceb'],
  [6, 'a728f220ebf456f0'],
  [7, 'b3f982d931c92ff9'],
  [8, 'b195b52daf4078e1'],
  [9, '735fdfddc45d6f96'],
  [10, '200947d40a64c53c'],
  [11, 'c75b8c84f0d17671'],
  [12, '6c7113563c7d3803'],
  [13, '94b23d6dfad7c329'],
  [14, 'de0fe6fc0ee848b2'],
  [15, '8f9d9701fcd1e307'],
  [16, '916f708b2bbfef9f'],
  [17, '4e9ac8108ce19b08'],
  [18, '38ea4089dfe91b77'],
  [19, 'd702449d183a219c'],
  [20, '2d181bc733ae858e'],
  [21, '7533545d27329512'],
  [22, '948a474447e27534'],
  [23, '7551c467ff232368'],
  [24, '0e384a42a2d611b6'],
  [25, '5fc066196f7bae91'],
  [26, '89a970f3651e774f'],
  [27, '8a9995aa79f295e4'],
  [28, 'bc22c0d361d17dee'],
  [29, 'dbadb11fdba57532'],
  [30, '52f303a3e0c719a1'],
  [31, 'c0f082a824043971'],
  [32, 'ee5274f96501bdd1'],
  [33, 'af6a12abcb97b271'],
  [34, 'f6b3dd83496dca75'],
  [35, 'ef75d83cf6ab4474'],
  [36, '37f04ff5c3ae735e'],
  [37, 'ccbe3b987d0b5d6b'],
  [38, 'ab3f7ad29ed30a35'],
  [39, '96ceb76c4a1f1568'],
  [40, '3bdf3542c23b1ea3'],
];

describe('MurmurHash2', () => {
  it.each([
    ['foo', 9631199822919835226n],
    ['bar', 11474628671133349555n],
    ['foo\nbar', 16306510975912980159n],
    ['lyft', 12847078931730529320n],
    ['', 6142509188972423790n],
  ])("of %j is the one of Envoy's own tests", (text, hash) => {
    expect(hashOf(Buffer.from(text))).toBe(hash);
  });

  it.each(LIBSTDCXX)("of %i bytes is the one of libstdc++'s std::hash", (length, hash) => {
    expect(hashOf(sampleBytes(length)).toString(16).padStart(16, '0')).toBe(hash);
  });

  it('of any bytes is the published one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(hashOf(bytes)).toBe(murmur2Reference(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('of bytes with every bit set carries through both halves', () => {
    for (let length = 0; length <= 40; length++) {
      const bytes = new Uint8Array(length).fill(0xff);
      expect(hashOf(bytes), String(length)).toBe(murmur2Reference(bytes));
    }
  });

  it('of a long key is the published one', () => {
    const bytes = sampleBytes(100_003);
    expect(hashOf(bytes)).toBe(murmur2Reference(bytes));
  });

  it('looks at nothing outside of the key', () => {
    const bytes = sampleBytes(60);
    for (let start = 0; start < 20; start++) {
      for (let end = start; end <= start + 20; end++) {
        expect(hashOf(bytes, start, end)).toBe(murmur2Reference(bytes.slice(start, end)));
      }
    }
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DIVISOR_MAX,
  FERMAT_PRIME,
  productHigh,
  remainder64,
  remainderFermat,
  wrapOf,
} from '../../../../../src/proxy/engine/hash/uint64.js';

const halves = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
);

describe('64-bit arithmetic on two halves', () => {
  it('finds the upper half of a product', () => {
    fc.assert(
      fc.property(halves, halves, (a, b) => {
        const expected = Number((BigInt(a) * BigInt(b)) >> 32n);
        expect(productHigh(a, b) >>> 0).toBe(expected);
        expect(productHigh(a | 0, b | 0) >>> 0).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('finds the remainder by 65537 without a division', () => {
    fc.assert(
      fc.property(halves, halves, (hi, lo) => {
        const expected = Number(((BigInt(hi) << 32n) | BigInt(lo)) % BigInt(FERMAT_PRIME));
        expect(remainderFermat(hi, lo)).toBe(expected);
        expect(remainderFermat(hi | 0, lo | 0)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it('finds the remainder by any divisor up to the bound', () => {
    const divisors = fc.oneof(
      fc.integer({ min: 1, max: DIVISOR_MAX }),
      fc.constantFrom(1, 2, 3, 7, 17, 65_537, 655_373, 5_000_011, DIVISOR_MAX - 1, DIVISOR_MAX),
    );
    fc.assert(
      fc.property(halves, halves, divisors, (hi, lo, divisor) => {
        const expected = Number(((BigInt(hi) << 32n) | BigInt(lo)) % BigInt(divisor));
        expect(remainder64(hi, lo, divisor, wrapOf(divisor))).toBe(expected);
      }),
      { numRuns: 20_000 },
    );
  });

  it('finds the remainder of multiples and of their neighbours', () => {
    for (const divisor of [2, 7, 65_537, 5_000_011, DIVISOR_MAX - 5]) {
      const top = ((1n << 64n) - 1n) / BigInt(divisor);
      for (const multiple of [top, top - 1n, top / 2n, top / 3n, 12345n]) {
        for (const [value, expected] of [
          [multiple * BigInt(divisor), 0],
          [multiple * BigInt(divisor) - 1n, divisor - 1],
        ] as const) {
          const hi = Number(value >> 32n);
          const lo = Number(value & 0xffffffffn);
          expect(remainder64(hi, lo, divisor, wrapOf(divisor))).toBe(expected);
        }
      }
    }
  });
});

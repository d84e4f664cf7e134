import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkIn,
  checkOf,
  decodeCursor,
  encodeCursor,
  fingerprintOf,
  readCursor,
} from '../../../../../src/proxy/engine/scan/cursor.js';

const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const shards = fc.integer({ min: 1, max: 1000 });

describe('a cursor', () => {
  it('comes back as what it was made of, below 2^63 and never 0', () => {
    fc.assert(
      fc.property(
        hash,
        shards,
        fc.nat(),
        fc.string(),
        fc.bigInt({ min: 0n, max: 2n ** 31n - 1n }),
        (h, count, at, id, own) => {
          const cursor = { check: checkOf(h), process: fingerprintOf(id), shard: at % count, own };
          const value = encodeCursor(cursor, count) as bigint;
          expect(value).toBeGreaterThan(0n);
          expect(value).toBeLessThan(2n ** 63n);
          expect(decodeCursor(value, count)).toEqual(cursor);
          expect(checkIn(value)).toBe(cursor.check);
        },
      ),
    );
  });

  it('is exact in a double for shards of half a billion keys', () => {
    const value = encodeCursor({ check: 4095, process: 1023, shard: 3, own: 2n ** 29n - 1n }, 4) as bigint;
    expect(Number.isSafeInteger(Number(value))).toBe(true);
  });

  it('is none when the shard’s own leaves no room', () => {
    const cursor = { check: 1, process: 0, shard: 0 };
    expect(encodeCursor({ ...cursor, own: 2n ** 39n - 1n }, 3)).toBe(2n ** 63n - 1n - (2n ** 24n - 1n) + 1n);
    expect(encodeCursor({ ...cursor, own: 2n ** 39n }, 3)).toBeNull();
    expect(encodeCursor({ ...cursor, own: 2n ** 64n - 1n }, 1)).toBeNull();
  });

  it('is refused when it cannot be one', () => {
    expect(decodeCursor(0n, 3)).toBeNull();
    expect(decodeCursor(4096n, 3)).toBeNull();
    expect(decodeCursor(2n ** 63n, 3)).toBeNull();
    // Shard 3 of 3.
    expect(decodeCursor((3n << 22n) | 1n, 3)).toBeNull();
    expect(decodeCursor((2n << 22n) | 1n, 3)).not.toBeNull();
  });
});

describe('readCursor', () => {
  const read = (text: string) => readCursor(Buffer.from(text), 0, text.length);

  it('reads what fits into 64 bits', () => {
    expect(read('0')).toBe(0n);
    expect(read('0007')).toBe(7n);
    expect(read('9007199254740993')).toBe(9007199254740993n);
    expect(read('18446744073709551615')).toBe(2n ** 64n - 1n);
  });

  it('takes nothing else', () => {
    for (const text of ['', '-1', '+1', ' 1', '1 ', '1.0', 'x', '18446744073709551616', '9'.repeat(21)]) {
      expect(read(text), text).toBeNull();
    }
  });
});

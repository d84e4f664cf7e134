import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandLzf } from '../../../../src/backup/rdb/lzf.js';
import { lzf } from './make-rdb.js';

describe('LZF', () => {
  it('gives what was compressed', () => {
    const runs = fc.array(fc.tuple(fc.nat({ max: 255 }), fc.integer({ min: 1, max: 600 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(runs, (parts) => {
        const plain = Buffer.concat(parts.map(([fill, size]) => Buffer.alloc(size, fill)));
        expect(expandLzf(lzf(plain), plain.length)).toEqual(plain);
      }),
      { numRuns: 30 },
    );
    // Three bytes, then six that begin three before: of those, three are made while they are taken.
    expect(expandLzf(Buffer.from('026162638002', 'hex'), 9)?.toString()).toBe('abcabcabc');
    expect(expandLzf(Buffer.of(), 0)).toEqual(Buffer.alloc(0));
  });

  it('is undefined for bytes that are none, or not of that length', () => {
    expect(expandLzf(Buffer.of(0, 97), 2)).toBeUndefined(); // ends before
    expect(expandLzf(Buffer.of(1, 97, 98), 1)).toBeUndefined(); // ends behind
    expect(expandLzf(Buffer.of(5, 97), 6)).toBeUndefined(); // bytes that are not there
    expect(expandLzf(Buffer.of(0, 97, 0x20), 4)).toBeUndefined(); // a place that is not there
    expect(expandLzf(Buffer.of(0, 97, 0xe0), 10)).toBeUndefined(); // a length that is not there
    expect(expandLzf(Buffer.of(0, 97, 0x20, 1), 4)).toBeUndefined(); // a place before the first byte
    expect(expandLzf(Buffer.of(0, 97), 2 ** 40)).toBeUndefined(); // more than it can be
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 5_000 }), (bytes, size) => {
        const plain = expandLzf(bytes, size);
        expect(plain === undefined || plain.length === size).toBe(true);
      }),
    );
  });
});

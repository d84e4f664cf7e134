import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchSize, cutBatches } from '../../../../../src/operations/move/migrate/batches.js';
import { PACES } from '../../../../../src/operations/move/migrate/pace.js';

const keysArbitrary = fc.array(fc.integer({ min: 0, max: 5_000_000 }), { maxLength: 300 });
const named = (sizes: readonly number[]) => sizes.map((bytes, i) => ({ key: Buffer.from(`k${i}`), bytes }));

describe('batches', () => {
  it('hold every key once, within the limits, and big keys alone at the end, the smallest first', () => {
    fc.assert(
      fc.property(keysArbitrary, fc.integer({ min: 1, max: 100 }), (sizes, keysMax) => {
        const limit = { slot: 7, keysMax, bytesMax: 1_000_000, bigKeyBytes: 2_000_000 };
        const batches = cutBatches(named(sizes), limit);
        const keys = batches.flatMap((batch) => batch.keys.map(String));
        expect([...keys].sort()).toEqual(sizes.map((_, i) => `k${i}`).sort());
        const firstBig = batches.findIndex(({ big }) => big);
        for (const [index, batch] of batches.entries()) {
          expect(batch.slot).toBe(7);
          expect(batch.keys.length).toBeGreaterThan(0);
          expect(batch.keys.length).toBeLessThanOrEqual(keysMax);
          // A key that is larger than a batch may be goes alone.
          if (batch.bytes > limit.bytesMax) expect(batch.keys).toHaveLength(1);
          expect(batch.big).toBe(firstBig >= 0 && index >= firstBig);
          if (batch.big) expect(batch.bytes).toBeGreaterThanOrEqual(2_000_000);
        }
        const big = batches.filter((batch) => batch.big).map(({ bytes }) => bytes);
        expect(big).toEqual([...big].sort((left, right) => left - right));
      }),
    );
  });

  it('become larger while they are quick, and at once smaller when one was slow', () => {
    const size = new BatchSize(PACES.fast.batch);
    const first = size.keysMax;
    const full = () => ({
      slot: 0,
      keys: Array.from({ length: size.keysMax }, () => Buffer.alloc(1)),
      bytes: size.bytesMax,
      big: false,
    });
    for (let i = 0; i < 100; i++) size.took(full(), 1);
    const most = { keys: size.keysMax, bytes: size.bytesMax };
    expect(most.keys).toBeGreaterThan(first);
    size.took(full(), PACES.fast.batch.targetMs * 3);
    expect(size.keysMax).toBeLessThanOrEqual(most.keys / 2 + 1);
    expect(size.bytesMax).toBeLessThanOrEqual(most.bytes / 2 + 1);
    for (let i = 0; i < 100; i++) size.took(full(), PACES.fast.batch.targetMs * 3);
    // Not below what they began with: latency is not cured by more, smaller batches.
    expect(size.keysMax).toBe(first);
  });

  it('learn nothing from small ones, nor from big keys', () => {
    const size = new BatchSize(PACES.fast.batch);
    const before = { keys: size.keysMax, bytes: size.bytesMax };
    for (let i = 0; i < 20; i++) size.took({ slot: 0, keys: [Buffer.alloc(1)], bytes: 10, big: false }, 0.1);
    size.took({ slot: 0, keys: [Buffer.alloc(1)], bytes: 1e9, big: true }, 10_000);
    expect({ keys: size.keysMax, bytes: size.bytesMax }).toEqual(before);
  });
});

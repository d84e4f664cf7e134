import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ALL_SLOTS,
  countSlots,
  eachSlot,
  formatSlots,
  hasSlot,
  intersectSlots,
  invertSlots,
  normalizeSlots,
  SLOT_COUNT,
  sameSlots,
  slotsFrom,
  splitEvenly,
  subtractSlots,
  unionSlots,
} from '../../../src/cluster/slots.js';

const slot = fc.integer({ min: 0, max: SLOT_COUNT - 1 });
const range = fc.tuple(slot, slot).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const set = fc.array(range, { maxLength: 8 }).map(normalizeSlots);

describe('sets of slots', () => {
  it('are sorted, and neither overlap nor touch', () => {
    fc.assert(
      fc.property(set, (ranges) => {
        for (const [index, { start, end }] of ranges.entries()) {
          expect(start).toBeLessThanOrEqual(end);
          if (index > 0) expect(start).toBeGreaterThan((ranges[index - 1]?.end ?? 0) + 1);
        }
      }),
    );
  });

  it('unite, intersect, subtract and invert as sets of numbers do', () => {
    fc.assert(
      fc.property(set, set, slot, (left, right, probe) => {
        const inLeft = hasSlot(left, probe);
        const inRight = hasSlot(right, probe);
        expect(hasSlot(unionSlots(left, right), probe)).toBe(inLeft || inRight);
        expect(hasSlot(intersectSlots(left, right), probe)).toBe(inLeft && inRight);
        expect(hasSlot(subtractSlots(left, right), probe)).toBe(inLeft && !inRight);
        expect(hasSlot(invertSlots(left), probe)).toBe(!inLeft);
        expect(countSlots(left) + countSlots(invertSlots(left))).toBe(SLOT_COUNT);
        expect(countSlots(unionSlots(left, right)) + countSlots(intersectSlots(left, right))).toBe(
          countSlots(left) + countSlots(right),
        );
      }),
    );
  });

  it('are rebuilt from their single slots', () => {
    fc.assert(
      fc.property(set, (slots) => {
        expect(sameSlots(slotsFrom(eachSlot(slots)), slots)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('are written as people know them, and shortened on request', () => {
    expect(formatSlots(slotsFrom([5, 1, 2, 3, 16_383]))).toBe('1-3,5,16383');
    expect(formatSlots(slotsFrom([1, 3, 5]), 2)).toBe('1,3…(+1 ranges)');
    expect(formatSlots([])).toBe('');
  });

  it.each([
    [-1, 5],
    [5, 4],
    [0, 16_384],
    [0.5, 1],
    [Number.NaN, 1],
  ])('refuse the range %s-%s', (start, end) => {
    expect(() => normalizeSlots([{ start, end }])).toThrow(RangeError);
  });

  it('split evenly into any number of parts', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: SLOT_COUNT }), (parts) => {
        const ranges = splitEvenly(parts);
        const sizes = ranges.map(({ start, end }) => end - start + 1);
        expect(ranges).toHaveLength(parts);
        expect(normalizeSlots(ranges)).toEqual(ALL_SLOTS);
        expect(sizes.reduce((sum, size) => sum + size)).toBe(SLOT_COUNT);
        expect(sizes.reduce((a, b) => Math.max(a, b)) - sizes.reduce((a, b) => Math.min(a, b))).toBeLessThanOrEqual(1);
      }),
    );
  });
});

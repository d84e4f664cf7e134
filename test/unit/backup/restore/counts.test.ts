import { describe, expect, it } from 'vitest';
import { compareCounts, SlotCounts } from '../../../../src/backup/restore/counts.js';

const BEGAN = 1_800_000_000_000;
const MINUTE = 60_000;

function filled(): SlotCounts {
  const counts = new SlotCounts(BEGAN);
  for (let i = 0; i < 5; i++) counts.add(7, undefined);
  counts.add(7, BEGAN + MINUTE / 2);
  counts.add(9, BEGAN + 24 * 60 * MINUTE);
  counts.add(9, BEGAN + 100 * 24 * 60 * MINUTE);
  return counts;
}
const found = (keys: Record<number, number>) => Float64Array.from({ length: 16_384 }, (_, slot) => keys[slot] ?? 0);

describe('counts of keys', () => {
  it('know how many must be there, whatever has expired', () => {
    const counts = filled();
    expect(counts.keys(7)).toBe(6);
    expect(counts.least(7, BEGAN + 1)).toBe(5);
    expect(counts.least(9, BEGAN + MINUTE)).toBe(2);
    expect(counts.least(9, BEGAN + 23 * 60 * MINUTE)).toBe(1);
    expect(counts.least(8, BEGAN)).toBe(0);
  });

  it('are the same after they were written down, and add up', () => {
    const again = SlotCounts.from(JSON.parse(JSON.stringify(filled())));
    expect(again.toJSON()).toEqual(filled().toJSON());
    again.merge(filled());
    expect(again.keys(7)).toBe(12);
    expect(again.least(7, BEGAN + 1)).toBe(10);
  });

  it('find slots with too few, and where nothing was there before, with too many', () => {
    const judge = (keys: Record<number, number>, wasEmpty = true) =>
      compareCounts(filled(), found(keys), { atMs: BEGAN + MINUTE, wasEmpty });
    expect(judge({ 7: 6, 9: 2 })).toEqual({ fewer: [], more: [] });
    expect(judge({ 7: 5, 9: 2 })).toEqual({ fewer: [], more: [] });
    expect(judge({ 7: 4, 9: 2 }).fewer).toEqual([{ slot: 7, found: 4, wanted: 6 }]);
    expect(judge({ 7: 6, 9: 3, 11: 1 }).more.map(({ slot }) => slot)).toEqual([9, 11]);
    expect(judge({ 7: 6, 9: 3, 11: 1 }, false).more).toEqual([]);
  });
});

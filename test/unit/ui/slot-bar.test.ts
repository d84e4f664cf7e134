import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderSlotBar, shardLetter } from '../../../src/ui/slot-bar.js';

describe('the slot bar', () => {
  it('shows each shard in proportion', () => {
    const bar = renderSlotBar(
      [
        { from: 0, to: 8191, shard: 0 },
        { from: 8192, to: 16383, shard: 1 },
      ],
      16,
    );
    expect(bar).toBe('AAAAAAAABBBBBBBB');
  });

  it('shows a hole of a single slot', () => {
    const spans = [
      { from: 0, to: 4999, shard: 0 },
      { from: 5001, to: 16383, shard: 0 },
    ];
    expect(renderSlotBar(spans, 64).replaceAll('A', '')).toBe('.');
  });

  it('is all holes without spans', () => {
    expect(renderSlotBar([], 8)).toBe('........');
  });

  it('has the asked width and no holes when everything is covered', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: 16383 }), (width, cut) => {
        const bar = renderSlotBar(
          [
            { from: 0, to: cut, shard: 0 },
            { from: cut + 1, to: 16383, shard: 1 },
          ],
          width,
        );
        expect(bar).toMatch(/^A*B*$/);
        expect(bar).toHaveLength(width);
      }),
    );
  });

  it('letters more shards than the alphabet has', () => {
    expect(shardLetter(0)).toBe('A');
    expect(shardLetter(52)).toBe('A');
  });
});

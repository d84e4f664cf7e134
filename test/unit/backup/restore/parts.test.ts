import { describe, expect, it } from 'vitest';
import type { BackupManifest } from '../../../../src/backup/manifest.js';
import { partsOf, shardsOf } from '../../../../src/backup/restore/parts.js';
import { Selection, type SelectionOptions } from '../../../../src/backup/restore/selection.js';
import { eachSlot } from '../../../../src/cluster/slots.js';

const range = (start: number, end: number) => ({ start, end });
const shard = (name: string, slots: [number, number], slotKeys?: [number, number][]) => ({
  object: { name },
  slots: [range(...slots)],
  ...(slotKeys === undefined ? {} : { slotKeys }),
});
/** Slots 0 to 99 were on their way from the first to the second; nobody was asked for the slots of the third. */
const MANIFEST = {
  shards: [
    shard(
      'one',
      [0, 4_999],
      [
        [7, 3],
        [200, 1],
      ],
    ),
    shard(
      'two',
      [5_000, 9_999],
      [
        [7, 2],
        [50, 1],
        [300, 1],
        [6_000, 4],
      ],
    ),
    shard('files', [10_000, 16_383]),
  ],
  moving: [range(0, 99)],
} as unknown as BackupManifest;

function partsIn(options: SelectionOptions = {}, manifest = MANIFEST) {
  const parts = partsOf(manifest, new Selection(options));
  for (const { slots, wanted } of [...parts.served, ...parts.stray]) {
    expect(Array.from(wanted).reduce((sum, each) => sum + each, 0)).toBe([...eachSlot(slots)].length);
    for (const slot of eachSlot(slots)) expect(wanted[slot]).toBe(1);
  }
  const brief = (some: typeof parts.served) => some.map(({ name, slots, fills }) => [name, slots, fills]);
  return {
    served: brief(parts.served),
    stray: brief(parts.stray),
    read: shardsOf(parts).map(({ object }) => object.name),
  };
}

describe('what of each shard goes back', () => {
  it('is first what it served, then what is at the other end of a move, where it holds any', () => {
    const { served, stray, read } = partsIn();
    expect(served).toEqual([
      ['one', [range(0, 4_999)], false],
      ['two', [range(5_000, 9_999)], false],
      ['files', [range(10_000, 16_383)], false],
    ]);
    expect(stray).toEqual([
      ['two stray', [range(7, 7), range(50, 50)], true],
      // Nobody knows what is in it until it is loaded.
      ['files stray', [range(0, 99)], true],
    ]);
    expect(read).toEqual(['one', 'two', 'files']);
  });

  it('is nothing of slots that were not on their way, whatever it holds of them', () => {
    expect(partsIn({}, { ...MANIFEST, moving: [] }).stray).toEqual([]);
    expect(partsIn({}, { ...MANIFEST, moving: [range(300, 310)] }).stray[0]).toEqual([
      'two stray',
      [range(300, 300)],
      true,
    ]);
  });

  it('is of the chosen shards what no other shard served', () => {
    expect(partsIn({ shards: [2] })).toEqual({
      served: [['two', [range(5_000, 9_999)], false]],
      stray: [],
      read: ['two'],
    });
    expect(partsIn({ shards: [1, 2] }).stray).toEqual([['two stray', [range(7, 7), range(50, 50)], true]]);
  });

  it('is of the chosen slots what any shard has', () => {
    expect(partsIn({ slots: [range(40, 60)] })).toEqual({
      served: [['one', [range(0, 4_999)], false]],
      stray: [
        ['two stray', [range(50, 50)], true],
        ['files stray', [range(40, 60)], true],
      ],
      read: ['one', 'two', 'files'],
    });
    expect(partsIn({ slots: [range(6_000, 6_000)] }).stray).toEqual([]);
  });
});

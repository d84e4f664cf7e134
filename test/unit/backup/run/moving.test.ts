import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foreignSlots, SlotWatch, slotsOnTheWay } from '../../../../src/backup/run/moving.js';
import { SLOT_COUNT, slotsFrom } from '../../../../src/cluster/slots.js';
import { divisions, ownersOf, tableOf } from '../../operations/planners/support.js';
import { type DescribedNode, idOf, snapshotOf, THREE } from '../../operations/support.js';

const slots = (...all: number[]) => slotsFrom(all);

describe('slots on their way', () => {
  it('are those that are open on either side, that two claim, and that servers move by themselves', () => {
    expect(slotsOnTheWay(snapshotOf())).toEqual([]);
    const open = [
      { n: 1, slots: `0-5460 [7->-${idOf(2)}]` },
      { n: 2, slots: `5461-10922 [9-<-${idOf(1)}]` },
      { n: 3, slots: '10923-16383' },
    ];
    expect(slotsOnTheWay(snapshotOf(open), [{ slots: [{ start: 100, end: 101 }] }])).toEqual(slots(7, 9, 100, 101));
  });
});

describe('whoever watches slots', () => {
  const table = [...THREE, { n: 4, replicaOf: 1 }];
  const moved: DescribedNode[] = [
    { n: 1, slots: '0-4 6-5460' },
    { n: 2, slots: '5 5461-10922' },
    { n: 3, slots: '10923-16383' },
    { n: 4, replicaOf: 1 },
  ];

  it('sees those that another shard serves, also when they are back', () => {
    const watch = new SlotWatch(snapshotOf(table));
    watch.look(snapshotOf(table));
    expect(watch.moving).toEqual([]);
    watch.look(snapshotOf(moved));
    watch.look(snapshotOf(table));
    expect(watch.moving).toEqual(slots(5));
  });

  it('sees no move in a failover', () => {
    const watch = new SlotWatch(snapshotOf(table));
    const failedOver: DescribedNode[] = [
      { n: 1, replicaOf: 4 },
      { n: 2, slots: '5461-10922' },
      { n: 3, slots: '10923-16383' },
      { n: 4, slots: '0-5460' },
    ];
    watch.look(snapshotOf(failedOver));
    expect(watch.moving).toEqual([]);
  });

  it('sees slots that a new master has got, that nobody had before, and open ones of the beginning', () => {
    const watch = new SlotWatch(snapshotOf([{ n: 1, slots: `0-99 [3->-${idOf(2)}]` }, { n: 2 }]));
    watch.look(
      snapshotOf([
        { n: 1, slots: '0-89 200' },
        { n: 2, slots: '90-99' },
      ]),
    );
    expect(watch.moving).toEqual(slotsFrom([3, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 200]));
  });

  it('sees just the slots of which the owner is another, whatever moves', () => {
    fc.assert(
      fc.property(divisions(5, 5), divisions(5, 5), (before, after) => {
        const [first, then] = [snapshotOf(tableOf(before)), snapshotOf(tableOf(after))];
        const watch = new SlotWatch(first);
        watch.look(then);
        const [from, to] = [ownersOf(first), ownersOf(then)];
        const wanted = Array.from({ length: SLOT_COUNT }, (_, slot) => slot).filter(
          (slot) => to[slot] !== '' && from[slot] !== to[slot],
        );
        expect(watch.moving).toEqual(slotsFrom(wanted));
      }),
      { numRuns: 25 },
    );
  });
});

describe('foreign slots', () => {
  it('have keys, and are not served', () => {
    const found: [number, number][] = [
      [1, 2],
      [5, 1],
      [7, 0],
    ];
    expect(foreignSlots(found, [{ start: 0, end: 3 }])).toEqual(slots(5));
    expect(foreignSlots([], [])).toEqual([]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countSlots,
  intersectSlots,
  SLOT_COUNT,
  type SlotSet,
  sameSlots,
  slotsFrom,
  splitEvenly,
  subtractSlots,
  unionSlots,
} from '../../../../src/cluster/slots.js';
import { pickSlots, transfersFor } from '../../../../src/operations/planners/moves.js';
import {
  divideByWeight,
  giveToSmallest,
  parseWeight,
  takeFromLargest,
} from '../../../../src/operations/planners/weights.js';
import { divisions, idOf } from './support.js';

const weightsOf = (count: number) =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(0, 1, 1, 1, 2),
        fc.integer({ min: 0, max: 10_000 }).map((weight) => weight / 1_000),
      ),
      {
        minLength: count,
        maxLength: count,
      },
    )
    .map((weights) => (weights.some((weight) => weight > 0) ? weights : weights.map(() => 1)));

describe('a division of slots by weight', () => {
  it('gives every slot to one master, each within one slot of its share, with the fewest moves there are', () => {
    fc.assert(
      fc.property(
        divisions(12).chain((held) => fc.tuple(fc.constant(held), weightsOf(held.length))),
        ([held, weights]) => {
          const holders = held.map((slots, n) => ({ id: idOf(n), slots: countSlots(slots), weight: weights[n] ?? 0 }));
          const wanted = divideByWeight(holders);
          const sum = weights.reduce((all, weight) => all + weight, 0);
          let tooMany = 0;
          let tooFew = 0;
          let moved = 0;
          for (const { id, slots, weight } of holders) {
            const exact = (SLOT_COUNT * weight) / sum;
            const count = wanted.get(id) as number;
            expect(Math.abs(count - exact)).toBeLessThan(1);
            moved += Math.max(0, slots - count);
            tooMany += Math.max(0, slots - Math.ceil(exact));
            tooFew += Math.max(0, Math.floor(exact) - slots);
          }
          expect([...wanted.values()].reduce((all, count) => all + count, 0)).toBe(SLOT_COUNT);
          // No division within one slot of the shares can do with less than either of these.
          expect(moved).toBe(Math.max(tooMany, tooFew));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is refused when nobody has a weight', () => {
    expect(() => divideByWeight([{ id: idOf(1), slots: 5, weight: 0 }])).toThrow('All weights are 0');
  });

  it('leaves alone what is as it should be, whoever has the odd slots', () => {
    const holders = [5462, 5461, 5461].map((slots, n) => ({ id: idOf(n), slots, weight: 1 }));
    for (const order of [holders, holders.toReversed()]) {
      expect(
        [...divideByWeight(order)].filter(([id, count]) => holders.some((h) => h.id === id && h.slots !== count)),
      ).toEqual([]);
    }
  });
});

describe('slots taken from the largest and given to the smallest', () => {
  const counts = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 20 });
  const total = (values: Iterable<number>) => [...values].reduce((all, value) => all + value, 0);

  it('level them: nobody who gives ends more than one below another who gave, and exactly so many move', () => {
    fc.assert(
      fc.property(counts, fc.nat(), (list, seed) => {
        const holders = list.map((slots, n) => ({ id: idOf(n), slots }));
        const count = seed % (total(list) + 1);
        const wanted = takeFromLargest(holders, count);
        expect(total(wanted.values())).toBe(total(list) - count);
        const gave = holders.filter(({ id, slots }) => (wanted.get(id) as number) < slots);
        for (const { id, slots } of holders) expect(wanted.get(id)).toBeLessThanOrEqual(slots);
        const most = Math.max(...wanted.values());
        for (const { id } of gave) expect(wanted.get(id)).toBeGreaterThanOrEqual(most - 1);
      }),
    );
  });

  it('raise the smallest: nobody who gets ends more than one above another, and exactly so many move', () => {
    fc.assert(
      fc.property(counts, fc.nat(SLOT_COUNT - 10_000), (list, count) => {
        const holders = list.map((slots, n) => ({ id: idOf(n), slots }));
        const wanted = giveToSmallest(holders, count);
        expect(total(wanted.values())).toBe(total(list) + count);
        for (const { id, slots } of holders) expect(wanted.get(id)).toBeGreaterThanOrEqual(slots);
        const least = Math.min(...wanted.values());
        const got = holders.filter(({ id, slots }) => (wanted.get(id) as number) > slots);
        for (const { id } of got) expect(wanted.get(id)).toBeLessThanOrEqual(least + 1);
      }),
    );
  });
});

describe('the transfers', () => {
  it('leave every slot owned once and everybody with what it is to have; each slot moves once, over few pairs', () => {
    fc.assert(
      fc.property(
        divisions(12).chain((held) => fc.tuple(fc.constant(held), weightsOf(held.length))),
        ([held, weights]) => {
          const holders = held.map((slots, n) => ({ id: idOf(n), slots: countSlots(slots), weight: weights[n] ?? 0 }));
          const wanted = divideByWeight(holders);
          const wishes = held.map((slots, n) => ({ id: idOf(n), slots, wanted: wanted.get(idOf(n)) as number }));
          const transfers = transfersFor(wishes);
          const after = new Map(wishes.map(({ id, slots }) => [id, slots]));
          let moved: SlotSet = [];
          for (const { source, target, slots } of transfers) {
            // What is given is what the source had from the beginning: nothing travels twice.
            const original = wishes.find(({ id }) => id === source)?.slots ?? [];
            expect(countSlots(intersectSlots(slots, original))).toBe(countSlots(slots));
            expect(intersectSlots(moved, slots)).toEqual([]);
            moved = unionSlots(moved, slots);
            after.set(source, subtractSlots(after.get(source) as SlotSet, slots));
            after.set(target, unionSlots(after.get(target) as SlotSet, slots));
          }
          for (const { id, wanted: count } of wishes) expect(countSlots(after.get(id) as SlotSet)).toBe(count);
          expect([...after.values()].reduce((all, slots) => all + countSlots(slots), 0)).toBe(SLOT_COUNT);
          expect(countSlots(unionSlots(...after.values()))).toBe(SLOT_COUNT);
          const surplus = wishes.reduce(
            (all, { slots, wanted: count }) => all + Math.max(0, countSlots(slots) - count),
            0,
          );
          expect(countSlots(moved)).toBe(surplus);
          expect(transfers.length).toBeLessThan(Math.max(1, held.length));
          expect(transfersFor(wishes)).toEqual(transfers);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keep the ranges of three masters whole when a fourth joins', () => {
    const wishes = splitEvenly(3).map((range, n) => ({ id: idOf(n), slots: [range], wanted: 4096 }));
    const transfers = transfersFor([...wishes, { id: idOf(3), slots: [], wanted: 4096 }]);
    expect(transfers).toHaveLength(3);
    for (const { slots } of transfers) expect(slots).toHaveLength(1);
  });

  it('refuse wishes that do not add up, which would leave slots without a master', () => {
    expect(() => transfersFor([{ id: idOf(1), slots: [{ start: 0, end: 9 }], wanted: 5 }])).toThrow(RangeError);
    expect(() => transfersFor([{ id: idOf(1), slots: [{ start: 0, end: 9 }], wanted: 15 }])).toThrow(RangeError);
  });
});

describe('slots that are picked', () => {
  it('touch those of the target when they can, and are whole small ranges else', () => {
    const slots = slotsFrom([1, 2, 3, 10, 20, 21, ...Array.from({ length: 50 }, (_, n) => 100 + n)]);
    expect(pickSlots(slots, 3)).toEqual([
      { start: 10, end: 10 },
      { start: 20, end: 21 },
    ]);
    expect(pickSlots(slots, 3, [{ start: 50, end: 99 }])).toEqual([{ start: 100, end: 102 }]);
    expect(pickSlots(slots, 3, [{ start: 150, end: 160 }])).toEqual([{ start: 147, end: 149 }]);
  });

  it('are as many as asked for, and of those there are', () => {
    fc.assert(
      fc.property(divisions(4), fc.nat(), (held, seed) => {
        const slots = held[0] ?? [];
        const count = seed % (countSlots(slots) + 1);
        const picked = pickSlots(slots, count, held[1] ?? []);
        expect(countSlots(picked)).toBe(count);
        expect(sameSlots(intersectSlots(picked, slots), picked)).toBe(true);
      }),
    );
    expect(() => pickSlots([{ start: 0, end: 1 }], 3)).toThrow(RangeError);
  });
});

describe('a weight', () => {
  it('is read as NODE=WEIGHT, and anything else is refused', () => {
    expect(parseWeight('10.0.0.1:6379=2')).toEqual({ node: '10.0.0.1:6379', weight: 2 });
    expect(parseWeight('[::1]:6379=0.5')).toEqual({ node: '[::1]:6379', weight: 0.5 });
    for (const text of ['a:1', 'a:1=', '=1', 'a:1=-1', 'a:1=x', 'a:1=1e9', 'a:1=200000']) {
      expect(() => parseWeight(text), text).toThrow('no weight');
    }
  });
});

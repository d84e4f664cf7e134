import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLOT_COUNT, type SlotSet, splitEvenly, unionSlots } from '../../../../src/cluster/slots.js';
import { slotBytes } from '../../../../src/cluster/snapshot/slot-keys.js';
import { loadOf } from '../../../../src/operations/planners/loads.js';
import { planRebalance, type RebalanceOptions } from '../../../../src/operations/planners/rebalance.js';
import { parseSlots, planReshard } from '../../../../src/operations/planners/reshard.js';
import { snapshotOf, THREE } from '../support.js';
import {
  carriedOut,
  counted,
  divisions,
  idOf,
  largeSnapshot,
  ownersOf,
  processorTime,
  refusal,
  tableOf,
} from './support.js';

const NOBODY: ReadonlySet<string> = new Set();
const BY_SLOTS: RebalanceOptions = { by: 'slots', weights: [], threshold: 0, useEmptyMasters: true };
const weigh = (weights: readonly number[]) => weights.map((weight, index) => ({ node: idOf(index + 1), weight }));

/** Most keys of a slot are alike; a few slots are full, and some are empty. */
const keysPerSlot = fc
  .tuple(fc.integer({ min: 0, max: 100 }), fc.array(fc.tuple(fc.nat(SLOT_COUNT - 1), fc.nat(5_000)), { maxLength: 30 }))
  .map(([usual, special]) => {
    const keys = Float64Array.from({ length: SLOT_COUNT }, (_, slot) => (usual === 0 ? 0 : usual + (slot % 7)));
    for (const [slot, count] of special) keys[slot] = count;
    return keys;
  });

function heldBy(owners: readonly string[], id: string): SlotSet {
  return unionSlots(owners.flatMap((owner, slot) => (owner === id ? [{ start: slot, end: slot }] : [])));
}

describe('a rebalance by slots', () => {
  it('brings everybody to its share with the fewest moves, and has nothing more to do afterwards', () => {
    fc.assert(
      fc.property(
        divisions(8).chain((held) =>
          fc.tuple(
            fc.constant(held),
            fc.array(fc.constantFrom(0, 0.5, 1, 1, 3), { minLength: held.length, maxLength: held.length }),
          ),
        ),
        ([held, given]) => {
          const weights = given.some((weight) => weight > 0) ? given : given.map(() => 1);
          const options = { ...BY_SLOTS, weights: weigh(weights) };
          const snapshot = snapshotOf(tableOf(held));
          const plan = planRebalance(snapshot, options, { following: NOBODY });
          const before = ownersOf(snapshot);
          const { owners, moved } = carriedOut(before, plan);
          const sum = weights.reduce((all, weight) => all + weight, 0);
          const [had, has] = [counted(before), counted(owners)];
          let tooMany = 0;
          let tooFew = 0;
          for (const [index, weight] of weights.entries()) {
            const exact = (SLOT_COUNT * weight) / sum;
            expect(Math.abs((has.get(idOf(index + 1)) ?? 0) - exact)).toBeLessThan(1);
            tooMany += Math.max(0, (had.get(idOf(index + 1)) ?? 0) - Math.ceil(exact));
            tooFew += Math.max(0, Math.floor(exact) - (had.get(idOf(index + 1)) ?? 0));
          }
          // Within one slot of its share nobody is out of balance, so that nothing need move for that alone.
          expect(moved).toBe(Math.max(tooMany, tooFew));
          const after = snapshotOf(tableOf(held.map((_, index) => heldBy(owners, idOf(index + 1)))));
          expect(planRebalance(after, options, { following: NOBODY }).steps).toEqual([]);
          expect(planRebalance(snapshot, options, { following: NOBODY })).toEqual(plan);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('moves nothing within the threshold, and leaves masters without slots alone unless told', () => {
    const snapshot = snapshotOf([
      { n: 1, slots: '0-5560' },
      { n: 2, slots: '5561-10922' },
      { n: 3, slots: '10923-16383' },
      { n: 4 },
    ]);
    const plan = (more: Partial<RebalanceOptions>) =>
      planRebalance(snapshot, { ...BY_SLOTS, useEmptyMasters: false, ...more }, { following: NOBODY });
    expect(plan({ threshold: 2 })).toMatchObject({
      steps: [],
      notes: ['All masters are within 2 % of their share of slots; the furthest is off by 1.8 %.'],
    });
    expect(plan({ threshold: 1 }).steps.map(({ action }) => action.kind)).toEqual([
      'migrate-slots',
      'wait-convergence',
    ]);
    expect(plan({ useEmptyMasters: true }).steps.length).toBeGreaterThan(3);
    // A weight names it.
    expect(
      counted(carriedOut(ownersOf(snapshot), plan({ weights: [{ node: idOf(4), weight: 1 }] })).owners).get(idOf(4)),
    ).toBe(4096);
  });

  it('keeps a master that it drains from following its slots', () => {
    const plan = planRebalance(
      snapshotOf([...THREE, { n: 4, replicaOf: 3 }]),
      { ...BY_SLOTS, weights: [{ node: idOf(3), weight: 0 }] },
      { following: new Set([1, 3, 4].map(idOf)) },
    );
    expect(plan.steps.map(({ id }) => id)).toEqual(['hold', 'move-1', 'move-2', 'settle', 'release']);
    expect(plan.steps[0]?.action).toMatchObject({ nodes: [{ id: idOf(3) }, { id: idOf(4) }] });
  });

  it('is refused for a weight of a replica, of nobody, two of one node, and when all are 0', () => {
    const snapshot = snapshotOf([...THREE, { n: 4, replicaOf: 3 }]);
    const plan = (...weights: { node: string; weight: number }[]) =>
      refusal(() => planRebalance(snapshot, { ...BY_SLOTS, weights }, { following: NOBODY }));
    expect(plan({ node: idOf(4), weight: 2 })).toMatchObject({
      kind: 'refused',
      next: ['Name its master, 10.0.0.3:6379.'],
    });
    expect(plan({ node: 'nobody:1', weight: 2 }).kind).toBe('usage');
    expect(plan({ node: idOf(1), weight: 2 }, { node: '10.0.0.1:6379', weight: 1 }).kind).toBe('usage');
    expect(plan(...weigh([0, 0, 0])).message).toContain('All weights are 0');
  });

  it('is planned within a second for a thousand masters', () => {
    // Every second master has nothing, so that all that have must give.
    const even = splitEvenly(500);
    const held = Array.from({ length: 1_000 }, (_, n) => (n % 2 === 0 ? [even[n / 2] as SlotSet[number]] : []));
    const snapshot = largeSnapshot(tableOf(held));
    const bySlots = processorTime(() => planRebalance(snapshot, BY_SLOTS, { following: NOBODY }));
    const counts = counted(carriedOut(ownersOf(snapshot), bySlots.result).owners);
    expect([counts.size, Math.max(...counts.values())]).toEqual([1_000, 17]);
    expect(bySlots.ms).toBeLessThan(1_000);
    const slotKeys = Float64Array.from({ length: SLOT_COUNT }, (_, slot) => 100 + (slot % 50));
    const byKeys = processorTime(() =>
      planRebalance(snapshot, { ...BY_SLOTS, by: 'keys' }, { following: NOBODY, slotKeys }),
    );
    expect(byKeys.result.steps.length).toBeGreaterThan(500);
    expect(byKeys.ms).toBeLessThan(1_000);
  });
});

describe('a rebalance by what slots hold', () => {
  it('brings nobody further from its share, ends within one slot of it where slots allow, and drains what weighs nothing', () => {
    fc.assert(
      fc.property(
        divisions(6, 2).chain((held) =>
          fc.tuple(
            fc.constant(held),
            fc.array(fc.constantFrom(0, 1, 1, 2), { minLength: held.length, maxLength: held.length }),
          ),
        ),
        keysPerSlot,
        ([held, given], slotKeys) => {
          const weights = given.some((weight) => weight > 0) ? given : given.map(() => 1);
          const options: RebalanceOptions = { ...BY_SLOTS, by: 'keys', weights: weigh(weights) };
          const snapshot = snapshotOf(tableOf(held));
          const plan = planRebalance(snapshot, options, { following: NOBODY, slotKeys });
          const before = ownersOf(snapshot);
          const { owners } = carriedOut(before, plan);
          expect(owners.filter((owner) => owner === '')).toEqual([]);
          const total = slotKeys.reduce((sum, keys) => sum + keys, 0);
          const sum = weights.reduce((all, weight) => all + weight, 0);
          const largest = Math.max(...slotKeys);
          const draining = weights.some((weight, index) => weight === 0 && (held[index] as SlotSet).length > 0);
          for (const [index, weight] of weights.entries()) {
            const share = (total * weight) / sum;
            const had = Math.abs(loadOf(heldBy(before, idOf(index + 1)), slotKeys) - share);
            const has = Math.abs(loadOf(heldBy(owners, idOf(index + 1)), slotKeys) - share);
            if (weight === 0) expect(heldBy(owners, idOf(index + 1))).toEqual([]);
            else if (!draining) expect(has).toBeLessThanOrEqual(Math.max(had, largest) + 1e-6);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('moves the one full slot that is too much, and says when whole slots allow no better', () => {
    const slotKeys = new Float64Array(SLOT_COUNT);
    slotKeys.fill(1);
    slotKeys[7] = 20_000;
    const facts = { following: NOBODY, slotKeys };
    const plan = planRebalance(snapshotOf(), { ...BY_SLOTS, by: 'keys', threshold: 2 }, facts);
    const { owners } = carriedOut(ownersOf(snapshotOf()), plan);
    // It stays where it is, for it would be too much for anybody; the rest of its master goes.
    expect(owners[7]).toBe(idOf(1));
    expect(counted(owners).get(idOf(1))).toBe(1);
    expect(plan.notes.join()).toMatch(
      /10\.0\.0\.1:6379 is still off its share of keys by \d+\.\d %: whole slots allow no better/,
    );
  });

  it('by memory goes by the bytes of each master’s keys, and says that this is an estimate', () => {
    const info = (datasetBytes: number) => ({
      used_memory_dataset: datasetBytes,
      db0: 'keys=1000,expires=0,avg_ttl=0',
    });
    const snapshot = snapshotOf([
      { n: 1, slots: '0-8191', info: info(3_000_000) },
      { n: 2, slots: '8192-16383', info: info(1_000_000) },
    ]);
    const slotKeys = new Float64Array(SLOT_COUNT).fill(1_000 / 8_192);
    const bytes = slotBytes(snapshot, slotKeys);
    expect(Math.round(bytes[0] as number) / Math.round(bytes[16_383] as number)).toBeCloseTo(3, 1);
    const plan = planRebalance(snapshot, { ...BY_SLOTS, by: 'memory' }, { following: NOBODY, slotKeys });
    const { moved } = carriedOut(ownersOf(snapshot), plan);
    expect(Math.abs(moved - 8_192 / 3)).toBeLessThan(2);
    expect(plan.notes[0]).toContain('estimated');
  });
});

describe('a reshard', () => {
  const plan = (options: Parameters<typeof planReshard>[1]) => planReshard(snapshotOf(), options, NOBODY);

  it('takes so many from all others in proportion, or from those that are named', () => {
    const all = counted(carriedOut(ownersOf(snapshotOf()), plan({ to: idOf(1), from: [], slots: 1_000 })).owners);
    expect([all.get(idOf(1)), all.get(idOf(2)), all.get(idOf(3))]).toEqual([6_461, 4_962, 4_961]);
    const one = counted(
      carriedOut(ownersOf(snapshotOf()), plan({ to: idOf(1), from: [idOf(2)], slots: 1_000 })).owners,
    );
    expect(one.get(idOf(3))).toBe(5_461);
  });

  it('takes exactly those that are named, and has nothing to do for those that are there', () => {
    const exact = plan({ to: idOf(1), from: [], slots: parseSlots('0-9,6000,16383') });
    const { owners, moved } = carriedOut(ownersOf(snapshotOf()), exact);
    expect([moved, owners[6_000], owners[16_383]]).toEqual([2, idOf(1), idOf(1)]);
    expect(exact.request).toEqual({ to: idOf(1), from: [], slots: '0-9,6000,16383' });
    expect(plan({ to: idOf(1), from: [], slots: parseSlots('0-9') }).steps).toEqual([]);
  });

  it('is refused for what cannot be', () => {
    expect(refusal(() => plan({ to: idOf(1), from: [idOf(2)], slots: 6_000 })).kind).toBe('usage');
    expect(refusal(() => plan({ to: idOf(1), from: [idOf(2)], slots: parseSlots('16383') })).kind).toBe('refused');
    const replica = snapshotOf([...THREE, { n: 4, replicaOf: 1 }]);
    expect(refusal(() => planReshard(replica, { to: idOf(4), from: [], slots: 1 }, NOBODY)).message).toContain(
      'is a replica',
    );
    const dead = snapshotOf(THREE, { silent: [2] });
    expect(refusal(() => planReshard(dead, { to: idOf(2), from: [], slots: 1 }, NOBODY)).message).toContain(
      'does not answer',
    );
    for (const text of ['', '1-', '5-1', '16384', 'x', '1,,2']) {
      expect(refusal(() => parseSlots(text)).kind, text).toBe('usage');
    }
  });
});

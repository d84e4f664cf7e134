import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseForgeFile } from '../../../../src/config/forge-file.js';
import { giveByWeight, takeByWeight } from '../../../../src/operations/planners/kept-weights.js';
import { planRebalance } from '../../../../src/operations/planners/rebalance.js';
import { planScaleAdd } from '../../../../src/operations/planners/scale-add.js';
import { planScaleRemove } from '../../../../src/operations/planners/scale-remove.js';
import { giveToSmallest, takeFromLargest } from '../../../../src/operations/planners/weights.js';
import { snapshotOf } from '../support.js';
import { addressOf, carriedOut, counted, idOf, ownersOf } from './support.js';

/** 2 : 1 : 1. */
const UNEVEN = [
  { n: 1, slots: '0-8191' },
  { n: 2, slots: '8192-12287' },
  { n: 3, slots: '12288-16383' },
];
const KEPT = new Map([
  [idOf(1), 2],
  [idOf(4), 4],
]);
const NOBODY = new Set<string>();
const withStranger = () => snapshotOf(UNEVEN, { strangers: [{ n: 4 }] });
const add = (weight?: number, kept = KEPT) =>
  planScaleAdd(
    withStranger(),
    { nodes: [addressOf(4)], role: 'master', replicas: 0, ...(weight === undefined ? {} : { weight }) },
    kept,
  );

const sharesAfter = (plan: ReturnType<typeof add>) =>
  [1, 2, 3, 4].map((n) => counted(carriedOut(ownersOf(withStranger()), plan).owners).get(idOf(n)) ?? 0);

const holders = fc
  .array(fc.record({ slots: fc.nat(500), weight: fc.nat(5) }), { minLength: 1, maxLength: 8 })
  .map((list) => list.map((holder, index) => ({ id: `node ${index}`, ...holder })));

describe('weights that forge.yaml keeps', () => {
  it('are respected when masters join: the shares stay in proportion, and a new one gets its own', () => {
    expect(sharesAfter(add())).toEqual([4096, 2048, 2048, 8192]);
    expect(sharesAfter(add(0)).slice(0, 3)).toEqual([8192, 4096, 4096]);
    expect(sharesAfter(add(1))[3]).toBe(Math.floor(16_384 / 5));
  });

  it('are respected when masters leave, and when all is divided anew', () => {
    const leave = planScaleRemove(snapshotOf(UNEVEN), { nodes: [idOf(3)], withReplicas: false }, NOBODY, KEPT);
    const moved = leave.steps.flatMap(({ action }) =>
      action.kind === 'migrate-slots'
        ? [[action.target.id, action.ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0)]]
        : [],
    );
    expect(Object.fromEntries(moved)).toEqual({ [idOf(1)]: 2731, [idOf(2)]: 1365 });
    const options = { by: 'slots' as const, weights: [], threshold: 2, useEmptyMasters: false };
    expect(planRebalance(snapshotOf(UNEVEN), options, { following: NOBODY, weights: KEPT }).steps).toEqual([]);
    const now = { ...options, weights: [{ node: idOf(1), weight: 1 }] };
    expect(planRebalance(snapshotOf(UNEVEN), now, { following: NOBODY, weights: KEPT }).steps).not.toEqual([]);
  });

  it('are asked for where a plan would forget them, or flatten shares that may be meant', () => {
    expect(add(3, new Map([[idOf(1), 2]])).notes.join()).toMatch(
      /write them to forge\.yaml.*10\.0\.0\.4:6379 weight: 3/,
    );
    expect(add(4).notes).toEqual([]);
    expect(add(undefined, new Map()).notes.join()).toMatch(/10\.0\.0\.1:6379 serves 50 % more than an equal share/);
    expect(add().notes).toEqual([]);
  });

  it('equal ones divide as without; nobody is taken from that has nothing, and a weight of 0 gets nothing', () => {
    fc.assert(
      fc.property(holders, fc.nat(1_000), (list, asked) => {
        const total = list.reduce((sum, { slots }) => sum + slots, 0);
        const count = Math.min(asked, total);
        const levels = (map: Map<string, number>) => [...map.values()].toSorted((a, b) => a - b);
        const even = list.map((holder) => ({ ...holder, weight: 3 }));
        expect(levels(takeByWeight(even, count))).toEqual(levels(takeFromLargest(even, count)));
        expect(levels(giveByWeight(even, count))).toEqual(levels(giveToSmallest(even, count)));
        const left = takeByWeight(list, count);
        const given = giveByWeight(list, count);
        for (const { id, slots, weight } of list) {
          expect(left.get(id)).toBeGreaterThanOrEqual(0);
          expect(left.get(id)).toBeLessThanOrEqual(slots);
          if (weight === 0 && list.some((other) => other.weight > 0)) expect(given.get(id)).toBe(slots);
        }
        const sum = (map: Map<string, number>) => [...map.values()].reduce((all, each) => all + each, 0);
        expect([sum(left), sum(given)]).toEqual([total - count, total + count]);
      }),
    );
  });

  it('are numbers in forge.yaml', () => {
    const file = (weight: string) => `cluster: a\nnodes: [{ host: a, weight: ${weight} }]\n`;
    expect(parseForgeFile(file('0.5'), 'x').clusters[0]?.nodes[0]).toMatchObject({ host: 'a', weight: 0.5 });
    expect(() => parseForgeFile(file('-1'), 'x')).toThrow(/a number from 0 to 100000/);
    expect(() => parseForgeFile(file('heavy'), 'x')).toThrow(/a number from 0 to 100000/);
  });
});

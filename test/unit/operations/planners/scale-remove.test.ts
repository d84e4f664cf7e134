import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countSlots, splitEvenly } from '../../../../src/cluster/slots.js';
import { ForgeError } from '../../../../src/errors.js';
import type { Plan } from '../../../../src/operations/plan.js';
import { planScaleRemove } from '../../../../src/operations/planners/scale-remove.js';
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
const SIX = [...THREE, { n: 4, replicaOf: 1 }, { n: 5, replicaOf: 2 }, { n: 6, replicaOf: 3 }];
const kinds = (plan: Plan) => plan.steps.map(({ action }) => action.kind);
const attached = (plan: Plan) =>
  new Map(
    plan.steps.flatMap(({ action }) => (action.kind === 'replicate' ? [[action.node.id, action.master.id]] : [])),
  );
const remove = (snapshot: ReturnType<typeof snapshotOf>, ns: number[], withReplicas = false) =>
  planScaleRemove(snapshot, { nodes: ns.map(idOf), withReplicas }, NOBODY);

describe('a plan that removes nodes', () => {
  it('moves every slot of theirs once, evens out the rest, and leaves no replica and no master behind', () => {
    fc.assert(
      fc.property(
        divisions(6, 2),
        fc.array(fc.nat(3), { minLength: 6, maxLength: 6 }),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
        fc.boolean(),
        (held, replicas, chosen, withReplicas) => {
          const table = tableOf(held, replicas.slice(0, held.length));
          const snapshot = snapshotOf(table);
          const ns = table.filter((_, index) => chosen[index]).map(({ n }) => n);
          if (ns.length === 0) return;
          let plan: Plan;
          try {
            plan = remove(snapshot, ns, withReplicas);
          } catch (error) {
            // Refused only where nobody would be left to take the slots, or to follow.
            expect(error).toBeInstanceOf(ForgeError);
            expect((error as ForgeError).kind).toBe('refused');
            const staying = held.filter((_, index) => !ns.includes(index + 1));
            expect(staying.length === 0 || staying.every((slots) => slots.length === 0)).toBe(true);
            return;
          }
          const gone = new Set(plan.steps.flatMap(({ action }) => (action.kind === 'forget' ? [action.node.id] : [])));
          for (const n of ns) expect(gone.has(idOf(n))).toBe(true);
          const before = ownersOf(snapshot);
          const { owners, moved } = carriedOut(before, plan);
          expect(moved).toBe(before.filter((owner) => gone.has(owner)).length);
          expect(owners.filter((owner) => gone.has(owner) || owner === '')).toEqual([]);
          const moves = attached(plan);
          for (const { n, replicaOf } of table) {
            if (replicaOf === undefined || gone.has(idOf(n))) continue;
            const master = moves.get(idOf(n)) ?? idOf(replicaOf);
            expect(gone.has(master)).toBe(false);
          }
          // Forgotten last: only the wait for agreement comes after.
          const first = kinds(plan).indexOf('forget');
          for (const kind of kinds(plan).slice(first)) expect(['forget', 'wait-convergence']).toContain(kind);
          expect(remove(snapshot, ns, withReplicas)).toEqual(plan);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('attaches the replicas of a removed master elsewhere, or removes them, too', () => {
    const snapshot = snapshotOf(SIX);
    const plan = remove(snapshot, [3]);
    expect(kinds(plan)).toEqual([
      ...['migrate-slots', 'migrate-slots', 'wait-convergence', 'replicate', 'wait-convergence'],
      ...['forget', 'wait-convergence'],
    ]);
    expect(plan.notes).toEqual([
      '2 masters serve afterwards: with fewer than 3, no replica takes over when one fails.',
    ]);
    const both = remove(snapshot, [3], true);
    expect(kinds(both).filter((kind) => kind === 'forget')).toHaveLength(2);
    // The replica first: its master must have none when it is forgotten.
    const forgotten = both.steps.flatMap(({ action }) => (action.kind === 'forget' ? [action.node.id] : []));
    expect(forgotten).toEqual([idOf(6), idOf(3)]);
  });

  it('gives a master that loses its last replica one of a master that has two, and says when there is none', () => {
    const rich = snapshotOf([...SIX, { n: 7, replicaOf: 2 }]);
    const plan = remove(rich, [4]);
    expect([...attached(plan)]).toEqual([[idOf(5), idOf(1)]]);
    expect(plan.notes).toEqual([]);
    const poor = remove(snapshotOf(SIX), [4]);
    expect(attached(poor).size).toBe(0);
    expect(poor.notes).toEqual(['10.0.0.1:6379 has no replica afterwards: when it fails, nobody serves its slots.']);
  });

  it('keeps drained masters and their replicas from following their slots until all have agreed', () => {
    const following = new Set([3, 6, 1].map(idOf));
    const plan = planScaleRemove(snapshotOf(SIX), { nodes: [idOf(3)], withReplicas: false }, following);
    const [first] = plan.steps;
    expect(first?.action).toMatchObject({ kind: 'hold-role', hold: true, nodes: [{ id: idOf(3) }, { id: idOf(6) }] });
    const release = plan.steps.find(({ id }) => id === 'release');
    expect(release?.after).toEqual(['agree']);
    for (const { action, after } of plan.steps) if (action.kind === 'forget') expect(after).toContain('release');
  });

  it('removes what is dead only when no keys go with it', () => {
    const dead = (ns: number[]) => snapshotOf(SIX, { silent: ns });
    expect(refusal(() => remove(dead([3]), [3]))).toMatchObject({
      kind: 'refused',
      message: '10.0.0.3:6379 does not answer and serves 5461 slots: their keys cannot be moved.',
      next: ['Let its replica take over first: forge cluster failover 10.0.0.6:6379'],
    });
    expect(refusal(() => remove(dead([3, 6]), [3])).next.join()).toContain('Nobody has a copy');
    expect(refusal(() => remove(dead([3]), [6])).message).toContain('the last copy of the keys of 10.0.0.3:6379');
    const replica = remove(dead([6]), [6]);
    expect(replica.tolerates).toEqual(['nodes-down']);
    expect(replica.steps[0]?.action).toMatchObject({ kind: 'forget', reset: false });
    // Somebody else is down, too: that is for a guard to refuse.
    expect(remove(dead([5, 6]), [6]).tolerates).toEqual([]);
    const keys = snapshotOf([...THREE, { n: 4, info: { db0: 'keys=7,expires=0,avg_ttl=0' } }]);
    expect(refusal(() => remove(keys, [4])).message).toContain('holds 7 keys');
  });

  it('is refused for nodes that are none, and when no master would be left', () => {
    expect(refusal(() => remove(snapshotOf(), [9]))).toMatchObject({ kind: 'usage' });
    expect(refusal(() => remove(snapshotOf(), [1, 2, 3])).message).toBe('No other master is there to take the slots.');
    const stranger = snapshotOf(THREE, { strangers: [{ n: 9 }] });
    const refused = refusal(() => remove(stranger, [9]));
    expect(refused.message).toContain('is no member of this cluster');
    expect(refused.next.join(' ')).toContain('forge audit');
  });

  it('is made within a second for a thousand masters', () => {
    const held = splitEvenly(1_000).map((range) => [range]);
    const table = tableOf(
      held,
      Array.from({ length: 1_000 }, () => 1),
    );
    const snapshot = largeSnapshot(table);
    const ns = Array.from({ length: 100 }, (_, index) => index + 1);
    const { result, ms } = processorTime(() => remove(snapshot, ns));
    expect(attached(result).size).toBe(100);
    const counts = counted(carriedOut(ownersOf(snapshot), result).owners);
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(countSlots(held.flat()));
    expect(ms).toBeLessThan(1_000);
  });
});

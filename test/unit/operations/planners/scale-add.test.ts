import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLOT_COUNT, splitEvenly } from '../../../../src/cluster/slots.js';
import { type Plan, planLines } from '../../../../src/operations/plan.js';
import { planScaleAdd, type ScaleAddOptions } from '../../../../src/operations/planners/scale-add.js';
import { snapshotOf, THREE } from '../support.js';
import {
  addressOf,
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

const MASTERS: Omit<ScaleAddOptions, 'nodes'> = { role: 'master', replicas: 0, weight: 1 };
const kinds = (plan: Plan) => plan.steps.map(({ action }) => action.kind);
const attached = (plan: Plan) =>
  plan.steps.flatMap(({ action }) =>
    action.kind === 'replicate' ? [[action.node.address, action.master.address]] : [],
  );

describe('a plan that adds masters', () => {
  it('moves exactly their share, from the largest only, whatever the cluster looks like; every slot has one owner', () => {
    fc.assert(
      fc.property(
        divisions(8).filter((held) => held.some((slots) => slots.length > 0)),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 0.5, 1, 2),
        (held, count, weight) => {
          const joining = Array.from({ length: count }, (_, n) => ({ n: 101 + n }));
          const snapshot = snapshotOf(tableOf(held), { strangers: joining });
          const options = { ...MASTERS, nodes: joining.map(({ n }) => addressOf(n)), weight };
          const plan = planScaleAdd(snapshot, options);
          const before = ownersOf(snapshot);
          const { owners, moved } = carriedOut(before, plan);
          const counts = counted(owners);
          const serving = held.filter((slots) => slots.length > 0).length;
          const share = (SLOT_COUNT * weight) / (serving + count * weight);
          let gained = 0;
          for (const { n } of joining) {
            const got = counts.get(idOf(n)) ?? 0;
            expect(Math.abs(got - share)).toBeLessThan(1);
            gained += got;
          }
          expect(moved).toBe(gained);
          // Whoever gave is now among the largest of the former masters.
          const former = [...counted(before)].map(([id, slots]) => ({ id, slots, now: counts.get(id) ?? 0 }));
          const largest = Math.max(...former.map(({ now }) => now));
          for (const { slots, now } of former) {
            expect(now).toBeLessThanOrEqual(slots);
            if (now < slots) expect(now).toBeGreaterThanOrEqual(largest - 1);
          }
          expect(planScaleAdd(snapshot, options)).toEqual(plan);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('joins, waits, copies functions, attaches replicas, and only then moves slots', () => {
    const snapshot = snapshotOf(THREE, { strangers: [{ n: 4 }, { n: 5 }] });
    const plan = planScaleAdd(snapshot, { ...MASTERS, nodes: [addressOf(4), addressOf(5)], replicas: 1 });
    expect(kinds(plan)).toEqual([
      ...['meet', 'meet', 'wait-convergence', 'copy-functions', 'replicate'],
      ...['migrate-slots', 'migrate-slots', 'migrate-slots', 'wait-convergence'],
    ]);
    expect(planLines(plan).at(4)).toBe('Attach 10.0.0.5:6379 to 10.0.0.4:6379');
    for (const { action, after } of plan.steps) {
      if (action.kind === 'migrate-slots') expect(after).toEqual(['agree', 'functions-1', 'attach-1']);
    }
    expect(plan.title).toBe('Add 10.0.0.4:6379, 10.0.0.5:6379 as masters');
  });

  it('puts replicas off the zone of their master', () => {
    const nodes = [4, 5, 6, 7].map((n) => ({ ...addressOf(n), zone: n % 2 === 0 ? 'a' : 'b' }));
    const snapshot = snapshotOf(THREE, { strangers: [4, 5, 6, 7].map((n) => ({ n })) });
    const zone = new Map(nodes.map(({ host, zone: name }) => [`${host}:6379`, name]));
    const pairs = attached(planScaleAdd(snapshot, { ...MASTERS, nodes, replicas: 1 }));
    expect(pairs).toHaveLength(2);
    for (const [node, master] of pairs) expect(zone.get(node as string)).not.toBe(zone.get(master as string));
  });

  it('takes zones from where all zones are told, when none is written behind the address', () => {
    const zoneOf = ({ ip }: { ip: string }) => (['10.0.0.4', '10.0.0.6'].includes(ip) ? 'a' : 'b');
    const nodes = [4, 5, 6, 7].map(addressOf);
    const snapshot = snapshotOf(THREE, { strangers: [4, 5, 6, 7].map((n) => ({ n })), zoneOf });
    for (const [node, master] of attached(planScaleAdd(snapshot, { ...MASTERS, nodes, replicas: 1 }))) {
      const zone = (address: string | undefined) => zoneOf({ ip: address?.split(':')[0] ?? '' });
      expect(zone(node)).not.toBe(zone(master));
    }
  });

  it('goes on where a member is half way, and has no steps when all is done', () => {
    const nodes = [addressOf(4), addressOf(5)];
    const half = snapshotOf([...THREE, { n: 4 }], { strangers: [{ n: 5 }] });
    const plan = planScaleAdd(half, { ...MASTERS, nodes, replicas: 1 });
    expect(kinds(plan).filter((kind) => kind === 'meet')).toHaveLength(1);
    const quarter = splitEvenly(4);
    const done = snapshotOf([...tableOf(quarter.map((range) => [range])), { n: 5, replicaOf: 4 }]);
    expect(planScaleAdd(done, { ...MASTERS, nodes, replicas: 1 }).steps).toEqual([]);
    // What was asked for is the same, whatever is left to do.
    expect(planScaleAdd(done, { ...MASTERS, nodes, replicas: 1 }).request).toEqual(plan.request);
  });

  it('is refused for counts that do not fit, a node named twice, one that is silent, and one with another role', () => {
    const snapshot = snapshotOf([...THREE, { n: 6, replicaOf: 1 }], {
      strangers: [{ n: 4 }],
      failures: [{ address: '10.0.0.9:6379', kind: 'timeout', message: '10.0.0.9:6379 did not answer INFO in time.' }],
    });
    const add = (ns: number[], more: Partial<ScaleAddOptions> = {}) =>
      refusal(() => planScaleAdd(snapshot, { ...MASTERS, nodes: ns.map(addressOf), ...more }));
    expect(add([4], { replicas: 1 })).toMatchObject({ kind: 'usage' });
    expect(add([4, 4]).message).toBe('10.0.0.4:6379 and 10.0.0.4:6379 are the same node.');
    expect(add([9])).toMatchObject({ kind: 'timeout', host: '10.0.0.9:6379' });
    expect(add([8])).toMatchObject({ kind: 'unreachable' });
    expect(add([6])).toMatchObject({ kind: 'refused' });
    expect(add([4], { replicaOf: '10.0.0.1:6379' })).toMatchObject({ kind: 'usage' });
  });

  it('is made within a second for a thousand masters', () => {
    const table = tableOf(splitEvenly(1_000).map((range) => [range]));
    const joining = Array.from({ length: 100 }, (_, n) => ({ n: 2_001 + n }));
    const snapshot = largeSnapshot(table, joining);
    const options = { ...MASTERS, nodes: joining.map(({ n }) => addressOf(n)), replicas: 1 };
    const { result, ms } = processorTime(() => planScaleAdd(snapshot, options));
    expect(kinds(result).filter((kind) => kind === 'replicate')).toHaveLength(50);
    expect(carriedOut(ownersOf(snapshot), result).moved).toBeGreaterThan(700);
    expect(ms).toBeLessThan(1_000);
  });
});

describe('a plan that adds replicas', () => {
  const REPLICAS: Omit<ScaleAddOptions, 'nodes'> = { role: 'replica', replicas: 0, weight: 1 };

  it('attaches them to the masters with the fewest, or to the one that is named', () => {
    const table = [...THREE, { n: 11, replicaOf: 1 }, { n: 12, replicaOf: 2 }];
    const snapshot = snapshotOf(table, { strangers: [{ n: 4 }, { n: 5 }] });
    const nodes = [addressOf(4), addressOf(5)];
    expect(attached(planScaleAdd(snapshot, { ...REPLICAS, nodes }))[0]).toEqual(['10.0.0.5:6379', '10.0.0.1:6379']);
    const named = planScaleAdd(snapshot, { ...REPLICAS, nodes, replicaOf: idOf(2) });
    expect(attached(named)).toEqual([
      ['10.0.0.4:6379', '10.0.0.2:6379'],
      ['10.0.0.5:6379', '10.0.0.2:6379'],
    ]);
    expect(kinds(named)).not.toContain('migrate-slots');
  });

  it('is refused for a replica as a master, an unknown one, and a member that serves slots', () => {
    const snapshot = snapshotOf([...THREE, { n: 11, replicaOf: 1 }], { strangers: [{ n: 4 }] });
    const add = (n: number, replicaOf?: string) =>
      refusal(() =>
        planScaleAdd(snapshot, {
          ...REPLICAS,
          nodes: [addressOf(n)],
          ...(replicaOf === undefined ? {} : { replicaOf }),
        }),
      );
    expect(add(4, '10.0.0.11:6379')).toMatchObject({
      kind: 'refused',
      message: '10.0.0.11:6379 is a replica of 10.0.0.1:6379, not a master.',
      next: ['Name its master: --replica-of 10.0.0.1:6379'],
    });
    expect(add(4, '10.0.0.99:6379')).toMatchObject({ kind: 'usage' });
    expect(add(2, '10.0.0.1:6379').message).toContain('a master that serves 5462 slots');
  });

  it('leaves one alone that follows somebody already, and moves it when another master is named', () => {
    const snapshot = snapshotOf([...THREE, { n: 11, replicaOf: 1 }]);
    expect(planScaleAdd(snapshot, { ...REPLICAS, nodes: [addressOf(11)] })).toMatchObject({
      title: '10.0.0.11:6379 is a member already',
      steps: [],
      notes: ['10.0.0.11:6379 is a member already: a replica of 10.0.0.1:6379'],
    });
    const plan = planScaleAdd(snapshot, { ...REPLICAS, nodes: [addressOf(11)], replicaOf: '10.0.0.2:6379' });
    expect(plan.steps.find(({ action }) => action.kind === 'replicate')?.action).toMatchObject({
      previousMaster: { id: idOf(1) },
    });
  });
});

describe('a plan that adds members', () => {
  it('says what they are, and what is still to be done for the others', () => {
    const snapshot = snapshotOf([...THREE, { n: 5 }], { strangers: [{ n: 4 }] });
    const add = (...nodes: number[]) => planScaleAdd(snapshot, { ...MASTERS, weight: 0, nodes: nodes.map(addressOf) });
    expect(add(1)).toMatchObject({
      title: '10.0.0.1:6379 is a member already',
      steps: [],
      notes: ['10.0.0.1:6379 is a member already: a master that serves 5461 slots'],
    });
    expect(add(5, 4)).toMatchObject({
      title: 'Add 10.0.0.5:6379, 10.0.0.4:6379 as masters',
      notes: ['10.0.0.5:6379 is a member already: a master without slots'],
    });
  });
});

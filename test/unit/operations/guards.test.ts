import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../src/cluster/snapshot/snapshot.js';
import { findViolations, GUARDS, parseForce, throwViolations } from '../../../src/operations/guards/index.js';
import { createPlan } from '../../../src/operations/plan.js';
import { type DescribedNode, idOf, rawNode, snapshotOf, THREE } from './support.js';

const ref = (n: number) => ({ id: idOf(n), address: `10.0.0.${n}:6379` });
const MOVE = { kind: 'migrate-slots' as const, source: ref(1), target: ref(2), ranges: [{ start: 0, end: 5460 }] };

const judged = (snapshot: ClusterSnapshot, tolerates: string[] = [], force: string[] = []) =>
  findViolations(
    snapshot,
    createPlan(snapshot, { operation: 'x', request: {}, title: 'x', steps: [{ action: MOVE }], tolerates }),
    force,
  );
const changed = (n: number, change: Partial<DescribedNode>) =>
  THREE.map((node) => (node.n === n ? { ...node, ...change } : node));
const info = (n: number, fields: Record<string, string | number>) => snapshotOf(changed(n, { info: fields }));

describe('the guards', () => {
  it('have nothing against a healthy cluster', () => {
    expect(judged(snapshotOf())).toEqual([]);
  });

  it.each<[string, () => ClusterSnapshot, RegExp]>([
    [
      'open-slots',
      () => snapshotOf(changed(1, { slots: `0-5460 [7->-${idOf(2)}]` })),
      /1 slot is open: 7 migrating at 10\.0\.0\.1/,
    ],
    [
      'open-slots',
      () => snapshotOf(changed(2, { slots: `5461-10922 [7-<-${idOf(1)}]` })),
      /7 importing at 10\.0\.0\.2/,
    ],
    [
      'uncovered-slots',
      () => snapshotOf(changed(3, { slots: '10923-16380' })),
      /3 slots are served by nobody: 16381-16383/,
    ],
    ['nodes-down', () => snapshotOf(THREE, { silent: [3] }), /10\.0\.0\.3:6379/],
    ['nodes-down', () => snapshotOf(changed(2, { flags: 'master,fail?' })), /10\.0\.0\.2:6379/],
    ['majority', () => snapshotOf(THREE, { silent: [2, 3] }), /only 1 of 3 masters/],
    ['failover', () => info(2, { master_failover_state: 'waiting-for-sync' }), /10\.0\.0\.2:6379: waiting-for-sync/],
    ['loading', () => info(1, { loading: 1 }), /10\.0\.0\.1:6379 loads/],
    ['versions', () => info(1, { redis_version: '8.0.6' }), /redis 8\.0\.6, 10\.0\.0\.2:6379 redis 7\.0\.15/],
    ['versions', () => info(1, { valkey_version: '9.1.0' }), /valkey 9\.1\.0/],
    [
      'memory',
      () => info(2, { maxmemory: 1_200_000 }),
      /10\.0\.0\.2:6379 gets about 0 MiB, and has room for 0 MiB of its 1 MiB/,
    ],
    [
      'not-empty',
      () => snapshotOf(THREE, { strangers: [{ n: 4, info: { db0: 'keys=3,expires=0' } }] }),
      /holds 3 keys/,
    ],
    ['other-cluster', () => snapshotOf(THREE, { strangers: [{ n: 4, slots: '0-1' }] }), /serves slots of its own/],
  ])('%s refuses what it is there for, with the reason', (name, snapshot, reason) => {
    const found = judged(snapshot()).find(({ guard }) => guard === name);
    expect(found?.effect).toBe('refuses');
    expect(found?.reasons.join()).toMatch(reason);
  });

  it('see nodes with different pictures, and slots that two claim', () => {
    const other = changed(1, { slots: '0-5461' });
    const [first, second, third] = THREE as [DescribedNode, DescribedNode, DescribedNode];
    const snapshot = new ClusterSnapshot({
      reports: [parseReport(rawNode(other[0]!, other)), ...[second, third].map((n) => parseReport(rawNode(n, THREE)))],
    });
    expect(first.n).toBe(1);
    const [found] = judged(snapshot).filter(({ guard }) => guard === 'disagreement');
    expect(found?.reasons).toEqual([
      'the nodes see 2 different clusters; another than most: 10.0.0.1:6379',
      'two masters each claim the slots 5461',
    ]);
  });

  it('let a newer server have the slots of an older one, and a target without a limit have any', () => {
    expect(judged(info(2, { redis_version: '8.0.6' }))).toEqual([]);
    expect(judged(info(2, { maxmemory: 100_000_000 }))).toEqual([]);
  });

  it('are overridden by name only, and tolerated by the operation that puts things right', () => {
    const open = snapshotOf(changed(1, { slots: `0-5460 [7->-${idOf(2)}]` }));
    const effects = (tolerates: string[], force: string[]) =>
      judged(open, tolerates, force).map(({ effect }) => effect);
    expect(effects([], [])).toEqual(['refuses']);
    expect(effects([], ['open-slots'])).toEqual(['forced']);
    expect(effects(['open-slots'], [])).toEqual(['tolerated']);
    expect(effects([], ['memory'])).toEqual(['refuses']);
    expect(() => throwViolations(judged(open))).toThrow(/must not be changed now:\n {2}open-slots: 1 slot is open/);
    expect(() => throwViolations(judged(open, [], ['open-slots']))).not.toThrow();
  });

  it('have names of their own, which --force knows, and no word for all', () => {
    expect(new Set(GUARDS.map(({ name }) => name)).size).toBe(GUARDS.length);
    expect(parseForce(['memory,open-slots', 'memory'])).toEqual(['memory', 'open-slots']);
    expect(() => parseForce(['all'])).toThrow(/no such guard/);
  });

  it('open-slots: what the servers move by themselves refuses, unless the plan is there for it', () => {
    const snapshot = snapshotOf();
    const job = (source: number, target: number, start: number, end: number) => ({
      id: 'j1',
      slots: [{ start, end }],
      slotCount: end - start + 1,
      sourceId: idOf(source),
      targetId: idOf(target),
      source: ref(source).address,
      target: ref(target).address,
      state: 'snapshot',
      message: '',
      failing: false,
      cancel: { node: ref(source).address, command: 'CLUSTER CANCELSLOTMIGRATIONS' },
    });
    const plan = createPlan(snapshot, { operation: 'x', request: {}, title: 'x', steps: [{ action: MOVE }] });
    const told = (...jobs: ReturnType<typeof job>[]) => findViolations(snapshot, plan, [], jobs);
    expect(told(job(1, 2, 0, 99))).toEqual([]);
    expect(told(job(2, 1, 0, 99))).toEqual([]);
    expect(told(job(1, 3, 0, 99))).toEqual([
      {
        guard: 'open-slots',
        effect: 'refuses',
        reasons: [
          '100 slots (0-99) on the way from 10.0.0.1:6379 to 10.0.0.3:6379 by a job of the servers (snapshot); to end it, CLUSTER CANCELSLOTMIGRATIONS at 10.0.0.1:6379',
        ],
      },
    ]);
    expect(told(job(2, 3, 5461, 5461))[0]?.reasons[0]).toMatch(/^1 slot \(5461\) on the way/);
  });
});

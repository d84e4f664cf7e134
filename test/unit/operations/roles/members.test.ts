import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import type { ForgeError } from '../../../../src/errors.js';
import { planLines } from '../../../../src/operations/plan.js';
import { planForget } from '../../../../src/operations/planners/forget.js';
import { planReplace } from '../../../../src/operations/planners/replace.js';
import { type DescribedNode, idOf, rawNode, snapshotOf, THREE } from '../support.js';

const address = (n: number) => `10.0.0.${n}:6379`;
const replica = (n: number, of: number, flags?: string): DescribedNode => ({
  n,
  replicaOf: of,
  ...(flags === undefined ? {} : { flags }),
  info: { role: 'slave', master_link_status: 'up' },
});
const added = { host: '10.0.0.9', port: 6379 };

function failure(work: () => unknown): ForgeError {
  try {
    work();
  } catch (error) {
    return error as ForgeError;
  }
  throw new Error('nothing was thrown');
}

describe('forgetting', () => {
  const DEAD = [...THREE, replica(4, 1, 'slave,fail'), { n: 5, flags: 'master,fail' }, replica(6, 5, 'slave,fail')];

  it('takes all that are dead, replicas before their masters, and nobody else has to be down', () => {
    const plan = planForget(snapshotOf(DEAD, { silent: [4, 5, 6] }), { nodes: [], dead: true });
    expect(planLines(plan)).toEqual([
      `Remove ${address(4)} from the cluster`,
      `Remove ${address(6)} from the cluster`,
      `Remove ${address(5)} from the cluster`,
      'Wait until all nodes agree',
    ]);
    expect(plan.tolerates).toEqual(['nodes-down', 'disagreement']);
    const some = planForget(snapshotOf(DEAD, { silent: [4, 5, 6] }), { nodes: [address(4)], dead: false });
    expect(some.tolerates).toEqual(['disagreement']);
    expect(planForget(snapshotOf(), { nodes: [], dead: true }).steps).toEqual([]);
  });

  it('finds a node that only some have in their tables, and tolerates that they disagree about it only', () => {
    const dead = replica(4, 1, 'slave,fail');
    const views = [THREE, [...THREE, dead], THREE];
    const reports = THREE.map((node, index) => parseReport(rawNode(node, views[index] ?? THREE)));
    const snapshot = new ClusterSnapshot({ reports });
    expect(snapshot.agreed).toBe(false);
    const plan = planForget(snapshot, { nodes: [idOf(4)], dead: false });
    expect(plan.tolerates).toContain('disagreement');
    const moved = [{ n: 1, slots: '0-5459' }, { n: 2, slots: '5460-10922' }, THREE[2]!, dead];
    const other = [parseReport(rawNode(THREE[0]!, THREE)), parseReport(rawNode(moved[1]!, moved)), reports[2]!];
    const differing = planForget(new ClusterSnapshot({ reports: other }), { nodes: [idOf(4)], dead: false });
    expect(differing.tolerates).not.toContain('disagreement');
  });

  it.each([
    ['answers', [...THREE, replica(4, 1)], [], 4, 'forge scale remove'],
    ['is held for alive', [...THREE, replica(4, 1)], [4], 4, 'network'],
    ['serves slots', [{ ...THREE[0]!, flags: 'master,fail' }, THREE[1]!, THREE[2]!], [1], 1, 'Bring it back'],
    [
      'serves slots and has a replica',
      [{ ...THREE[0]!, flags: 'master,fail' }, THREE[1]!, THREE[2]!, replica(4, 1)],
      [1],
      1,
      `forge cluster failover ${address(4)} --mode force`,
    ],
    ['has replicas', [...THREE, { n: 5, flags: 'master,fail' }, replica(6, 5)], [5], 5, 'Forget or remove them'],
  ])('is refused for a node that %s', (_, table, silent, n, next) => {
    const refusal = failure(() => planForget(snapshotOf(table, { silent }), { nodes: [idOf(n)], dead: false }));
    expect(refusal).toMatchObject({ kind: 'refused', host: address(n) });
    expect(refusal.next.join()).toContain(next);
  });
});

describe('replacing', () => {
  const SIX = [...THREE, replica(4, 1), replica(5, 2), replica(6, 3)];
  const strangers = [{ n: 9 }];
  const plan = (table: readonly DescribedNode[], old: string, silent: number[] = []) =>
    planReplace(snapshotOf(table, { silent, strangers }), { old, new: added });

  it('copies, hands over, and removes: no slot moves', () => {
    const lines = planLines(plan(SIX, address(1)));
    expect(lines).toEqual([
      `Join ${address(9)}`,
      'Wait until all nodes agree',
      `Attach ${address(9)} to ${address(1)}`,
      `Wait until ${address(9)} has all data`,
      'Wait until all nodes agree',
      `Make ${address(9)} the master in place of ${address(1)}`,
      `Wait until ${address(4)} has all data`,
      'Wait until all nodes agree',
      `Remove ${address(1)} from the cluster and reset it`,
      'Wait until all nodes agree',
    ]);
  });

  it('needs no failover for a replica, and no reset for a dead one', () => {
    const alive = plan(SIX, idOf(5));
    expect(alive.steps.map(({ action }) => action.kind)).not.toContain('failover');
    expect(planLines(alive)).toContain(`Attach ${address(9)} to ${address(2)}`);
    const dead = plan([...THREE, replica(4, 1, 'slave,fail'), replica(5, 2)], address(4), [4]);
    expect(planLines(dead)).toContain(`Remove ${address(4)} from the cluster`);
    expect(dead.tolerates).toEqual(['nodes-down']);
  });

  it('is nothing when the old node is gone and the new one there', () => {
    const replaced = planReplace(snapshotOf([...THREE, replica(9, 1)]), { old: address(4), new: added });
    expect(replaced.steps).toEqual([]);
  });

  it.each([
    ['a dead master with slots and a replica', address(1), [1], '--mode force'],
    ['a replica of a dead master', address(4), [1], '--mode force'],
    ['an unknown node', '10.0.0.77:6379', [], 'Name a node'],
  ])('is refused for %s', (_, old, silent, next) => {
    expect(failure(() => plan(SIX, old, silent)).next.join()).toContain(next);
  });

  it('is refused when the new node is a member, the same node, or does not answer', () => {
    const member = snapshotOf([...THREE, replica(9, 1)]);
    expect(failure(() => planReplace(member, { old: address(2), new: added }))).toMatchObject({ kind: 'refused' });
    expect(failure(() => planReplace(member, { old: address(9), new: added }))).toMatchObject({ kind: 'usage' });
    const silent = failure(() => planReplace(snapshotOf(SIX), { old: address(1), new: added }));
    expect(silent).toMatchObject({ kind: 'unreachable', host: address(9) });
  });
});

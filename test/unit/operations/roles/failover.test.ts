import { describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import { planLines } from '../../../../src/operations/plan.js';
import { type FailoverRequest, planFailover } from '../../../../src/operations/planners/failover.js';
import { type DescribedNode, idOf, snapshotOf, THREE } from '../support.js';

const replica = (n: number, of: number, info: DescribedNode['info'] = {}): DescribedNode => ({
  n,
  replicaOf: of,
  info: { role: 'slave', master_link_status: 'up', ...info },
});
const SIX = [...THREE, replica(4, 1), replica(5, 2), replica(6, 3)];
const request: FailoverRequest = { promote: [], from: [], mode: 'planned' };
const address = (n: number) => `10.0.0.${n}:6379`;

function failure(work: () => unknown): ForgeError {
  try {
    work();
  } catch (error) {
    return error as ForgeError;
  }
  throw new Error('nothing was thrown');
}

const lines = (table: readonly DescribedNode[], asked: Partial<FailoverRequest>, silent: number[] = []) =>
  planLines(planFailover(snapshotOf(table, { silent }), { ...request, ...asked }));

describe('a planned failover', () => {
  it('promotes the replicas that are named, one after the other, and waits for those that follow', () => {
    const plan = planFailover(snapshotOf(SIX), { ...request, promote: [`${address(4)},${idOf(5)}`] });
    expect(planLines(plan)).toEqual([
      `Make ${address(4)} the master in place of ${address(1)}`,
      `Make ${address(5)} the master in place of ${address(2)}`,
      `Wait until ${address(1)}, ${address(2)} have all data`,
      'Wait until all nodes agree',
    ]);
    expect(plan.steps.map(({ after }) => after)).toEqual([[], ['s1'], ['s2'], ['s3']]);
    expect(plan.tolerates).toEqual([]);
  });

  it('is nothing for a node that is a master already, and says how its role is taken away', () => {
    const plan = planFailover(snapshotOf(SIX), { ...request, promote: [address(1)] });
    expect(plan.steps).toEqual([]);
    expect(plan.notes.join()).toContain(`--from ${address(1)}`);
    expect(planFailover(snapshotOf(SIX), { ...request, from: [address(4)] }).steps).toEqual([]);
  });

  it('takes the replica that has its data, and among equals the lowest id, whatever their lag is', () => {
    const table = [
      ...THREE,
      replica(4, 1, { master_link_status: 'down' }),
      replica(5, 1, { slave_repl_offset: 10 }),
      replica(6, 1, { slave_repl_offset: 99 }),
      replica(7, 1, { master_sync_in_progress: 1 }),
    ];
    expect(lines(table, { from: [address(1)] })[0]).toBe(`Make ${address(5)} the master in place of ${address(1)}`);
    expect(lines(table, { from: [address(1)] }, [5])[0]).toContain(`Make ${address(6)} `);
  });

  it('is refused where nobody can be promoted, and where the master is dead', () => {
    expect(failure(() => lines(SIX, { from: [address(1)] }, [4]))).toMatchObject({ kind: 'refused' });
    expect(failure(() => lines(SIX, { promote: [address(4)] }, [4]))).toMatchObject({ kind: 'unreachable' });
    const cut = SIX.map((node) => (node.n === 4 ? replica(4, 1, { master_link_status: 'down' }) : node));
    expect(failure(() => lines(cut, { from: [address(1)] })).next.join()).toContain(`not its data: ${address(4)}`);
    expect(failure(() => lines(THREE, { from: [address(1)] })).next.join()).toContain('forge scale add');
    const dead = failure(() => lines(cut, { from: [address(1)] }, [1]));
    expect(dead).toMatchObject({ kind: 'refused', host: address(1) });
    expect(dead.next.join()).toContain('--mode force');
    const empty = failure(() => lines([...THREE, { n: 7 }, replica(8, 7)], { promote: [address(8)] }));
    expect(empty.message).toContain('serves no slots');
  });

  it('is refused for unknown nodes, and for two of one shard', () => {
    expect(failure(() => lines(SIX, { promote: ['10.0.0.9:6379'] }))).toMatchObject({ kind: 'usage', exitCode: 2 });
    const two = [...SIX, replica(7, 1)];
    expect(failure(() => lines(two, { promote: [address(4), address(7)] })).message).toContain('named twice');
    expect(failure(() => lines(two, { promote: [address(4)], from: [address(1)] })).message).toContain('named twice');
  });

  it('says that an older server is to follow a newer one', () => {
    const plan = planFailover(snapshotOf([...THREE, replica(4, 1, { redis_version: '8.0.1' })]), {
      ...request,
      promote: [address(4)],
    });
    expect(plan.notes).toEqual([expect.stringContaining(`${address(1)} (redis 7.0.15) becomes a replica`)]);
  });
});

describe('a failover by force', () => {
  const table = [
    { ...THREE[0]!, flags: 'master,fail' },
    THREE[1]!,
    THREE[2]!,
    replica(4, 1, { slave_repl_offset: 10, master_link_status: 'down' }),
    replica(5, 1, { slave_repl_offset: 99, master_link_status: 'down' }),
  ];

  it('takes the replica that has received most, tolerates the dead master, and does not wait for it', () => {
    const plan = planFailover(snapshotOf(table, { silent: [1] }), { ...request, from: [address(1)], mode: 'force' });
    expect(planLines(plan)).toEqual([
      `Make ${address(5)} the master in place of ${address(1)} (force)`,
      `Wait until ${address(4)} has all data`,
      'Wait until all nodes agree',
    ]);
    expect(plan.tolerates).toEqual(['nodes-down']);
    expect(plan.notes.join()).toContain('are lost');
  });

  it('does not wait for an agreement that cannot come, while another master is dead', () => {
    const plan = planFailover(snapshotOf(table, { silent: [1, 2] }), {
      ...request,
      from: [address(1)],
      mode: 'takeover',
    });
    expect(planLines(plan).some((line) => line.includes('agree'))).toBe(false);
  });
});

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import { type Plan, planLines } from '../../../../src/operations/plan.js';
import { planRestart, type RestartRequest } from '../../../../src/operations/planners/restart.js';
import { type DescribedNode, idOf, snapshotOf } from '../support.js';

const runId = (n: number) => n.toString(16).padStart(40, 'a');
const address = (n: number) => `10.0.0.${n}:6379`;
const request: RestartRequest = { nodes: [], failBack: false, allowOutage: false };
const master = (n: number, slots?: string, info: DescribedNode['info'] = {}): DescribedNode => ({
  n,
  ...(slots === undefined ? {} : { slots }),
  info: { run_id: runId(n), ...info },
});
const replica = (n: number, of: number): DescribedNode => ({
  n,
  replicaOf: of,
  info: { run_id: runId(n), role: 'slave', master_link_status: 'up' },
});
const TABLE = [
  master(1, '0-5460'),
  master(2, '5461-10922'),
  master(3, '10923-16383'),
  replica(4, 1),
  replica(5, 1),
  replica(6, 2),
];

function failure(work: () => unknown): ForgeError {
  try {
    work();
  } catch (error) {
    return error as ForgeError;
  }
  throw new Error('nothing was thrown');
}

describe('a rolling restart', () => {
  it('goes replicas, failover, former master, and waits in between', () => {
    const plan = planRestart(snapshotOf(TABLE), { ...request, nodes: [1, 4, 5].map(address) });
    expect(planLines(plan)).toEqual([
      `Restart ${address(4)}`,
      `Wait until ${address(4)} has all data`,
      `Restart ${address(5)}`,
      `Wait until ${address(5)} has all data`,
      `Make ${address(4)} the master in place of ${address(1)}`,
      `Wait until ${address(5)} has all data`,
      `Restart ${address(1)}`,
      `Wait until ${address(1)} has all data`,
      'Wait until all nodes agree',
    ]);
    expect(plan.steps.every(({ after }, index) => after.length === (index === 0 ? 0 : 1))).toBe(true);
  });

  it('gives the role back when asked', () => {
    const plan = planRestart(snapshotOf(TABLE), { ...request, nodes: [address(2)], failBack: true });
    expect(planLines(plan)).toEqual([
      `Make ${address(6)} the master in place of ${address(2)}`,
      `Restart ${address(2)}`,
      `Wait until ${address(2)} has all data`,
      `Make ${address(2)} the master in place of ${address(6)}`,
      `Wait until ${address(6)} has all data`,
      'Wait until all nodes agree',
    ]);
  });

  it('names every master that nobody could replace, and restarts them with their data when an outage is allowed', () => {
    const refusal = failure(() => planRestart(snapshotOf(TABLE, { silent: [] }), request));
    expect(refusal).toMatchObject({ kind: 'refused', host: address(3) });
    const plan = planRestart(snapshotOf(TABLE), { ...request, nodes: [address(3)], allowOutage: true });
    expect(plan.steps[0]?.action).toMatchObject({ kind: 'restart-node', mayServe: true, save: true, command: null });
    expect(plan.steps[0]?.action).not.toHaveProperty('commandMs');
    expect(plan.notes).toEqual([expect.stringContaining('5461 slots are not served')]);

    const durable = [...TABLE.slice(0, 2), master(3, '10923-16383', { aof_enabled: 1 }), ...TABLE.slice(3)];
    const command = ['restart', '{port}'];
    const asked = { ...request, nodes: [address(3)], allowOutage: true, command };
    expect(failure(() => planRestart(snapshotOf(TABLE), asked)).message).toContain('no append-only file');
    expect(planRestart(snapshotOf(durable), asked).steps[0]?.action).toMatchObject({ shutdown: false, save: false });
    const starting = planRestart(snapshotOf(TABLE), { ...asked, starts: true });
    expect(starting.steps[0]?.action).toMatchObject({ shutdown: true, save: true, command });
  });

  it('refuses a node that does not answer, and one that it does not know', () => {
    const silent = failure(() => planRestart(snapshotOf(TABLE, { silent: [4] }), { ...request, nodes: [address(4)] }));
    expect(silent).toMatchObject({ kind: 'unreachable', host: address(4) });
    expect(failure(() => planRestart(snapshotOf(TABLE), { ...request, nodes: ['elsewhere:1'] })).kind).toBe('usage');
  });

  it('does not put a master without slots through a failover', () => {
    const plan = planRestart(snapshotOf([...TABLE, master(7)]), { ...request, nodes: [address(7)] });
    expect(planLines(plan)).toEqual([`Restart ${address(7)}`, 'Wait until all nodes agree']);
    expect(plan.steps[0]?.action).toMatchObject({ mayServe: false });
  });

  it('restarts each chosen node once and never one that serves, whatever the cluster is', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 8 });
    void fc.assert(
      fc.property(shape, fc.boolean(), fc.infiniteStream(fc.boolean()), (replicas, failBack, choice) => {
        const table = clusterOf(replicas);
        const chosen = table.filter(() => choice.next().value as boolean);
        const nodes = chosen.map(({ n }) => idOf(n));
        const plan = planRestart(snapshotOf(table), { ...request, nodes, failBack });
        const expected = chosen.length === 0 ? table : chosen;
        expect(simulate(plan, table)).toEqual(expected.map(({ n }) => idOf(n)).sort());
      }),
      { numRuns: 100 },
    );
  });
});

function clusterOf(replicas: readonly number[]): DescribedNode[] {
  const masters = replicas.map((_, index) => master(index + 1, `${index * 10}-${index * 10 + 9}`));
  let n = masters.length;
  return [
    ...masters,
    ...replicas.flatMap((count, index) => Array.from({ length: count }, () => replica(++n, index + 1))),
  ];
}

/** Plays the plan through: who was restarted, in the order of ids. A node that serves must not be. */
function simulate(plan: Plan, table: readonly DescribedNode[]): string[] {
  const serving = new Set(table.filter(({ slots }) => slots !== undefined).map(({ n }) => idOf(n)));
  const count = serving.size;
  const restarted: string[] = [];
  for (const { action } of plan.steps) {
    if (action.kind === 'failover') {
      expect(serving.delete(action.demote.id)).toBe(true);
      serving.add(action.promote.id);
    } else if (action.kind === 'restart-node') {
      expect(serving.has(action.node.id)).toBe(false);
      restarted.push(action.node.id);
    }
    expect(serving.size).toBe(count);
  }
  return restarted.sort();
}

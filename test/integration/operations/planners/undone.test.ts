import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readFollowing } from '../../../../src/cluster/snapshot/follow-setting.js';
import type { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import ScaleAdd from '../../../../src/commands/scale/add.js';
import ScaleRemove from '../../../../src/commands/scale/remove.js';
import { ForgeError } from '../../../../src/errors.js';
import { unfinishedOperations } from '../../../../src/operations/journal/journal.js';
import type { Plan } from '../../../../src/operations/plan.js';
import { planScaleAdd } from '../../../../src/operations/planners/scale-add.js';
import { planScaleRemove } from '../../../../src/operations/planners/scale-remove.js';
import { rollbackOperation, runPlan } from '../../../../src/operations/run.js';
import type { ClusterSession } from '../../../../src/operations/session.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, type RedisServer, startCluster, startServers } from '../../../support/redis.js';
import { failureOf, tablesOf } from '../../cluster/formed.js';
import { done, expectKeys, fill, shardsOf } from './support.js';

const PASSWORD = 'undone secret';
const KEYS = 1_000;

let cluster: RedisCluster;
let master: RedisServer;
let replica: RedisServer;
let home: Awaited<ReturnType<typeof temporaryHome>>;
beforeAll(async () => {
  const options = { requirepass: PASSWORD, args: ['--repl-diskless-sync-delay', '0'] };
  home = await temporaryHome();
  const servers = startServers(2, { cluster: true, ...options });
  cluster = await startCluster({ masters: 3, ...options });
  [master, replica] = (await servers) as [RedisServer, RedisServer];
  await fill(cluster.nodes, KEYS, PASSWORD);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home.home);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[1]?.address);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster?.stop(), master?.stop(), replica?.stop(), home?.remove()]);
});

type Planner = (snapshot: ClusterSnapshot, session: ClusterSession) => Plan | Promise<Plan>;

const add: Planner = (snapshot) =>
  planScaleAdd(snapshot, {
    nodes: [master, replica].map(({ host, port }) => ({ host, port })),
    role: 'master',
    replicas: 1,
  });
const remove: Planner = async (snapshot, { pool }) => {
  const options = { nodes: [master.address], withReplicas: false };
  return planScaleRemove(snapshot, options, await readFollowing(pool, snapshot));
};

/** The operator interrupts when this step is done. */
async function interrupted(planner: Planner, stepId: string): Promise<void> {
  const session = await openSession(cluster.addresses, {
    also: `${master.address},${replica.address}`,
    password: PASSWORD,
  });
  const stop = new AbortController();
  try {
    const failure = await failureOf(
      runPlan({
        session,
        plan: await planner(session.snapshot, session),
        paths: home.paths,
        confirm: async () => true,
        signal: stop.signal,
        observer: {
          step: ({ id }, state) => {
            if (id === stepId && state !== 'started') stop.abort(new ForgeError('interrupted', 'Enough.'));
          },
        },
      }),
    );
    expect(failure.kind).toBe('interrupted');
  } finally {
    session.close();
  }
}

async function undone(): Promise<void> {
  const session = await openSession(cluster.addresses, { password: PASSWORD });
  try {
    const [state] = await unfinishedOperations(home.paths.journals, session.memberIds);
    const result = await rollbackOperation({ session, paths: home.paths }, state?.operationId ?? '');
    expect(result.status).toBe('rolled-back');
  } finally {
    session.close();
  }
}

describe('an operation that was interrupted', () => {
  it('is undone: nodes that were added are out again, alone and empty, and every key is where it was', async () => {
    await interrupted(add, 'move-2');
    await undone();
    expect([...(await shardsOf(cluster.nodes)).values()].map(({ slots }) => slots)).toEqual([5461, 5462, 5461]);
    for (const node of [master, replica]) {
      expect((await tablesOf([node]))[0]?.nodes).toHaveLength(1);
      expect(await node.call('DBSIZE')).toBe(0);
    }
    await expectKeys(cluster.nodes, KEYS, PASSWORD);
  });

  it('is finished by the same command, although the cluster is half changed', async () => {
    const words = [`${master.address},${replica.address}`, '--replicas', '1', '--yes'];
    await interrupted(add, 'move-1');
    // Something else is not begun in between.
    const other = await failureOf(done(ScaleRemove, cluster.masters[0]?.address ?? '', '--yes'));
    expect(other).toMatchObject({ kind: 'refused', message: expect.stringContaining('is unfinished') });
    expect(await done(ScaleAdd, ...words)).toMatchObject({ status: 'done', resumed: true });
    const all = [...cluster.nodes, master, replica];
    expect((await shardsOf(all)).get(master.port)).toEqual({ slots: 4096, replicas: [replica.port] });
    await expectKeys(all, KEYS, PASSWORD);
  });

  it('of removing is undone as long as nothing is forgotten: the master has its slots and its replica again', async () => {
    const all = [...cluster.nodes, master, replica];
    await interrupted(remove, 'attach-1');
    expect(await master.call('CONFIG', 'GET', 'cluster-allow-replica-migration')).toContain('no');
    await undone();
    expect((await shardsOf(all)).get(master.port)).toEqual({ slots: 4096, replicas: [replica.port] });
    for (const node of [master, replica]) {
      expect(await node.call('CONFIG', 'GET', 'cluster-allow-replica-migration')).toContain('yes');
    }
    await expectKeys(all, KEYS, PASSWORD);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listOperations } from '../../../../src/operations/journal/journal.js';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { replicasOf, warnOfSplit } from '../../../../src/operations/move/migrate/split-shard.js';
import { rollbackOperation, runPlan } from '../../../../src/operations/run.js';
import type { StepContext, StepEvent } from '../../../../src/operations/step.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { TestOperator } from '../../../support/operations/operator.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { failureOf, tablesOf } from '../../cluster/formed.js';
import { halfMove, nameOf, stable } from '../fix/broken.js';
import { expectKeys, expectOwned, fill, type Home, idOf, movePlan, moveSlots } from './moving.js';

const KEYS = 2_000;
const RANGES = [{ start: 0, end: 799 }];
const FAILOVER_MS = 30_000;

let cluster: RedisCluster;
let home: Home;
let from: RedisServer;
let to: RedisServer;

beforeEach(async () => {
  home = await temporaryHome();
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
  [from, to] = cluster.masters as [RedisServer, RedisServer];
  await fill(cluster.masters, KEYS);
});
afterEach(async () => {
  await Promise.all([cluster?.stop(), home?.remove()]);
});

const alive = (dead: RedisServer) => cluster.nodes.filter((node) => node !== dead);
const move = (dead: RedisServer | undefined, options: Parameters<typeof moveSlots>[1] = {}, ids?: [string, string]) =>
  moveSlots(
    {
      seeds: (dead === undefined ? cluster.nodes : alive(dead)).map(({ address }) => address).join(','),
      home,
      from,
      to,
      ranges: RANGES,
      ids,
    },
    { move: new MoveControl({ method: 'migrate' }), ...options },
  );

const successorOf = (victim: RedisServer) => cluster.replicas[cluster.masters.indexOf(victim)] as RedisServer;

/** Kills the node in the middle of the move. */
function dying(victim: RedisServer) {
  let batches = 0;
  /** Nothing more is changed from then on: what is acknowledged but not passed on is lost with its master, anywhere. */
  let death: Promise<void> | undefined;
  const dies = async () => {
    await victim.call('WAIT', 1, 2_000);
    let alike = 0;
    // So are slots that its replica has not heard of: nobody serves them then (forge cluster fix gives them to somebody).
    await poll('its replica knows its slots', FAILOVER_MS, async () => {
      const [mine, seen] = await tablesOf([victim, successorOf(victim)]);
      const slots = Array.from({ length: 800 }, (_, slot) => slot);
      alike = slots.every((slot) => mine?.ownerOf(slot)?.port === seen?.ownerOf(slot)?.port) ? alike + 1 : 0;
      return alike === 3;
    });
    await victim.kill();
  };
  return {
    mutation: async ({ command }: { command: readonly string[] }) => {
      if (command[0] === 'MIGRATE' && ++batches === 12) death = dies();
      await death;
    },
  };
}

/** Kills the node in the middle of the move; returns when its replica is the master. */
async function killAndFailOver(victim: RedisServer, ids: [string, string]): Promise<RedisServer> {
  await failureOf(move(undefined, { observer: dying(victim), waitMs: 1_000 }, ids));
  const replica = successorOf(victim);
  await poll('the replica takes over', FAILOVER_MS, async () => {
    if (!String(await replica.call('ROLE')).startsWith('master')) return false;
    // The target holds on to its picture of slots that it imports: a failover of their owner does not change it.
    const [table] = await tablesOf([cluster.masters[2] as RedisServer]);
    // The first slots have moved when it dies, the last have not.
    return table?.ownerOf(victim === from ? 799 : 0)?.port === replica.port;
  });
  return replica;
}

describe('a move by MIGRATE whose', () => {
  it('source dies goes on with the replica that took over', async () => {
    const ids: [string, string] = [await idOf(from), await idOf(to)];
    const successor = await killAndFailOver(from, ids);
    expect((await move(from, {}, ids)).status).toBe('done');
    await expectOwned(alive(from), to, RANGES);
    const masters = [successor, ...cluster.masters.slice(1)];
    await expectKeys(masters, KEYS);
  }, 90_000);

  it('source dies goes on by itself as soon as the replica has taken over', async () => {
    const ids: [string, string] = [await idOf(from), await idOf(to)];
    const told: string[] = [];
    const observer = {
      ...dying(from),
      event: (_: unknown, event: StepEvent) => {
        if (event.type === 'note') told.push(event.text);
      },
    };
    expect((await move(undefined, { observer, waitMs: FAILOVER_MS }, ids)).status).toBe('done');
    const successor = successorOf(from);
    expect(told).toContain(`${successor.address} is the master now in place of ${from.address}`);
    await expectOwned(alive(from), to, RANGES);
    await expectKeys([successor, ...cluster.masters.slice(1)], KEYS);
  }, 90_000);

  it('target dies goes on with the replica that took over, or goes back', async () => {
    const ids: [string, string] = [await idOf(from), await idOf(to)];
    const successor = await killAndFailOver(to, ids);
    const [operation] = await listOperations(home.paths.journals);
    const session = await openSession(
      alive(to)
        .map(({ address }) => address)
        .join(','),
    );
    const settings = { session, paths: home.paths, waitMs: 10_000 };
    const result = await rollbackOperation(settings, operation?.operationId ?? '').finally(() => session.close());
    expect(result.status).toBe('rolled-back');
    await expectOwned(alive(to), from, RANGES);
    await expectKeys([from, successor, cluster.masters[2] as RedisServer], KEYS);
  }, 90_000);

  it('source hands its role over between the last look and the work goes on with the new master', async () => {
    const session = await openSession(cluster.addresses);
    try {
      const before = session.snapshot;
      const plan = movePlan(before, await idOf(from), await idOf(to), RANGES);
      const successor = successorOf(from);
      await successor.call('CLUSTER', 'FAILOVER');
      await poll('its replica is the master', FAILOVER_MS, async () =>
        String(await from.call('ROLE')).startsWith('slave'),
      );
      // What was seen under the lock, and when the move began.
      vi.spyOn(session, 'look').mockResolvedValueOnce(before).mockResolvedValueOnce(before);
      const options = { session, plan, paths: home.paths, waitMs: 10_000, confirm: async () => true };
      expect((await runPlan(options)).status).toBe('done');
      await expectOwned(cluster.nodes, to, RANGES);
      await expectKeys([successor, ...cluster.masters.slice(1)], KEYS);
    } finally {
      session.close();
    }
  }, 90_000);

  it('target was split from its successor tells of keys that nobody sees there, and fix brings them home', async () => {
    const slot = 5;
    const [one, two] = [nameOf(slot, 1), nameOf(slot, 2)];
    for (const name of [one, two]) await from.call('SET', name, name);
    // As after such a failover: the one serves the slot, the other, once its replica, holds copies.
    await halfMove(from, to, slot, [one, two], { copy: true });
    for (const node of [from, to]) await stable(node, slot);
    const session = await openSession(cluster.addresses);
    const told: string[] = [];
    const report = (event: StepEvent) => {
      if (event.type === 'warning') told.push(event.text);
    };
    const context = { pool: session.pool, report } as Partial<StepContext> as StepContext;
    const move = { target: { id: await idOf(from), address: from.address }, slots: RANGES };
    try {
      const replicas = await replicasOf(context, move.target);
      expect(replicas).toEqual([await idOf(successorOf(from))]);
      await warnOfSplit(context, move, [...replicas, await idOf(cluster.masters[2] as RedisServer)]);
      expect(told).toEqual([]);
      await warnOfSplit(context, move, [await idOf(to)]);
      expect(told).toEqual([expect.stringContaining(`${to.address} holds copies of keys of the slots ${slot} that`)]);
    } finally {
      session.close();
    }
    const operator = await TestOperator.create({ CLUSTER_SEED: cluster.addresses });
    try {
      await operator.succeed('cluster/fix', ['--strays']);
    } finally {
      await operator.remove();
    }
    await expectOwned(cluster.nodes, from, RANGES);
    expect(await to.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);
    expect(await from.call('GET', one)).toBe(one);
  }, 90_000);
});

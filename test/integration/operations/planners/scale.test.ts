import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { countSlots } from '../../../../src/cluster/slots.js';
import ClusterRebalance from '../../../../src/commands/cluster/rebalance.js';
import ClusterReshard from '../../../../src/commands/cluster/reshard.js';
import ScaleAdd from '../../../../src/commands/scale/add.js';
import ScaleRemove from '../../../../src/commands/scale/remove.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../../support/redis.js';
import { tablesOf } from '../../cluster/formed.js';
import { done, expectKeys, fill, run, shardsOf } from './support.js';

const PASSWORD = 'scale secret';
const KEYS = 3_000;
const LIBRARY = "#!lua name=shared\nredis.register_function('answer', function() return 42 end)";

let cluster: RedisCluster;
let spare: RedisServer[];
let home: Awaited<ReturnType<typeof temporaryHome>>;
beforeAll(async () => {
  const options = { requirepass: PASSWORD, args: ['--repl-diskless-sync-delay', '0'] };
  [home, cluster, spare] = await Promise.all([
    temporaryHome(),
    startCluster({ masters: 3, ...options }),
    startServers(3, { cluster: true, ...options }),
  ]);
  for (const master of cluster.masters) await master.call('FUNCTION', 'LOAD', LIBRARY);
  await fill(cluster.nodes, KEYS, PASSWORD);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home.home);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[1]?.address);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster?.stop(), ...(spare ?? []).map((server) => server.stop()), home?.remove()]);
});

const names = (...servers: (RedisServer | undefined)[]) => servers.map((server) => server?.address).join(',');

describe('a cluster of three masters', () => {
  it('gets a fourth with a replica by a saved plan, and all its functions and keys are there', async () => {
    const [master, replica] = spare as [RedisServer, RedisServer];
    const file = path.join(home.home, 'add.json');
    const words = [names(master, replica), '--replicas', '1'];
    expect((await done(ScaleAdd, ...words, '--plan-out', file)).plan.steps.map(({ action }) => action.kind)).toEqual([
      ...['meet', 'meet', 'wait-convergence', 'copy-functions', 'replicate'],
      ...['migrate-slots', 'migrate-slots', 'migrate-slots', 'wait-convergence'],
    ]);
    expect(await readFile(file, 'utf8')).not.toContain(PASSWORD);
    const { status, operationId } = await done(ScaleAdd, '--plan', file, '--yes');
    expect(status).toBe('done');
    const journal = await readFile(path.join(home.paths.journals, `${operationId}.jsonl`), 'utf8');
    const lines = journal.split('\n').filter((line) => /"type":"step","step":"move-/.test(line));
    const begun = lines.findIndex((line) => line.includes('"done"'));
    expect(begun, 'sources that give to one target at the same time').toBe(3);

    const all = [...cluster.nodes, master, replica];
    const shards = await shardsOf(all);
    expect([...shards.values()].map(({ slots }) => slots)).toEqual([4096, 4096, 4096, 4096]);
    expect(shards.get(master.port)?.replicas).toEqual([replica.port]);
    for (const node of [master, replica]) {
      expect(JSON.stringify(await node.call('FUNCTION', 'LIST'))).toContain('shared');
    }
    await expectKeys(all, KEYS, PASSWORD);
    // Once more it finds everything as it should be.
    const again = await done(ScaleAdd, ...words, '--yes');
    expect(again.status).toBe('unchanged');
    expect(again.plan.notes).toContain(`${master.address} is a member already: a master that serves 4096 slots`);
    expect(again.plan.notes).toContain(`${replica.address} is a member already: a replica of ${master.address}`);
  });

  it('is resharded, is within the threshold or not, and rebalanced by weight, by keys and by memory', async () => {
    const [first, second] = cluster.masters as [RedisServer, RedisServer];
    const all = [...cluster.nodes, ...spare.slice(0, 2)];
    await done(ClusterReshard, '--to', first.address, '--from', second.address, '--slots', '100', '--yes');
    expect((await shardsOf(all)).get(first.port)?.slots).toBe(4196);
    const lenient = await done(ClusterRebalance, '--threshold', '5', '--yes');
    expect([lenient.status, lenient.plan.notes]).toEqual([
      'unchanged',
      [expect.stringContaining('within 5 % of their share of slots')],
    ]);
    const strict = await done(ClusterRebalance, '--yes');
    expect(strict.plan.steps.filter(({ action }) => action.kind === 'migrate-slots')).toHaveLength(1);
    expect([...(await shardsOf(all)).values()].map(({ slots }) => slots)).toEqual([4096, 4096, 4096, 4096]);

    await done(ClusterRebalance, '--weight', `${first.address}=0`, '--yes');
    const drained = await shardsOf(all);
    // It gave its last slot away and is a master still: nobody asked for another replica.
    expect(drained.get(first.port)).toEqual({ slots: 0, replicas: [] });
    expect(await first.call('CONFIG', 'GET', 'cluster-allow-replica-migration')).toContain('yes');
    for (const by of ['keys', 'memory']) {
      await done(ClusterRebalance, '--by', by, '--use-empty-masters', '--yes');
      const keys = await Promise.all(
        [...cluster.masters, spare[0]].map(async (node) => Number(await node?.call('DBSIZE'))),
      );
      expect(keys.reduce((sum, count) => sum + count, 0)).toBe(KEYS);
      if (by === 'keys') for (const count of keys) expect(Math.abs(count - KEYS / 4)).toBeLessThan(KEYS / 40);
    }
    await done(ClusterRebalance, '--threshold', '0', '--yes');
    await expectKeys(all, KEYS, PASSWORD);
  });

  it('is left in peace while an operator pauses: no slot is open, and it goes on when told', async () => {
    const [first, second] = cluster.masters as [RedisServer, RedisServer];
    const slots = async () => {
      const [table] = await tablesOf([first]);
      return { owned: countSlots(table?.myself?.slots ?? []), open: table?.openSlots.length ?? 0 };
    };
    const begun = (await slots()).owned;
    const words = ['--to', first.address, '--from', second.address, '--slots', '1000', '--keys-per-second', '50'];
    let ended = false;
    const running = done(ClusterReshard, ...words, '--yes').finally(() => {
      ended = true;
    });
    running.catch(() => undefined);
    await poll('slots move', 20_000, async () => (await slots()).owned > begun);
    process.kill(process.pid, 'SIGUSR2');
    const paused = await poll('it pauses', 20_000, async () => {
      const before = await slots();
      await new Promise((resolve) => setTimeout(resolve, 300));
      const after = await slots();
      return before.owned === after.owned && after.open === 0 && after;
    });
    expect(ended).toBe(false);
    expect(paused.owned).toBeLessThan(begun + 1_000);
    process.kill(process.pid, 'SIGUSR2');
    await running;
    expect((await slots()).owned).toBe(begun + 1_000);
    await done(ClusterRebalance, '--threshold', '0', '--yes');
  });

  it('loses a master: it is drained, its replica follows another, and it is alone and empty', async () => {
    const [master, replica, extra] = spare as [RedisServer, RedisServer, RedisServer];
    await done(ScaleAdd, extra.address, '--replica-of', master.address, '--yes');
    const before = await shardsOf([...cluster.nodes, ...spare]);
    expect(before.get(master.port)?.replicas.toSorted()).toEqual([replica.port, extra.port].toSorted());

    const { plan } = await done(ScaleRemove, names(master, extra), '--yes');
    expect(plan.steps.at(0)?.action).toMatchObject({ kind: 'hold-role', hold: true });
    const left = [...cluster.nodes, replica];
    const after = await shardsOf(left);
    expect([...after.values()].map(({ slots }) => slots).toSorted()).toEqual([5461, 5461, 5462]);
    expect([...after.values()].flatMap(({ replicas }) => replicas)).toEqual([replica.port]);
    for (const gone of await tablesOf([master, extra])) expect(gone.nodes).toHaveLength(1);
    for (const gone of [master, extra]) {
      expect(await gone.call('DBSIZE')).toBe(0);
      expect(await gone.call('CONFIG', 'GET', 'cluster-allow-replica-migration')).toContain('yes');
    }
    await expectKeys(left, KEYS, PASSWORD);
  });

  it('loses a dead replica; a dead master with slots is refused, and words that are no node', async () => {
    const [, replica] = spare as [RedisServer, RedisServer];
    const before = (await tablesOf([replica]))[0]?.myself?.id ?? '';
    await replica.kill();
    const removed = await done(ScaleRemove, before, '--yes');
    expect(removed.plan.tolerates).toEqual(['nodes-down']);
    expect(removed.plan.notes.join()).toContain('has no replica afterwards');
    await shardsOf(cluster.nodes);

    const unknown = await run(ScaleRemove, '10.9.9.9:6379', '--yes');
    expect(unknown.error).toMatchObject({ kind: 'usage', message: '10.9.9.9:6379 is no node of this cluster.' });
    expect((await run(ScaleAdd, '127.0.0.1:1', '--yes')).error).toMatchObject({ kind: 'unreachable' });
    const stranger = spare[0] as RedisServer;
    expect((await run(ScaleRemove, stranger.address, '--yes')).error?.message).toContain(
      'is no member of this cluster',
    );
    await stranger.call('CLUSTER', 'ADDSLOTS', 1);
    expect((await run(ScaleAdd, stranger.address, '--yes')).error?.message).toContain('serves slots of its own');

    const last = cluster.masters[2] as RedisServer;
    await last.kill();
    const refused = await run(ScaleRemove, last.address, '--yes');
    expect(refused.error).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/does not answer and serves \d+ slots/),
    });
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import ClusterFix from '../../../src/commands/cluster/fix.js';
import ClusterForget from '../../../src/commands/cluster/forget.js';
import ClusterRebalance from '../../../src/commands/cluster/rebalance.js';
import ClusterReshard from '../../../src/commands/cluster/reshard.js';
import ClusterRestart from '../../../src/commands/cluster/restart.js';
import ClusterStatus from '../../../src/commands/cluster/status.js';
import LockRelease from '../../../src/commands/lock/release.js';
import LockStatus from '../../../src/commands/lock/status.js';
import ScaleAdd from '../../../src/commands/scale/add.js';
import ScaleRemove from '../../../src/commands/scale/remove.js';
import { listOperations } from '../../../src/operations/journal/journal.js';
import { TestOperator } from '../../support/operations/operator.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';
import { tablesOf } from '../cluster/formed.js';
import { halfMove, idOf, inOrder, nameOf } from '../operations/fix/broken.js';
import { documentedRules } from '../torture/tls-cluster.js';

const PASSWORD = 'rights-of-the-test';
const KEYS = 400;
let cluster: RedisCluster;
let stranger: RedisServer;
let home: string;

const FIELDS = 1_000;
/** Nobody is held for dead because the machine is busy. */
const PATIENT = ['--cluster-node-timeout', '5000'];
const FAILED_MS = 20_000;

const user = () => ['on', `>${PASSWORD}`, ...documentedRules()];

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-rights-'));
  [cluster, stranger] = await Promise.all([
    startCluster({ masters: 3, replicasPerMaster: 1, args: PATIENT }),
    startRedis({ cluster: true, args: PATIENT }),
  ]);
  for (const node of [...cluster.nodes, stranger]) {
    await node.call('ACL', 'SETUSER', 'forge', ...user());
  }
  for (const master of cluster.masters) {
    await master.call('FUNCTION', 'LOAD', "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
  }
  const connections = await Promise.all(cluster.masters.map((master) => master.connect()));
  for (let key = 0; key < KEYS; key++) {
    const set = connections.map((connection) =>
      connection.call('SET', `key:${key}`, String(key)).catch(() => undefined),
    );
    await Promise.all(set);
  }
  for (const connection of connections) connection.close();
  vi.stubEnv('FORGE_HOME', home);
  vi.stubEnv('FORGE_CONFIG', '/dev/null');
  vi.stubEnv('REDIS_USERNAME', 'forge');
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[0]?.address ?? '');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster.stop(), stranger.stop(), rm(home, { recursive: true, force: true })]);
});
afterEach(() => vi.restoreAllMocks());

async function run(command: unknown, ...argv: string[]): Promise<unknown> {
  for (const name of ['stdout', 'stderr'] as const) vi.spyOn(process[name], 'write').mockImplementation(() => true);
  try {
    return await (command as { run(argv: string[], root: string): Promise<unknown> }).run(argv, ROOT);
  } finally {
    vi.restoreAllMocks();
  }
}

const keysOf = async (nodes: readonly RedisServer[]) => {
  const counts = await Promise.all(nodes.map(async (node) => Number(await node.call('DBSIZE'))));
  return counts.reduce((sum, count) => sum + count, 0);
};

/** By any node that answers; told once. */
async function expectNothingDenied(...but: string[]): Promise<void> {
  for (const node of [...cluster.nodes, stranger]) {
    const entries = (await node.call('ACL', 'LOG').catch(() => [])) as unknown[];
    await node.call('ACL', 'LOG', 'RESET').catch(() => undefined);
    expect(entries.map(String).filter((entry) => !but.some((name) => entry.includes(name)))).toEqual([]);
  }
}

describe('a user with the rights of docs/operations.md', () => {
  it('can look, add a master with its functions and keys, remove it, and release a lock', async () => {
    expect(await keysOf(cluster.masters)).toBe(KEYS);
    await run(ClusterStatus);
    expect(await run(ScaleAdd, stranger.address, '--weight', '0.1', '--yes')).toMatchObject({ status: 'done' });
    expect(Number(await stranger.call('DBSIZE'))).toBeGreaterThan(0);
    expect(JSON.stringify(await stranger.call('FUNCTION', 'LIST'))).toContain('lib');
    expect(await keysOf([...cluster.masters, stranger])).toBe(KEYS);
    expect(await run(ScaleRemove, stranger.address, '--yes')).toMatchObject({ status: 'done' });
    expect(await keysOf(cluster.masters)).toBe(KEYS);
    expect(await run(LockRelease, '--yes')).toEqual({ status: 'unchanged' });
    await expectNothingDenied();
  }, 120_000);

  it('can undo what was killed: functions are taken back, too', async () => {
    const operator = await TestOperator.create({});
    try {
      const argv = [stranger.address, '--weight', '0.1'];
      expect(await operator.killed('scale/add', argv, { mutation: 1, word: 'MIGRATE' })).toBe(true);
      const [operation] = await listOperations(operator.paths.journals);
      await operator.succeed('rollback', [operation?.operationId ?? '']);
    } finally {
      await operator.remove();
    }
    expect(JSON.stringify(await stranger.call('FUNCTION', 'LIST'))).not.toContain('lib');
    expect(await keysOf(cluster.masters)).toBe(KEYS);
    await expectNothingDenied();
  }, 120_000);

  it('can move slots by name, by keys and by memory', async () => {
    const [one, two] = cluster.masters as [RedisServer, RedisServer];
    const words = ['--from', one.address, '--to', two.address, '--ranges', '0-499', '--yes'];
    expect(await run(ClusterReshard, ...words)).toMatchObject({ status: 'done' });
    for (const by of ['keys', 'memory', 'slots']) await run(ClusterRebalance, '--by', by, '--threshold', '0', '--yes');
    expect(await keysOf(cluster.masters)).toBe(KEYS);
    await expectNothingDenied();
  }, 120_000);

  it('is told what it lacks before a slot is opened', async () => {
    const [one, two] = cluster.masters as [RedisServer, RedisServer];
    // By memory, which nobody knows beforehand, any of them may be elsewhere.
    await run(ClusterReshard, '--to', one.address, '--ranges', '0-99', '--yes');
    const words = ['--from', one.address, '--to', two.address, '--ranges', '0-99', '--yes'];
    for (const node of cluster.masters) await node.call('ACL', 'SETUSER', 'forge', '-select', '-dump');
    await expect(run(ClusterReshard, ...words)).rejects.toMatchObject({
      kind: 'denied',
      message: expect.stringContaining('may not run SELECT, DUMP'),
      next: expect.arrayContaining([expect.stringMatching(/No slot was opened.*\+select \+dump/)]),
    });
    for (const table of await tablesOf(cluster.masters)) expect(table.openSlots).toEqual([]);
    for (const node of cluster.masters) await node.call('ACL', 'SETUSER', 'forge', '+select', '+dump');
    expect(await run(ClusterReshard, ...words)).toMatchObject({ status: 'done', resumed: true });
    await expectNothingDenied('object,select', 'object,dump');
  }, 120_000);

  it('can repair a slot whose keys are on both sides, also where equal values are stored in different order', async () => {
    const snapshot = await inOrder(cluster.nodes);
    const slot = 8_000;
    const owner = cluster.masters.find(({ port }) => port === snapshot.topology.ownerOf(slot)?.port) as RedisServer;
    const other = cluster.masters.find((master) => master !== owner) as RedisServer;
    const names = [1, 2, 3, 4].map((n) => nameOf(slot, n));
    const fields = Array.from({ length: FIELDS }, (_, n) => `field ${n}`);
    await owner.call('SET', names[0] as string, 'a value');
    await owner.call('HSET', names[1] as string, ...fields.flatMap((field) => [field, 1]));
    await owner.call('SADD', names[2] as string, ...fields);
    await owner.call('RPUSH', names[3] as string, ...fields);
    await halfMove(owner, other, slot, names, { copy: true });
    expect(await run(ClusterFix, '--yes')).toMatchObject({ status: 'done' });
    expect(await keysOf(cluster.masters)).toBe(KEYS + names.length);
    // A digest is asked for where DEBUG is allowed, which it is hardly anywhere.
    await expectNothingDenied('debug');
    for (const name of names) await other.call('DEL', name);
  }, 120_000);

  it('can restart a node and forget one that is dead', async () => {
    const [first, second] = cluster.replicas as [RedisServer, RedisServer];
    const lines = [`bind 127.0.0.1`, `dir ${first.dir}`, 'cluster-enabled yes', 'daemonize yes', 'protected-mode no'];
    await writeFile(path.join(first.dir, 'redis.conf'), [...lines, `user forge ${user().join(' ')}`, ''].join('\n'));
    const words = ['--start-command', `redis-server ${first.dir}/redis.conf --port {port}`, '--yes'];
    expect(await run(ClusterRestart, first.address, ...words)).toMatchObject({ status: 'done' });
    const id = await idOf(second);
    await second.kill();
    await poll('it is known to be dead', FAILED_MS, async () =>
      new RegExp(`^${id} .* (slave,)?fail `, 'm').test(String(await cluster.masters[0]?.call('CLUSTER', 'NODES'))),
    );
    expect(await run(ClusterForget, '--dead', '--yes')).toMatchObject({ status: 'done' });
    await run(LockStatus);
    await expectNothingDenied();
    await first.call('SHUTDOWN', 'NOSAVE').catch(() => undefined);
  }, 120_000);

  it('can read no value by the usual commands', async () => {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('there is no node');
    const answer = await node.call('ACL', 'DRYRUN', 'forge', 'GET', 'key:1');
    expect(String(answer)).toContain('no permissions');
  });
});

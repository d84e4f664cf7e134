import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import ClusterStatus from '../../../src/commands/cluster/status.js';
import LockRelease from '../../../src/commands/lock/release.js';
import ScaleAdd from '../../../src/commands/scale/add.js';
import ScaleRemove from '../../../src/commands/scale/remove.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ROOT, readText } from '../../support/repository.js';

const PASSWORD = 'rights-of-the-test';
const KEYS = 400;
let cluster: RedisCluster;
let stranger: RedisServer;
let home: string;

/** The rights that the page tells, as words of the command. */
function documented(): string[] {
  const line = /^ACL SETUSER forge .*$/m.exec(readText('docs/operations.md'))?.[0] ?? '';
  return line.replace('PASSWORD', PASSWORD).split(' ').slice(1);
}

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-rights-'));
  [cluster, stranger] = await Promise.all([startCluster({ masters: 3 }), startRedis({ cluster: true })]);
  for (const node of [...cluster.nodes, stranger]) {
    await node.call('ACL', ...documented());
    await node.call('FUNCTION', 'FLUSH');
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

describe('a user with the rights of docs/operations.md', () => {
  it('can look, add a master with its functions and keys, remove it, and release a lock', async () => {
    expect(await keysOf(cluster.nodes)).toBe(KEYS);
    await run(ClusterStatus);
    expect(await run(ScaleAdd, stranger.address, '--weight', '0.1', '--yes')).toMatchObject({ status: 'done' });
    expect(Number(await stranger.call('DBSIZE'))).toBeGreaterThan(0);
    expect(JSON.stringify(await stranger.call('FUNCTION', 'LIST'))).toContain('lib');
    expect(await keysOf([...cluster.nodes, stranger])).toBe(KEYS);
    expect(await run(ScaleRemove, stranger.address, '--yes')).toMatchObject({ status: 'done' });
    expect(await keysOf(cluster.nodes)).toBe(KEYS);
    expect(await run(LockRelease, '--yes')).toEqual({ status: 'unchanged' });
    for (const node of cluster.nodes) {
      expect(JSON.stringify(await node.call('ACL', 'LOG'))).toBe('[]');
    }
  }, 120_000);

  it('can read no value', async () => {
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error('there is no node');
    const answer = await node.call('ACL', 'DRYRUN', 'forge', 'GET', 'key:1');
    expect(String(answer)).toContain('no permissions');
  });
});

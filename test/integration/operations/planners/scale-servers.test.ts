import { afterEach, describe, expect, it, vi } from 'vitest';
import ScaleAdd from '../../../../src/commands/scale/add.js';
import ScaleRemove from '../../../../src/commands/scale/remove.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, type RedisServer, startCluster, startServers } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../../support/servers.js';
import { tablesOf } from '../../cluster/formed.js';
import { done, expectKeys, fill, shardsOf } from './support.js';

const PASSWORD = 'servers secret';
const OPERATOR = 'operator';
const KEYS = 1_000;

const started: (RedisCluster | RedisServer)[] = [];
const homes: Awaited<ReturnType<typeof temporaryHome>>[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([...started.splice(0).map((each) => each.stop()), ...homes.splice(0).map((each) => each.remove())]);
});

async function start(executable: string, args: string[] = []) {
  const options = { executable, requirepass: PASSWORD, args: ['--repl-diskless-sync-delay', '0', ...args] };
  const home = await temporaryHome();
  homes.push(home);
  const [cluster, spare] = await Promise.all([
    startCluster({ masters: 3, ...options }),
    startServers(2, { cluster: true, ...options }),
  ]);
  started.push(cluster, ...spare);
  await fill(cluster.nodes, KEYS, PASSWORD);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home.home);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[0]?.address);
  return { cluster, master: spare[0] as RedisServer, replica: spare[1] as RedisServer };
}

/** A shard comes and goes; its replica stays with another master. */
async function comesAndGoes({ cluster, master, replica }: Awaited<ReturnType<typeof start>>): Promise<void> {
  // By name: nodes are known by the names that operators use for them.
  await done(ScaleAdd, `localhost:${master.port},localhost:${replica.port}`, '--replicas', '1', '--yes');
  const all = [...cluster.nodes, master, replica];
  const shards = await shardsOf(all);
  expect([...shards.values()].map(({ slots }) => slots)).toEqual([4096, 4096, 4096, 4096]);
  await expectKeys(all, KEYS, PASSWORD);
  await done(ScaleRemove, `localhost:${master.port}`, '--yes');
  const left = [...cluster.nodes, replica];
  const after = await shardsOf(left);
  expect([...after.values()].flatMap(({ replicas }) => replicas)).toEqual([replica.port]);
  expect((await tablesOf([master]))[0]?.nodes).toHaveLength(1);
  expect(await master.call('DBSIZE')).toBe(0);
  await expectKeys(left, KEYS, PASSWORD);
}

describe('a shard comes and goes', () => {
  it.each(SERVERS.slice(1))(
    'on %s',
    async (_, server) => comesAndGoes(await start(executableOf(server))),
    FETCH_TIMEOUT_MS,
  );

  it('by an ACL user who may not use CONFIG, although the drained master follows its slots then', async () => {
    const rights = ['~*', '&*', '+@all', '-config', '-debug', '-shutdown'];
    const parts = await start('redis-server', ['--user', OPERATOR, 'on', `>${PASSWORD}`, ...rights]);
    vi.stubEnv('REDIS_USERNAME', OPERATOR);
    await comesAndGoes(parts);
  });
});

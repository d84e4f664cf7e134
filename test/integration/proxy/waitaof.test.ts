/** WAITAOF, which the installed Redis may not have: with the newer servers, as the conformance tests get them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const FETCH_TIMEOUT_MS = 5 * 60_000;
const NEWER = [
  ['Redis 8', 'redis8'],
  ['Valkey 9', 'valkey9'],
] as const;
// Away from Debian there is none. In CI a missing one is a failure.
const wanted = process.env['CI'] || canHaveNewerServers() ? NEWER : [];

let executables: ReturnType<typeof newerServers>;
beforeAll(() => {
  if (wanted.length > 0) executables = newerServers();
}, FETCH_TIMEOUT_MS);

describe.each(wanted)('WAITAOF through the proxy, %s', (_, name) => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  const open: RawClient[] = [];

  beforeAll(async () => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'everysec'];
    cluster = await startCluster({ executable: executables[name], masters: 2, replicasPerMaster: 1, args });
    proxy = await startProxy({ cluster: cluster.addresses });
    await poll('every master has its replica', 30_000, async () => {
      const roles = (await Promise.all(cluster.masters.map((node) => node.call('ROLE')))) as [
        string,
        number,
        unknown[],
      ][];
      return roles.every(([, , replicas]) => replicas.length === 1);
    });
  });

  afterAll(async () => {
    for (const client of open) client.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  async function connect(): Promise<RawClient> {
    const client = await RawClient.connect({ port: proxy.port, timeoutMs: 20_000 });
    open.push(client);
    return client;
  }

  /** A key of each master, in the order of the masters. */
  async function keys(): Promise<string[]> {
    const found: string[] = [];
    for (let i = 0; found[0] === undefined || found[1] === undefined; i++) {
      const slot = Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', `aof:${i}`));
      const at = slot < 8192 ? 0 : 1;
      found[at] ??= `aof:${i}`;
    }
    return found;
  }

  async function replicaOf(master: RedisServer): Promise<RedisServer> {
    const [, , replicas] = (await master.call('ROLE')) as [string, number, [string, string][]];
    return cluster.nodes.find(({ port }) => port === Number(replicas[0]![1]))!;
  }

  it('counts the files that have what this client wrote, and takes the least of its masters', async () => {
    const [first, second] = await keys();
    const [writer, both, idle] = [await connect(), await connect(), await connect()];
    const wait = ['WAITAOF', '1', '1', '10000'];
    expect(await writer.pipeline([['SET', first!, '1'], wait])).toEqual(['OK', [1, 1]]);
    const replica = await replicaOf(cluster.masters[0]!);
    await replica.kill('SIGSTOP');
    try {
      const late = ['WAITAOF', '1', '1', '3000'];
      expect(await writer.pipeline([['SET', first!, '2'], late])).toEqual(['OK', [1, 0]]);
      expect(await (await connect()).pipeline([['SET', second!, '1'], wait])).toEqual(['OK', [1, 1]]);
      expect(await both.pipeline([['MSET', first!, '3', second!, '3'], late])).toEqual(['OK', [1, 0]]);
    } finally {
      await replica.kill('SIGCONT');
    }
    expect(await both.ask(...wait)).toEqual([1, 1]);
    expect(await idle.ask('WAITAOF', 0, 0, 1000)).toEqual([1, 1]);
    // What the connections were marked with is gone.
    for (const node of cluster.masters) expect(await node.call('KEYS', 'redisforge:*')).toEqual([]);
    expect((await proxy.stats('upstream_cx_dedicated'))['cluster.main.upstream_cx_dedicated_active']).toBe(0);
  });

  it('passes on what a server without an append-only file says', async () => {
    const [first] = await keys();
    await cluster.masters[0]!.call('CONFIG', 'SET', 'appendonly', 'no');
    const client = await connect();
    const [, answer] = await client.pipeline([
      ['SET', first!, '1'],
      ['WAITAOF', '1', '0', '1000'],
    ]);
    expect(answer).toBeInstanceOf(ErrorReply);
    expect((answer as ErrorReply).message).toContain('appendonly is disabled');
  });
});

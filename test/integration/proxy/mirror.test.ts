import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';

const WAIT_MS = 10_000;

let cluster: RedisCluster;
let servers: RedisServer[];
let proxy: RunningProxy;
let client: RawClient;

beforeAll(async () => {
  cluster = await startCluster();
  servers = await startServers(3);
  const [all, writes, some] = servers as [RedisServer, RedisServer, RedisServer];
  proxy = await startProxy({
    config: {
      listeners: [
        {
          prefix_routes: {
            routes: [
              {
                prefix: 'half:',
                cluster: 'main',
                request_mirror_policy: [
                  { cluster: 'some', runtime_fraction: { default_value: { numerator: 50, denominator: 'HUNDRED' } } },
                ],
              },
              {
                prefix: 'cut:',
                remove_prefix: true,
                cluster: 'main',
                request_mirror_policy: [{ cluster: 'all' }],
              },
            ],
            catch_all_route: {
              cluster: 'main',
              request_mirror_policy: [{ cluster: 'all' }, { cluster: 'writes', exclude_read_commands: true }],
            },
          },
        },
      ],
      clusters: [
        { name: 'main', endpoints: [cluster.masters[0]!.address] },
        { name: 'all', type: 'sharded', endpoints: [all.address] },
        { name: 'writes', type: 'sharded', endpoints: [writes.address] },
        { name: 'some', type: 'sharded', endpoints: [some.address] },
      ],
    },
  });
  client = await RawClient.connect({ port: proxy.port });
  await poll('all connections are made', WAIT_MS, async () => {
    const active = Object.values(await proxy.stats('upstream_cx_active'));
    return active.reduce((sum, value) => sum + value, 0) >= 6;
  });
});

afterAll(async () => {
  client?.close();
  await proxy?.stop();
  await Promise.all((servers ?? []).map((server) => server.stop()));
  await cluster?.stop();
});

beforeEach(async () => {
  for (const server of [...servers, ...cluster.masters]) {
    await server.call('FLUSHALL');
    await server.call('CONFIG', 'RESETSTAT');
  }
});

const calls = async (server: RedisServer, command: string) =>
  Number(
    new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(await server.call('INFO', 'commandstats')))?.[1] ?? 0,
  );

describe('request mirroring', () => {
  it('copies commands, all or only those that write, and drops their replies', async () => {
    const [all, writes] = servers as [RedisServer, RedisServer];
    // A value that is too long for the mirror's type: its error is nobody's.
    await all.call('LPUSH', 'k1', 'not a string');
    for (let i = 0; i < 50; i++) expect(await client.call('SET', `k${i}`, i)).toBe('OK');
    for (let i = 0; i < 50; i++) expect(await client.call('GET', `k${i}`)).toBe(String(i));
    expect(await client.call('INCR', 'k1')).toBe(2);
    await poll(
      'the copies',
      WAIT_MS,
      async () => (await calls(all, 'get')) === 50 && (await calls(writes, 'incr')) === 1,
    );
    expect(await calls(all, 'set')).toBe(50);
    expect(await calls(writes, 'set')).toBe(50);
    expect(await calls(writes, 'get')).toBe(0);
    expect((await writes.call('DBSIZE')) as number).toBe(50);
  });

  it('copies split commands, with the names that the upstream sees', async () => {
    const [all, writes] = servers as [RedisServer, RedisServer];
    const keys = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? 'cut:' : ''}m${i}`);
    expect(await client.call('MSET', ...keys.flatMap((key, i) => [key, i]))).toBe('OK');
    expect(await client.call('MGET', ...keys)).toEqual(keys.map((_, i) => String(i)));
    await poll('the copies', WAIT_MS, async () => (await all.call('DBSIZE')) === 40 && (await calls(all, 'mget')) > 0);
    expect(await writes.call('DBSIZE')).toBe(20);
    expect(await all.call('GET', 'm0')).toBe('0');
    expect(await calls(writes, 'mget')).toBe(0);
  });

  it('copies a fraction', async () => {
    for (let i = 0; i < 1000; i++) client.send(`SET half:${i} x\r\n`);
    expect(await client.raw(1000)).toHaveLength(1000);
    await poll('some copies', WAIT_MS, async () => (await calls(servers[2]!, 'set')) > 400);
    expect(await calls(servers[2]!, 'set')).toBeLessThan(600);
  });

  it('never slows the caller: a mirror that hangs, and one that is gone, lose their copies', async () => {
    const [all, writes] = servers as [RedisServer, RedisServer];
    await all.kill('SIGSTOP');
    try {
      const value = 'x'.repeat(100_000);
      const started = performance.now();
      for (let i = 0; i < 200; i++) expect(await client.call('SET', `big${i}`, value)).toBe('OK');
      expect(performance.now() - started).toBeLessThan(5000);
      const dropped = await proxy.stats('cluster.all.upstream_rq_mirror_dropped');
      expect(Object.values(dropped)[0]).toBeGreaterThan(0);
    } finally {
      await all.kill('SIGCONT');
    }
    await writes.kill();
    await poll(
      'the connection is gone',
      WAIT_MS,
      async () => (await proxy.stats('cluster.writes.upstream_cx_active'))['cluster.writes.upstream_cx_active'] === 0,
    );
    const started = performance.now();
    for (let i = 0; i < 200; i++) expect(await client.call('SET', `k${i}`, 'x')).toBe('OK');
    expect(performance.now() - started).toBeLessThan(3000);
    const stats = await proxy.stats('cluster.writes.upstream_rq_mirror_dropped');
    expect(Object.values(stats)[0]).toBeGreaterThanOrEqual(200);
    await poll('the other mirror goes on', WAIT_MS, async () => {
      await client.call('SET', 'again', 'x');
      return (await all.call('EXISTS', 'again')) === 1;
    });
  });
});

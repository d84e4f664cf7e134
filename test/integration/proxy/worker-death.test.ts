/** A worker that ends by a fault: replaced, the others' clients untouched; too many deaths end the process. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const DEATHS_MAX = 5;
const root = fileURLToPath(new URL('../../..', import.meta.url));

let cluster: RedisCluster;
let directory: string;
let proxy: RunningProxy | undefined;
const before = process.env['FORGE_PROXY_BIN'];

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-faulty-'));
  const program = path.join(directory, 'forge-proxy');
  const words = [path.join(root, 'node_modules/.bin/bun'), path.join(root, 'test/support/bun/faulty-proxy.ts')];
  await writeFile(program, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  await chmod(program, 0o755);
  process.env['FORGE_PROXY_BIN'] = program;
});

afterAll(async () => {
  if (before === undefined) delete process.env['FORGE_PROXY_BIN'];
  else process.env['FORGE_PROXY_BIN'] = before;
  await proxy?.stop();
  await cluster?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** The worker that a client is at: client ids go round. */
const workerOf = async (client: RawClient) => (Number(await client.call('CLIENT', 'ID')) - 1) % 2;

it('is replaced, with the same number and counters that go on; after too many deaths the process ends', async () => {
  proxy = await startProxy({ cluster: cluster.nodes.map(({ address }) => address).join(','), workers: 2 });
  const running = proxy;
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect({ port: running.port })));
  const at = await Promise.all(clients.map(workerOf));
  const mine = clients.filter((_, i) => at[i] === 0);
  const others = clients.filter((_, i) => at[i] === 1);
  expect(Math.min(mine.length, others.length)).toBeGreaterThan(0);
  const [subscriber] = mine as [RawClient];
  await subscriber.call('SUBSCRIBE', 'news');
  const ids = await Promise.all(others.map((client) => client.call('CLIENT', 'ID')));
  const { 'redis.egress_redis.downstream_cx_total': total } = await running.stats('downstream_cx_total');

  running.signal('SIGUSR2');
  await Promise.all(mine.map((client) => client.untilClosed()));
  await poll('another one listens', 5000, async () => running.stderr().includes('worker 0 listens again'));
  for (const client of others) expect(await client.call('SET', 'still', 'here')).toBe('OK');
  const stats = await running.stats('downstream_cx|worker_restarts|subscriptions_active');
  expect(stats).toMatchObject({
    'server.worker_restarts': 1,
    'redis.egress_redis.downstream_cx_active': others.length,
    'redis.egress_redis.downstream_cx_total': total,
    'redis.egress_redis.downstream_pubsub_subscriptions_active': 0,
  });
  expect(await others[0]!.call('PUBSUB', 'NUMSUB', 'news')).toEqual(['news', 0]);
  const said = 'worker 0 ended; its clients were disconnected, another one takes its place';
  await poll('the log says it', 5000, () => running.stderr().includes(said));

  // The new one knows the topology, and gives nobody an id that another had.
  const fresh = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect({ port: running.port })));
  const late = (await Promise.all(fresh.map(async (client) => [client, await workerOf(client)] as const)))
    .filter(([, worker]) => worker === 0)
    .map(([client]) => client);
  expect(late.length).toBeGreaterThan(0);
  for (const client of late) {
    expect(await client.call('GET', 'still')).toBe('here');
    expect(ids).not.toContain(await client.call('CLIENT', 'ID'));
  }
  const newIds = await Promise.all(late.map((client) => client.call('CLIENT', 'ID')));
  expect(Math.min(...(newIds as number[]))).toBeGreaterThan(mine.length * 2 - 1);

  // The workers ask each other: the new one is among them.
  expect(
    String(await others[0]!.call('CLIENT', 'LIST'))
      .trim()
      .split('\n'),
  ).toHaveLength(others.length + fresh.length);

  for (let death = 2; death <= DEATHS_MAX; death++) {
    running.signal('SIGUSR2');
    await poll(`death ${death} is made good`, 5000, async () => {
      const { 'server.worker_restarts': count } = await running.stats('server.worker_restarts');
      return count === death && running.stderr().split('listens again').length === death + 1;
    });
  }
  running.signal('SIGUSR2');
  expect(await running.ended).toEqual({ code: 1, signal: null });
  expect(running.stderr()).toContain('workers ended more than 5 times in 60 s');
  for (const client of [...clients, ...fresh]) client.close();
});

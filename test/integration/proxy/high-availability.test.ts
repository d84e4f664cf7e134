import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const CLIENTS = 20;
const START_MS = 10_000;
/** A client that was cut off has connected anew and been served. */
const BACK_MS = 3_000;
/** The balancer has seen a proxy go or come. */
const SEEN_MS = 5_000;

let cluster: RedisCluster;
let proxies: RunningProxy[];
let balancer: ChildProcess;
let complaints = '';
let dir: string;
let port: number;

/** The template with this test's addresses, and a port for clients of its own. */
async function configuration(): Promise<string> {
  let text = await readFile(path.join(ROOT, 'templates', 'haproxy.cfg'), 'utf8');
  text = text.replace('0.0.0.0:6379', `127.0.0.1:${port}`).replace('maxconn 60000', 'maxconn 1000');
  for (const [index, proxy] of proxies.entries()) {
    text = text.replace(
      `proxy${index + 1} 10.0.0.1${index + 1}:6379 port 9901`,
      `proxy${index + 1} ${proxy.address} port ${proxy.adminPort}`,
    );
  }
  expect(text).not.toContain('10.0.0.');
  return text;
}

beforeAll(async () => {
  cluster = await startCluster();
  proxies = await Promise.all([1, 2].map(() => startProxy({ cluster: cluster.addresses })));
  port = await freePort();
  dir = await mkdtemp(path.join(os.tmpdir(), 'forge-haproxy-'));
  await writeFile(path.join(dir, 'haproxy.cfg'), await configuration());
  balancer = spawn('haproxy', ['-db', '-f', path.join(dir, 'haproxy.cfg')], { stdio: ['ignore', 'ignore', 'pipe'] });
  balancer.on('error', (error) => {
    complaints += error.message;
  });
  balancer.stderr?.on('data', (text) => {
    complaints += text;
  });
  await poll('the balancer serves', START_MS, async () => {
    if (balancer.pid === undefined || balancer.exitCode !== null) throw new Error(`haproxy: ${complaints}`);
    return await pings();
  });
});

afterAll(async () => {
  balancer?.kill('SIGKILL');
  await Promise.all((proxies ?? []).map((proxy) => proxy.stop()));
  await cluster?.stop();
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

async function pings(): Promise<boolean> {
  const redis = new Redis({ port, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

const served = async (proxy: RunningProxy) =>
  (await proxy.stats('downstream_cx_active'))['redis.egress_redis.downstream_cx_active'] ?? 0;

/** Clients that write and read their own counters until they are told to stop; each keeps what it was told. */
function startClients() {
  let stopped = false;
  const records = Array.from({ length: CLIENTS }, (_, index) => ({
    key: `ha:${index}`,
    counted: 0,
    errors: [] as string[],
    lastSuccessMs: 0,
    worstGapMs: 0,
  }));
  const running = records.map(async (record) => {
    const redis = new Redis({ port, maxRetriesPerRequest: 0, retryStrategy: () => 50 });
    redis.on('error', () => {});
    record.lastSuccessMs = performance.now();
    while (!stopped) {
      try {
        const value = await redis.incr(record.key);
        // A lost answer leaves a count that was made and not heard of; never one that goes back.
        if (value <= record.counted) record.errors.push(`went back from ${record.counted} to ${value}`);
        record.counted = value;
        const now = performance.now();
        record.worstGapMs = Math.max(record.worstGapMs, now - record.lastSuccessMs);
        record.lastSuccessMs = now;
      } catch (error) {
        record.errors.push((error as Error).message);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    redis.disconnect();
  });
  return {
    records,
    async stop() {
      stopped = true;
      await Promise.all(running);
      return records;
    },
  };
}

describe('two proxies behind a load balancer', () => {
  it('share the clients, and when one is killed its clients are served by the other within moments', async () => {
    const clients = startClients();
    await poll('both have clients', SEEN_MS, async () => (await Promise.all(proxies.map(served))).every((n) => n >= 5));
    const before = clients.records.map(({ counted }) => counted);
    const killedMs = performance.now();
    proxies[0].signal('SIGKILL');
    await proxies[0].ended;
    await poll('all clients are served again', BACK_MS, () =>
      clients.records.every(({ lastSuccessMs, counted }, i) => lastSuccessMs > killedMs + 100 && counted > before[i]),
    );
    const records = await clients.stop();
    const hit = records.filter(({ errors }) => errors.length > 0);
    // Who was with the other proxy has noticed nothing.
    expect(hit.length).toBeLessThan(CLIENTS);
    expect(hit.length).toBeGreaterThan(0);
    for (const { errors } of records) for (const error of errors) expect(error).not.toContain('went back');
    for (const { worstGapMs } of records) expect(worstGapMs).toBeLessThan(BACK_MS);
    proxies[0] = await startProxy({
      cluster: cluster.addresses,
      port: proxies[0].port,
      adminPort: proxies[0].adminPort,
    });
    await poll('the balancer has it back', SEEN_MS, async () => {
      const probes = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect({ port })));
      try {
        for (const probe of probes) await probe.call('PING');
        return (await served(proxies[0])) > 0;
      } finally {
        for (const probe of probes) probe.close();
      }
    });
  });

  it('share nothing but Redis: what one client writes through one is read, heard and scanned through the other', async () => {
    const [a, b] = proxies.map((proxy) => new Redis({ port: proxy.port }));
    try {
      await b.subscribe('ha:channel');
      const heard = new Promise((resolve) => b.once('message', (_channel, text) => resolve(text)));
      await a.publish('ha:channel', 'hello');
      expect(await heard).toBe('hello');
      await b.unsubscribe('ha:channel');
      const keys = Array.from({ length: 500 }, (_, i) => `ha:scan:${i}`);
      await a.mset(keys.flatMap((key) => [key, '1']));
      // A cursor that one proxy gave is taken by the other.
      const seen = new Set<string>();
      let cursor = '0';
      let turn = 0;
      do {
        const [next, page] = await (turn++ % 2 === 0 ? a : b).scan(cursor, 'MATCH', 'ha:scan:*', 'COUNT', 100);
        for (const key of page) seen.add(key);
        cursor = next;
      } while (cursor !== '0');
      expect(seen.size).toBe(keys.length);
    } finally {
      a.disconnect();
      b.disconnect();
    }
  });
});

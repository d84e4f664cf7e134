import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kindOf } from '../../../src/proxy/server/admin/help.js';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const PAGE = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../docs/statistics.md');
const BIG = 2 * 1024 * 1024;

let cluster: RedisCluster;
let proxy: RunningProxy;
let client: RawClient;

/** Settings of the proxy under test: everything is on, so that every statistic is there. */
const config = () => ({
  workers: 2,
  listeners: [
    {
      cluster: 'main',
      stat_prefix: 'front',
      faults: [{ fault_type: 'ERROR', fault_enabled: 100, commands: ['GETDEL'] }],
    },
  ],
  statistics: { slowlog_log_slower_than: 40_000, hot_key_window: '10s' },
  clusters: [
    {
      name: 'main',
      endpoints: [cluster.nodes[0]!.address],
      health_checks: [{ interval: '1s', timeout: '500ms' }],
      outlier_detection: {},
    },
  ],
});

beforeAll(async () => {
  cluster = await startCluster({});
  proxy = await startProxy({ config: config() });
  client = await RawClient.connect({ port: proxy.port });
  await client.pipeline([
    ...Array.from({ length: 500 }, (_, i) => ['SET', `key:${i}`, i]),
    ...Array.from({ length: 500 }, (_, i) => ['GET', `key:${i}`]),
    ['LPUSH', 'key:1', 'x'],
    ['GETDEL', 'key:1'],
    ['CONFIG', 'GET', 'maxmemory'],
  ]);
});

afterAll(async () => {
  client?.close();
  await proxy?.stop();
  await cluster?.stop();
});

const body = async (address: string) => (await proxy.page(address)).body;
const document = async <T>(address: string) => JSON.parse(await body(address)) as T;

/** What docs/statistics.md says: kind → type, of each section. */
function documented(): Map<string, string> {
  const types = new Map<string, string>();
  let prefix: string | null = null;
  for (const line of readFileSync(PAGE, 'utf8').split('\n')) {
    const heading = /^## (.*)$/.exec(line)?.[1];
    if (heading !== undefined) {
      prefix = heading.startsWith('The process') ? 'server.' : heading.startsWith('Commands:') ? 'command.' : null;
      if (/^(Clients|Upstream clusters|TLS):|^Overload/.test(heading)) prefix = '';
    }
    const row = /^\| `([\w.]+)` \| (counter|gauge|histogram) \| [^|]* \| [^|]+ \|$/.exec(line);
    if (row !== null && prefix !== null) types.set(`${prefix}${row[1]}`, row[2]!);
  }
  return types;
}

describe('docs/statistics.md', () => {
  it('names every statistic of a running proxy with its type, and no other', async () => {
    const known = documented();
    const seen = new Set<string>();
    for (const [type, query] of [
      ['counter', 'Counters'],
      ['gauge', 'Gauges'],
      ['histogram', 'Histograms'],
    ] as const) {
      for (const line of (await body(`/stats?type=${query}`)).trim().split('\n')) {
        const kind = kindOf(line.slice(0, line.indexOf(': ')));
        seen.add(kind);
        expect([kind, known.get(kind)]).toEqual([kind, type]);
      }
    }
    expect([...known.keys()].filter((kind) => !seen.has(kind))).toEqual([]);
  });
});

describe('histograms', () => {
  it('count every command that a node has answered, and those times are times', async () => {
    const { stats } = await document<{ stats: { histograms?: { computed_quantiles: Computed[] } }[] }>(
      '/stats?format=json&type=Histograms',
    );
    interface Computed {
      name: string;
      unit: string;
      count: number;
      values: { cumulative: number | null }[];
    }
    const all = stats.find(({ histograms }) => histograms !== undefined)!.histograms!.computed_quantiles;
    const of = (name: string) => all.find((each) => each.name === name)!;
    expect(of('redis.front.command.set.latency').count).toBe(500);
    expect(of('redis.front.command.get.latency').count).toBe(500);
    expect(of('redis.front.downstream_rq_time').count).toBe(1002);
    expect(of('cluster.main.upstream_rq_time').count).toBeGreaterThanOrEqual(1002);
    for (const { name, values } of all) {
      const numbers = values.map(({ cumulative }) => cumulative!);
      expect(
        [...numbers].sort((a, b) => a - b),
        name,
      ).toEqual(numbers);
      expect(numbers.at(-1), name).toBeLessThan(10_000);
    }
    expect(await body('/stats?filter=command.set.latency')).toMatch(
      /^redis\.front\.command\.set\.latency: P0\((nan|[\d.]+),[\d.]+\) P25.* P99\.9\(.*\) P100\(.*\)\n$/,
    );
  });

  it('show the last five seconds beside all times', async () => {
    await poll('an interval with commands is over', 15_000, async () => {
      await client.call('GET', 'key:1');
      return /P50\([\d.]+,[\d.]+\)/.test(await body('/stats?filter=command.get.latency'));
    });
  });
});

describe('Prometheus', () => {
  it('has nothing to complain about in the format', async () => {
    const run = spawnSync('promtool', ['check', 'metrics'], {
      input: await body('/stats/prometheus'),
      timeout: 10_000,
    });
    expect([String(run.stderr), run.status]).toEqual(['', 0]);
  });

  it('has buckets that add up', async () => {
    const text = await body('/stats/prometheus?filter=upstream_rq_time');
    expect(text).toContain('# TYPE envoy_cluster_upstream_rq_time histogram\n');
    const buckets = [...text.matchAll(/_bucket\{envoy_cluster_name="main",le="([^"]+)"\} (\d+)/g)];
    const counts = buckets.map(([, , count]) => Number(count));
    expect(buckets.map(([, bound]) => bound).slice(0, 3)).toEqual(['0.1', '0.25', '0.5']);
    expect(buckets.at(-1)?.[1]).toBe('+Inf');
    expect([...counts].sort((a, b) => a - b)).toEqual(counts);
    expect(Number(/_count\{[^}]*\} (\d+)/.exec(text)?.[1])).toBe(counts.at(-1));
    expect(Number(/_sum\{[^}]*\} ([\d.]+)/.exec(text)?.[1])).toBeGreaterThan(0);
  });

  it('scrapes it, and computes percentiles and shares of errors', { timeout: 60_000 }, async () => {
    const prometheus = await startPrometheus(proxy.adminPort);
    try {
      const value = (query: string) => prometheus.value(query);
      await poll('it has scraped', 30_000, async () => (await value('up{job="proxy"}')) === 1);
      await poll('it knows the commands', 30_000, async () => {
        return ((await value('envoy_redis_command_total{envoy_redis_command="set"}')) ?? 0) >= 500;
      });
      const p99 = await value('histogram_quantile(0.99, sum by (le) (envoy_cluster_upstream_rq_time_bucket))');
      expect(p99).toBeGreaterThan(0);
      expect(p99).toBeLessThan(10_000);
      expect(await value('sum(envoy_redis_command_latency_count{envoy_redis_command="get"})')).toBeGreaterThan(499);
      expect(await value('envoy_cluster_upstream_rq_xx{response_code_class="4"}')).toBe(1);
      expect(await value('envoy_cluster_upstream_rq_xx{response_code_class="5"}')).toBe(0);
    } finally {
      await prometheus.stop();
    }
  });
});

describe('/slowlog', () => {
  it('has a command that kept its node busy, with the time there, and none that was quick', async () => {
    const script =
      "local t=redis.call('TIME') repeat local n=redis.call('TIME') until (n[1]-t[1])*1000000+n[2]-t[2] > 60000";
    await client.call('CLIENT', 'SETNAME', 'tester');
    await client.call('EVAL', script, 1, 'key:1', 'x'.repeat(500));
    const { slow_commands: slow } = await document<{ slow_commands: Record<string, unknown>[] }>(
      '/slowlog?format=json',
    );
    const entry = slow.find(({ command }) => command === 'eval')!;
    expect(entry).toMatchObject({ client_name: 'tester', user: 'default', attempts: 1 });
    expect(entry['upstream_us']).toBeGreaterThanOrEqual(59_000);
    expect(Number(entry['upstream_us']) + Number(entry['proxy_us'])).toBe(entry['duration_us']);
    expect((entry['arguments'] as string[]).slice(-2)).toEqual(['key:1', `${'x'.repeat(128)}... (372 more bytes)`]);
    expect(await body('/slowlog?count=1')).toMatch(
      /^\d{4}-.*Z \d+ us \(upstream \d+, proxy \d+\) attempts=1 client=127/,
    );
    expect((await proxy.page('/slowlog?count=x')).status).toBe(400);
    expect((await proxy.page('/slowlog/clear', 'POST')).status).toBe(200);
    expect(await body('/slowlog')).not.toContain('redis.call');
  });
});

describe('/hotkeys', () => {
  it('has the key that is used most, over both workers, with its writes', { timeout: 30_000 }, async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect({ port: proxy.port })));
    await poll('the hot key is found', 20_000, async () => {
      await Promise.all(
        clients.map((each, i) =>
          each.pipeline(Array.from({ length: 200 }, (_, j) => (j % 2 ? ['INCR', 'hot'] : ['GET', `cold:${i}:${j}`]))),
        ),
      );
      const { hot_keys: keys } = await document<{
        hot_keys: { key: string; per_second: number; error: number; writes_per_second: number }[];
      }>('/hotkeys?format=json&count=5');
      const [top] = keys;
      if (top?.key !== 'hot' || keys.length < 5) return false;
      expect(keys).toHaveLength(5);
      expect(top.error).toBeLessThan(top.per_second);
      expect(top.writes_per_second).toBeGreaterThan(top.per_second * 0.8);
      return true;
    });
    expect(await body('/hotkeys?count=1')).toMatch(/^\d+(\.\d+)?\/s \(\+-[\d.]+, writes [\d.]+\) hot\n$/);
    for (const each of clients) each.close();
  });
});

describe('/bigvalues', () => {
  it('has what was written and read in one piece or in many', async () => {
    await client.call('SET', 'big\nkey', 'x'.repeat(BIG));
    await client.call('GET', 'big\nkey');
    const { big_values: values } = await document<{ big_values: Record<string, unknown>[] }>('/bigvalues?format=json');
    expect(values.map(({ direction, command, key }) => [direction, command, key]).sort()).toEqual([
      ['reply', 'get', 'big\nkey'],
      ['request', 'set', 'big\nkey'],
    ]);
    for (const { bytes } of values) expect(bytes).toBeGreaterThan(BIG);
    // On one line, whatever clients call their keys.
    expect((await body('/bigvalues')).trim().split('\n')).toHaveLength(2);
    await proxy.page('/bigvalues/clear', 'POST');
    expect(await body('/bigvalues')).toBe('');
  });
});

describe('INFO proxy', () => {
  it('tells of the proxy itself', async () => {
    const text = String(await client.call('INFO', 'proxy'));
    const field = (name: string) => new RegExp(`^${name}:(.*)\\r$`, 'm').exec(text)?.[1];
    expect(text).toMatch(/^# Proxy\r\n/);
    const page = readFileSync(PAGE, 'utf8');
    const names = [...text.matchAll(/^(proxy_\w+):/gm)].map(([, name]) => name!);
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
    expect(names.length).toBeGreaterThan(10);
    expect(field('proxy_workers')).toBe('2');
    expect(Number(field('proxy_connected_clients'))).toBeGreaterThan(0);
    expect(Number(field('proxy_commands_processed'))).toBeGreaterThan(1000);
    expect(Number(field('proxy_used_memory_rss'))).toBeGreaterThan(10_000_000);
    expect(field('proxy_latency_percentiles_usec')).toMatch(/^p50=\d+\.\d+,p99=\d+\.\d+,p99\.9=\d+\.\d+$/);
  });
});

describe('pages that change something', () => {
  const POSTS = [
    '/healthcheck/fail',
    '/healthcheck/ok',
    '/drain_listeners',
    '/logging',
    '/reset_counters',
    '/quitquitquit',
  ];

  it('are for POST only, and say so', async () => {
    for (const page of POSTS) {
      const { status, body: said } = await proxy.page(page);
      expect([page, status]).toEqual([page, 405]);
      expect(said).toContain(`curl -X POST …${page}`);
    }
    expect((await proxy.page('/ready')).status).toBe(200);
    expect((await proxy.page('/stats', 'POST')).status).toBe(405);
  });

  it('take the proxy out of a load balancer while clients go on, and back', async () => {
    await proxy.page('/healthcheck/fail', 'POST');
    const failed = await proxy.page('/ready');
    expect([failed.status, failed.body]).toEqual([503, 'DRAINING\n']);
    expect(await client.call('GET', 'key:7')).toBe('7');
    expect((await proxy.stats('server.live'))['server.live']).toBe(0);
    await proxy.page('/healthcheck/ok', 'POST');
    expect((await proxy.page('/ready')).status).toBe(200);
  });

  it('set what is logged', async () => {
    expect((await proxy.page('/logging?level=loud', 'POST')).status).toBe(400);
    expect((await proxy.page('/logging?level=debug', 'POST')).body).toBe('log_level: debug\n');
    expect((await proxy.page('/logging?level=info', 'POST')).status).toBe(200);
  });

  it('show counters and times from 0 again, and gauges as they are', async () => {
    await proxy.page('/reset_counters', 'POST');
    await client.call('GET', 'key:1');
    const stats = await proxy.stats('^redis.front.(command.(get|set).total|downstream_cx_active)');
    expect(stats['redis.front.command.get.total']).toBe(1);
    expect(stats['redis.front.command.set.total']).toBe(0);
    expect(stats['redis.front.downstream_cx_active']).toBeGreaterThanOrEqual(1);
    // A worker forgets its times when it hears of it, which may be after the first command.
    await poll('the time is there', 10_000, async () => {
      await client.call('GET', 'key:1');
      const times = /_count\{[^}]*envoy_redis_command="get"\} (\d+)\n/.exec(
        await body('/stats/prometheus?filter=command.get.latency'),
      );
      const count = Number(times?.[1] ?? 0);
      return count > 0 && count < 500 ? true : undefined;
    });
  });

  it('stop accepting, and end the process', { timeout: 40_000 }, async () => {
    const other = await startProxy({ config: config() });
    try {
      const old = await RawClient.connect({ port: other.port });
      expect(await old.call('PING')).toBe('PONG');
      await other.page('/drain_listeners', 'POST');
      await poll('nobody is accepted any more', 5000, async () => !(await connects(other.port)));
      expect((await other.page('/ready')).status).toBe(503);
      expect(await old.call('SET', 'drained', '1')).toBe('OK');
      expect(await old.call('GET', 'drained')).toBe('1');
      expect((await other.page('/quitquitquit', 'POST')).status).toBe(200);
      expect((await other.ended).code).toBe(0);
      old.close();
    } finally {
      await other.stop();
    }
  });
});

describe('whoever speaks to the admin address', () => {
  it('cannot harm it: slow, endless, or no HTTP at all', { timeout: 40_000 }, async () => {
    const sockets = [
      await hostile('GET /sta'),
      await hostile(`GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(100_000)}`),
      await hostile(
        `POST /logging?level=info HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n${'x'.repeat(100_000)}`,
      ),
      await hostile('*1\r\n$4\r\nPING\r\n'),
      await hostile(`GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\n\r\n`),
      ...(await Promise.all(Array.from({ length: 200 }, () => hostile('G')))),
    ];
    for (let i = 0; i < 5; i++) expect((await proxy.page('/ready')).status).toBe(200);
    expect(await client.call('PING')).toBe('PONG');
    for (const socket of sockets) socket.destroy();
  });

  async function hostile(text: string): Promise<net.Socket> {
    const socket = net.connect(proxy.adminPort, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(text);
    return socket;
  }
});

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const done = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/** A real Prometheus on loopback that scrapes one admin address every second. */
async function startPrometheus(target: number) {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'forge-prometheus-'));
  const port = await freePort();
  const file = path.join(dir, 'prometheus.yml');
  writeFileSync(
    file,
    `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: proxy
    metrics_path: /stats/prometheus
    static_configs: [{ targets: ['127.0.0.1:${target}'] }]
`,
  );
  const child: ChildProcess = spawn(
    'prometheus',
    [`--config.file=${file}`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  return {
    /** The only value of a query; null as long as there is none. */
    async value(query: string): Promise<number | null> {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(5000) }).catch(() => null);
      if (answer?.status !== 200) return null;
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
      return data.result.length === 1 ? Number(data.result[0]!.value[1]) : null;
    },
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(late);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

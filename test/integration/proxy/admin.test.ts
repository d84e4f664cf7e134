import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const UPSTREAM_PASSWORD = 'upstream-secret';

let cluster: RedisCluster;
let proxy: RunningProxy;
let client: RawClient;

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 1, requirepass: UPSTREAM_PASSWORD });
  proxy = await startProxy({
    config: {
      workers: 2,
      listeners: [{ cluster: 'main', stat_prefix: 'front' }],
      clusters: [
        {
          name: 'main',
          endpoints: [cluster.nodes[0]!.address],
          auth_password: { inline: UPSTREAM_PASSWORD },
          cluster_refresh_rate: '300ms',
        },
      ],
    },
  });
  client = await RawClient.connect({ port: proxy.port });
  await client.pipeline([
    ...Array.from({ length: 10 }, (_, i) => ['SET', `admin:${i}`, i]),
    ['GET', 'admin:1'],
    ['LPUSH', 'admin:1', 'x'],
    ['MGET', 'admin:1', 'admin:2', 'admin:3'],
    ['OBJECT', 'ENCODING', 'admin:1'],
    ['SHUTDOWN'],
    ['GET'],
  ]);
  // Nodes list a replica once its offset has come round.
  await poll('the replicas are known', 20_000, async () => {
    const stats = await proxy.stats('membership_total');
    return stats['cluster.main.membership_total'] === 6;
  });
});

afterAll(async () => {
  client?.close();
  await proxy?.stop();
  await cluster?.stop();
});

const body = async (path: string) => (await proxy.page(path)).body;

describe('/ready and /server_info', () => {
  it('say that the proxy is live', async () => {
    const ready = await proxy.page('/ready');
    expect([ready.status, ready.body]).toEqual([200, 'LIVE\n']);
    const info = JSON.parse(await body('/server_info')) as Record<string, unknown>;
    expect(info).toMatchObject({ state: 'LIVE', process_id: proxy.pid, concurrency: 2 });
    expect(info['version']).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('/stats', () => {
  it("counts clients' commands by their kind, errors among them", async () => {
    const stats = await proxy.stats();
    const front = (name: string) => stats[`redis.front.${name}`];
    expect(front('downstream_cx_active')).toBe(1);
    expect(front('downstream_rq_total')).toBe(16);
    expect(front('command.set.total')).toBe(10);
    expect(front('command.set.success')).toBe(10);
    expect([front('command.get.total'), front('command.get.error')]).toEqual([2, 1]);
    expect([front('command.lpush.total'), front('command.lpush.error')]).toEqual([1, 1]);
    expect([front('command.mget.total'), front('command.mget.error')]).toEqual([1, 0]);
    expect(front('command.object_encoding.total')).toBe(1);
    expect(front('splitter.unsupported_command')).toBe(1);
    expect(front('splitter.invalid_request')).toBe(1);
    expect(front('downstream_cx_rx_bytes_total')).toBeGreaterThan(300);
    expect(front('downstream_cx_tx_bytes_total')).toBeGreaterThan(100);
    expect(stats['cluster.main.upstream_cx_active']).toBeGreaterThanOrEqual(3);
    expect(stats['cluster.main.upstream_rq_total']).toBeGreaterThanOrEqual(15);
    expect(stats['cluster.main.membership_total']).toBe(6);
    expect(stats['cluster.main.update_success']).toBeGreaterThanOrEqual(1);
    expect(stats['server.live']).toBe(1);
    expect(stats['server.memory_physical_size']).toBeGreaterThan(10_000_000);
  });

  it('are lines in order; usedonly and filter choose among them', async () => {
    const lines = (await body('/stats')).trim().split('\n');
    expect(lines.length).toBeGreaterThan(300);
    const numbers = lines.filter((line) => !/: (P0\(|No recorded)/.test(line));
    for (const line of numbers) expect(line).toMatch(/^[a-z0-9_.-]+: \d+$/);
    expect([...numbers].sort()).toEqual(numbers);
    const used = (await body('/stats?usedonly')).trim().split('\n');
    expect(used.length).toBeLessThan(100);
    for (const line of used) expect(line).not.toMatch(/: 0$/);
    const filtered = (await body('/stats?usedonly&filter=command%5C.(set%7Cget)%5C.total')).trim().split('\n');
    expect(filtered).toEqual(['redis.front.command.get.total: 2', 'redis.front.command.set.total: 10']);
    expect(await body('/stats?filter=nothing_has_this_name')).toBe('');
  });

  it('refuses a filter that is no expression or too long, and an unknown format', async () => {
    expect((await proxy.page('/stats?filter=(')).status).toBe(400);
    expect((await proxy.page(`/stats?filter=${'x'.repeat(1000)}`)).status).toBe(400);
    expect((await proxy.page('/stats?format=xml')).status).toBe(400);
  });
});

describe('/stats/prometheus', () => {
  /** One sample: name, labels, value. */
  const SAMPLE =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+]+)$/;

  it("is Prometheus's text format: every family has one type and comes in one piece, no sample comes twice", async () => {
    const page = await proxy.page('/stats/prometheus');
    expect(page.type).toContain('text/plain; version=0.0.4');
    const types = new Map<string, string>();
    const samples = new Set<string>();
    let family = '';
    for (const line of page.body.trimEnd().split('\n')) {
      const type = /^# TYPE (\S+) (counter|gauge|untyped|histogram)$/.exec(line);
      if (line.startsWith('# HELP ')) continue;
      if (type !== null) {
        family = type[1]!;
        expect(types.has(family), family).toBe(false);
        types.set(family, type[2]!);
        continue;
      }
      const sample = SAMPLE.exec(line);
      expect(sample, line).not.toBeNull();
      expect(sample?.[1]?.replace(types.get(family) === 'histogram' ? /_(bucket|sum|count)$/ : '', ''), line).toBe(
        family,
      );
      const name = `${sample?.[1]}{${sample?.[2] ?? ''}}`;
      expect(samples.has(name), name).toBe(false);
      samples.add(name);
    }
    expect(types.get('envoy_redis_downstream_rq_total')).toBe('counter');
    expect(types.get('envoy_redis_downstream_cx_active')).toBe('gauge');
    expect(types.get('envoy_cluster_upstream_cx_active')).toBe('gauge');
    expect(page.body).toContain('envoy_redis_command_total{envoy_redis_prefix="front",envoy_redis_command="set"} 10\n');
    expect(page.body).toContain('envoy_server_live{} 1\n');
  });

  it('takes the same filters', async () => {
    const text = await body('/stats/prometheus?usedonly&filter=downstream_rq_total');
    expect(text).toBe(
      '# HELP envoy_redis_downstream_rq_total commands of clients\n# TYPE envoy_redis_downstream_rq_total counter\nenvoy_redis_downstream_rq_total{envoy_redis_prefix="front"} 16\n',
    );
  });
});

describe('/clusters', () => {
  interface Host {
    address: string;
    role: string;
    slots: number;
    ranges: string[];
    cx_active: number;
    health_flags: string;
  }

  it('shows every node with its role, its slots and its connections', async () => {
    // A worker connects to all masters by itself, whichever of them served the client.
    const hosts = await poll('all masters are connected', 5_000, async () => {
      const page = JSON.parse(await body('/clusters?format=json')) as { name: string; hosts: Host[] };
      expect(page).toMatchObject({ name: 'main', type: 'redis_cluster', last_error: '' });
      return page.hosts.filter(({ cx_active }) => cx_active === 2).length === 3 && page.hosts;
    });
    const byRole = (role: string) => hosts.filter((host) => host.role === role).map((host) => host.address);
    expect(byRole('master').sort()).toEqual(cluster.masters.map(({ address }) => address).sort());
    expect(byRole('replica').sort()).toEqual(cluster.replicas.map(({ address }) => address).sort());
    expect(hosts.reduce((sum, { slots }) => sum + slots, 0)).toBe(16_384);
    expect(hosts.every(({ health_flags }) => health_flags === 'healthy')).toBe(true);
    const text = await body('/clusters');
    expect(text).toContain('main::type::redis_cluster\n');
    for (const { address } of cluster.masters) expect(text).toContain(`main::${address}::role::master\n`);
  });
});

describe('/config_dump', () => {
  it('shows the configuration as it is used, without secrets', async () => {
    const text = await body('/config_dump');
    expect(text).not.toContain(UPSTREAM_PASSWORD);
    expect(JSON.parse(text)).toMatchObject({
      workers: 2,
      listeners: [{ stat_prefix: 'front', cluster: 'main' }],
      clusters: [{ name: 'main', type: 'redis_cluster', settings: { op_timeout: 5000 } }],
    });
    expect(text).toContain('[redacted]');
  });
});

describe('other pages and methods', () => {
  it('are refused, and say what there is', async () => {
    const missing = await proxy.page('/nothing');
    expect(missing.status).toBe(404);
    expect(missing.body).toContain('/stats/prometheus');
    for (const method of ['POST', 'PUT', 'DELETE']) expect((await proxy.page('/ready', method)).status).toBe(405);
    expect((await proxy.page('/ready', 'HEAD')).status).toBe(200);
    for (const path of ['/', '/help']) expect(await body(path)).toContain('/config_dump');
  });

  it('are answered while clients keep the workers busy', async () => {
    const big = Array.from({ length: 20_000 }, (_, i) => ['SET', `admin:busy:${i % 100}`, i]);
    const [replies] = await Promise.all([
      client.pipeline(big),
      ...Array.from({ length: 20 }, async () => expect((await proxy.page('/clusters')).status).toBe(200)),
    ]);
    expect(replies).toHaveLength(big.length);
  });
});

describe('INFO through the proxy', () => {
  it('shows one standalone server, and its sections by name', async () => {
    const all = String(await client.call('INFO'));
    const node = String(await cluster.nodes[0]!.call('INFO', 'server'));
    const field = (text: string, name: string) => new RegExp(`^${name}:(.*)\\r$`, 'm').exec(text)?.[1];
    expect(field(all, 'redis_version')).toBe(field(node, 'redis_version'));
    expect(field(all, 'redis_mode')).toBe('standalone');
    expect(field(all, 'tcp_port')).toBe(String(proxy.port));
    expect(field(all, 'connected_clients')).toBe('1');
    expect(field(all, 'role')).toBe('master');
    expect(field(all, 'cluster_enabled')).toBe('0');
    expect(Object.keys(await sections('INFO', 'clients', 'stats'))).toEqual(['Clients', 'Stats']);
    expect(Object.keys(await sections('INFO', 'nothing'))).toEqual([]);
  });

  async function sections(...args: string[]): Promise<Record<string, true>> {
    const text = String(await client.call(...args));
    return Object.fromEntries([...text.matchAll(/^# (\w+)\r$/gm)].map(([, name]) => [name, true]));
  }
});

describe('who must not be answered', () => {
  const asked = (path: string, method: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const request = http.request({ port: proxy.adminPort, path, method, headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.once('error', reject);
      request.end();
    });

  it('is a web page, and a name that anybody may give to this machine', async () => {
    expect(await asked('/quitquitquit', 'POST', { origin: 'http://evil.example' })).toBe(403);
    expect(await asked('/config_dump', 'GET', { host: 'evil.example' })).toBe(403);
    expect(await asked('/healthcheck/ok', 'POST', { host: `localhost:${proxy.adminPort}` })).toBe(200);
    expect(await body('/ready')).toBe('LIVE\n');
  });

  it('cannot keep the proxy busy with a filter', async () => {
    const { status } = await proxy.page(`/stats?filter=${encodeURIComponent('(\\w+\\w+)+!')}`);
    expect(status).toBe(200);
    expect((await proxy.page(`/stats?filter=${encodeURIComponent('(a)\\1')}`)).status).toBe(400);
  });
});

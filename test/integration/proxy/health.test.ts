import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { ErrorReply, type Value } from '../../support/resp.js';

const WAIT_MS = 15_000;
/** Commands wait so long for a host that is not there; what comes sooner has failed fast. */
const OP_TIMEOUT_MS = 4_000;
const CHECKS = { timeout: '150ms', interval: '150ms', unhealthy_threshold: 2, healthy_threshold: 2 };

let servers: RedisServer[] = [];
let cluster: RedisCluster | undefined;
let proxy: RunningProxy | undefined;
let client: RawClient | undefined;

afterEach(async () => {
  client?.close();
  await proxy?.stop();
  await Promise.all(servers.map((server) => server.stop()));
  await cluster?.stop();
  servers = [];
  cluster = proxy = client = undefined;
});

const sharded = (settings: Record<string, unknown>, workers = 2) => ({
  workers,
  listeners: [{ cluster: 'main' }],
  clusters: [
    {
      name: 'main',
      type: 'sharded',
      endpoints: servers.map(({ address }) => address),
      connect_timeout: '300ms',
      settings: { op_timeout: `${OP_TIMEOUT_MS}ms` },
      ...settings,
    },
  ],
});

async function startSharded(settings: Record<string, unknown>, workers = 2): Promise<RunningProxy> {
  servers = await startServers(3);
  return startProxy({ config: sharded(settings, workers) });
}

interface Host {
  address: string;
  role: string;
  slots: number;
  health_flags: string;
  health_check_success?: number;
  health_check_failure?: number;
  health_check_error?: string;
  ejections?: number;
}

async function hosts(): Promise<Map<string, Host>> {
  const { body } = await proxy!.page('/clusters?format=json');
  return new Map((JSON.parse(body) as { hosts: Host[] }).hosts.map((host) => [host.address, host]));
}

const flags = async (server: RedisServer) => (await hosts()).get(server.address)?.health_flags ?? '';

/** Keys with the server that has each. */
async function spread(count = 60): Promise<Map<string, RedisServer>> {
  const keys = new Map<string, RedisServer>();
  for (let i = 0; i < count; i++) {
    const key = `key:${i}`;
    await client!.call('SET', key, key);
    for (const server of servers) if ((await server.call('EXISTS', key)) === 1) keys.set(key, server);
  }
  return keys;
}

const message = (value: Value) => (value instanceof ErrorReply ? value.message : value);

describe('active health checks of sharded hosts', () => {
  it('a host that dies: its keys fail fast with no upstream host, the others are served, and it comes back', async () => {
    proxy = await startSharded({ health_checks: [CHECKS] });
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread();
    const [lost] = servers;
    const { port } = lost!;
    await lost!.kill();
    await poll('the host is seen to be gone', WAIT_MS, async () => /failed_active_hc/.test(await flags(lost!)));
    for (const [key, server] of keys) {
      const started = performance.now();
      expect(message(await client.ask('GET', key))).toBe(server === lost ? 'no upstream host' : key);
      expect(performance.now() - started).toBeLessThan(OP_TIMEOUT_MS / 4);
    }
    // What is for all hosts does not leave one out silently.
    expect(await client.ask('DBSIZE')).toBeInstanceOf(ErrorReply);
    const blocked = performance.now();
    const lostKey = [...keys].find(([, server]) => server === lost)![0];
    expect(message(await client.ask('BLPOP', lostKey, '5'))).toBe('no upstream host');
    expect(performance.now() - blocked).toBeLessThan(OP_TIMEOUT_MS / 4);
    const stats = await proxy.stats('health_check|membership');
    expect(stats['cluster.main.membership_total']).toBe(3);
    expect(stats['cluster.main.membership_healthy']).toBe(2);
    expect(stats['cluster.main.health_check.healthy']).toBe(2);
    expect(stats['cluster.main.health_check.network_failure']).toBeGreaterThanOrEqual(2);
    const { attempt, success, failure } = Object.fromEntries(
      ['attempt', 'success', 'failure'].map((name) => [name, stats[`cluster.main.health_check.${name}`]!]),
    ) as Record<string, number>;
    expect(success! + failure!).toBeLessThanOrEqual(attempt!);
    expect((await hosts()).get(lost!.address)!.health_check_failure).toBeGreaterThanOrEqual(2);

    const again = await startServers(1, { port });
    servers.push(...again);
    await poll('the host is well again', WAIT_MS, async () => (await flags(lost!)) === 'healthy');
    for (const [key, server] of keys) expect(await client.call('GET', key)).toBe(server === lost ? null : key);
  });

  it('a host that stands still is given up within the checks, and what was on its way over it is answered', async () => {
    proxy = await startSharded({ health_checks: [CHECKS] }, 1);
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread();
    const [still] = servers;
    const key = [...keys].find(([, server]) => server === still)![0];
    await still!.kill('SIGSTOP');
    try {
      const started = performance.now();
      const [value, written] = await client.pipeline([
        ['GET', key],
        ['INCR', `{${key}}n`],
      ]);
      const tookMs = performance.now() - started;
      // A read goes nowhere else; a write may have been executed.
      expect(message(value!)).toMatch(/no upstream host|upstream failure/);
      expect(message(written!)).toBe('upstream failure');
      expect(tookMs).toBeLessThan(OP_TIMEOUT_MS / 2);
      expect(await flags(still!)).toContain('/failed_active_hc/active_hc_timeout');
    } finally {
      await still!.kill('SIGCONT');
    }
    await poll('the host is well again', WAIT_MS, async () => (await flags(still!)) === 'healthy');
    expect(await client.call('GET', key)).toBe(key);
  });

  it('with a key: a host that has it gets nothing more, what it is doing is finished', async () => {
    const check = { ...CHECKS, redis_health_check: { key: 'drain' } };
    proxy = await startSharded({ health_checks: [check] }, 1);
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread();
    const [, drained] = servers;
    const key = [...keys].find(([, server]) => server === drained)![0];
    const blocked = await RawClient.connect({ port: proxy.port });
    const popped = blocked.ask('BLPOP', `{${key}}list`, '10');
    await poll('the client is blocked', WAIT_MS, async () =>
      /blocked_clients:1/.test(String(await drained!.call('INFO', 'clients'))),
    );
    await drained!.call('SET', 'drain', '1');
    await poll('the host is drained', WAIT_MS, async () => /failed_active_hc/.test(await flags(drained!)));
    expect((await hosts()).get(drained!.address)!.health_check_error).toMatch(/drained/);
    expect(message(await client.ask('GET', key))).toBe('no upstream host');
    await drained!.call('RPUSH', `{${key}}list`, 'x');
    expect(await popped).toEqual([`{${key}}list`, 'x']);
    blocked.close();
    await drained!.call('DEL', 'drain');
    await poll('the host is back', WAIT_MS, async () => (await flags(drained!)) === 'healthy');
    expect(await client.call('GET', key)).toBe(key);
  });

  it('with unhealthy_hosts REHASH the keys of a lost host move on, the others stay, and all come back', async () => {
    proxy = await startSharded({ health_checks: [CHECKS], unhealthy_hosts: 'REHASH' });
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread(120);
    const [lost] = servers;
    await lost!.kill('SIGSTOP');
    await poll('the keys are divided anew', WAIT_MS, async () => (await hosts()).get(lost!.address)?.slots === 0);
    expect((await proxy.stats('membership_excluded'))['cluster.main.membership_excluded']).toBe(1);
    let moved = 0;
    for (const [key, server] of keys) {
      const value = await client.call('GET', key);
      if (server === lost) {
        expect(value).toBe(null);
        await client.call('SET', key, 'elsewhere');
        expect(await client.call('GET', key)).toBe('elsewhere');
      } else if (value === null) moved++;
      else expect(value).toBe(key);
    }
    // Maglev moves hardly any of the others.
    expect(moved).toBeLessThan(6);
    await lost!.kill('SIGCONT');
    await poll('it has its keys again', WAIT_MS, async () => ((await hosts()).get(lost!.address)?.slots ?? 0) > 0);
    for (const [key, server] of keys) if (server === lost) expect(await client.call('GET', key)).toBe(key);
  });

  it('a reload changes all of it while a host is out, and forgets nothing', async () => {
    proxy = await startSharded({ health_checks: [CHECKS] });
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread();
    const [lost] = servers;
    const lostKey = [...keys].find(([, server]) => server === lost)![0];
    await lost!.kill('SIGSTOP');
    await poll('the host is out', WAIT_MS, async () => /failed_active_hc/.test(await flags(lost!)));
    const attempts = async () => (await proxy!.stats('attempt'))['cluster.main.health_check.attempt']!;
    const before = await attempts();
    // It stays out, and its keys move on.
    const slower = { ...CHECKS, interval: '200ms' };
    await proxy.configure(sharded({ health_checks: [slower], unhealthy_hosts: 'REHASH' }));
    expect((await proxy.reload()).outcome).toBe('applied');
    await poll('its keys move on', WAIT_MS, async () => (await client!.ask('GET', lostKey)) === null);
    expect(await attempts()).toBeGreaterThanOrEqual(before);
    await proxy.configure(sharded({ health_checks: [slower] }));
    expect((await proxy.reload()).outcome).toBe('applied');
    await poll(
      'its keys fail fast again',
      WAIT_MS,
      async () => message(await client!.ask('GET', lostKey)) === 'no upstream host',
    );
    // Nothing looks after it any more: what is for it waits.
    await proxy.configure(sharded({}));
    expect((await proxy.reload()).outcome).toBe('applied');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const waiting = client.ask('GET', lostKey);
    await lost!.kill('SIGCONT');
    expect(await waiting).toBe(lostKey);
    expect(await proxy.stats('health_check')).toEqual({});
  });

  it('when all hosts are gone, REHASH leaves the table, and everything fails fast', async () => {
    proxy = await startSharded({ health_checks: [CHECKS], unhealthy_hosts: 'REHASH' }, 1);
    client = await RawClient.connect({ port: proxy.port });
    await spread(10);
    for (const server of servers) await server.kill();
    await poll('nobody is well', WAIT_MS, async () => {
      const stats = await proxy!.stats('membership_healthy');
      return stats['cluster.main.membership_healthy'] === 0;
    });
    const started = performance.now();
    for (let i = 0; i < 10; i++) expect(message(await client.ask('GET', `key:${i}`))).toBe('no upstream host');
    expect(performance.now() - started).toBeLessThan(OP_TIMEOUT_MS / 2);
  });
});

describe('outlier detection of sharded hosts', () => {
  const OUTLIER = { consecutive_local_origin_failure: 3, interval: '200ms', base_ejection_time: '1s' };

  it('a host that refuses connections is ejected for a time that grows, and its keys fail fast meanwhile', async () => {
    proxy = await startSharded({ outlier_detection: OUTLIER });
    client = await RawClient.connect({ port: proxy.port });
    const keys = await spread();
    const [lost] = servers;
    const key = [...keys].find(([, server]) => server === lost)![0];
    await lost!.kill();
    const started = performance.now();
    await poll('it is ejected', WAIT_MS, async () => /failed_outlier_check/.test(await flags(lost!)));
    expect(message(await client.ask('GET', key))).toBe('no upstream host');
    expect(performance.now() - started).toBeLessThan(OP_TIMEOUT_MS);
    const stats = await proxy.stats('outlier_detection');
    expect(stats['cluster.main.outlier_detection.ejections_active']).toBe(1);
    expect(stats['cluster.main.outlier_detection.ejections_enforced_total']).toBe(1);
    // Still gone when its time is over: it is ejected again, for longer.
    await poll('it is ejected again', WAIT_MS, async () => {
      const { 'cluster.main.outlier_detection.ejections_enforced_total': count } = await proxy!.stats('enforced_total');
      return count === 2;
    });
    for (const [each, server] of keys) if (server !== lost) expect(await client.call('GET', each)).toBe(each);
  });

  it('only so many are ejected; error replies and slow clients eject nobody', async () => {
    proxy = await startSharded({ outlier_detection: { ...OUTLIER, base_ejection_time: '60s' } }, 1);
    client = await RawClient.connect({ port: proxy.port });
    await spread(30);
    for (let i = 0; i < 50; i++) await client.ask('HGET', `key:${i % 30}`, 'x');
    expect((await proxy.stats('detected'))[Object.keys(await proxy.stats('detected'))[0]!]).toBe(0);
    await servers[0]!.kill();
    await servers[1]!.kill();
    await poll('the second is over the share', WAIT_MS, async () => {
      const stats = await proxy!.stats('ejections_overflow');
      return (stats['cluster.main.outlier_detection.ejections_overflow'] ?? 0) > 0;
    });
    expect((await proxy.stats('ejections_active'))['cluster.main.outlier_detection.ejections_active']).toBe(1);
  });
});

describe('the nodes of a Redis Cluster', () => {
  it('a replica that stands still is not read from; a master that stands still is replaced by its failover', async () => {
    cluster = await startCluster({ replicasPerMaster: 1 });
    proxy = await startProxy({
      config: {
        workers: 2,
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: cluster.nodes.map(({ address }) => address),
            cluster_refresh_rate: '200ms',
            health_checks: [CHECKS],
            settings: { op_timeout: '8s', read_policy: 'PREFER_REPLICA' },
          },
        ],
      },
    });
    client = await RawClient.connect({ port: proxy.port, timeoutMs: 20_000 });
    for (let i = 0; i < 60; i++) await client.call('SET', `key:${i}`, `${i}`);
    await poll('all replicas are known', WAIT_MS, async () => (await hosts()).size === 6);
    await cluster.replicas[0]!.kill('SIGSTOP');
    // The cluster gives it up soon after; then it is not even listed.
    await poll('the replica is out', WAIT_MS, async () => {
      const found = (await hosts()).get(cluster!.replicas[0]!.address);
      return found === undefined || /failed_active_hc/.test(found.health_flags);
    });
    const started = performance.now();
    for (let i = 0; i < 60; i++) expect(await client.call('GET', `key:${i}`)).toBe(`${i}`);
    expect(performance.now() - started).toBeLessThan(2_000);
    await cluster.replicas[0]!.kill('SIGCONT');
    await poll('the replica is back', WAIT_MS, async () => {
      const found = (await hosts()).get(cluster!.replicas[0]!.address);
      return found?.health_flags === 'healthy';
    });

    const [, master] = cluster.masters;
    await master!.kill('SIGSTOP');
    try {
      const frozen = performance.now();
      // On their way when the master is given up: they may have been executed.
      const first = await client.pipeline(Array.from({ length: 60 }, (_, i) => ['SET', `key:${i}`, `new ${i}`]));
      const doubtedMs = performance.now() - frozen;
      const failed = first.filter((reply) => reply instanceof ErrorReply);
      expect(failed.length).toBeGreaterThan(0);
      for (const reply of failed) expect(message(reply)).toBe('upstream failure');
      // Well before two op_timeouts, and before the cluster itself has noticed.
      expect(doubtedMs).toBeLessThan(2_000);
      // What comes now is not sent to it: it waits for the new master, and no error is seen.
      const later = await client.pipeline(Array.from({ length: 60 }, (_, i) => ['SET', `key:${i}`, `newer ${i}`]));
      expect(later.map(message)).toEqual(Array.from({ length: 60 }, () => 'OK'));
    } finally {
      await master!.kill('SIGCONT');
    }
  }, 60_000);

  it('the master of a moment that stands still and comes back loses nothing that waited', async () => {
    // Far longer than the pause: no failover comes.
    cluster = await startCluster({ args: ['--cluster-node-timeout', '30000'] });
    proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: cluster.nodes.map(({ address }) => address),
            health_checks: [{ ...CHECKS, healthy_threshold: 50 }],
            settings: { op_timeout: '8s' },
          },
        ],
      },
    });
    client = await RawClient.connect({ port: proxy.port });
    await client.call('SET', 'a', '1');
    const { port } = cluster.masters[2]!;
    const [master] = cluster.masters.filter((each) => each.port === port);
    await master!.kill('SIGSTOP');
    await poll('it is out', WAIT_MS, async () =>
      /failed_active_hc/.test((await hosts()).get(master!.address)?.health_flags ?? ''),
    );
    const waiting = client.ask('SET', 'a', '2');
    await new Promise((resolve) => setTimeout(resolve, 300));
    await master!.kill('SIGCONT');
    // The first answer is enough for a master, whatever the threshold.
    expect(await waiting).toBe('OK');
    expect(await flags(master!)).toMatch(/failed_active_hc/);
  });
});

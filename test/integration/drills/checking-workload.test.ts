/** The checking workload on a real cluster: it finds nothing where nothing is wrong, and what is wrong it finds. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Workload } from '../../../src/drills/checking-workload.js';
import { clusterEndpoint } from '../../../src/drills/link/cluster.js';
import { rawEndpoint } from '../../../src/drills/link/raw.js';
import { brokenProxy, type Fault } from '../../support/broken-proxy.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const FEW = { registers: 3, counters: 3, logs: 2, pairs: 2, channels: 2, queues: 2, readers: 2, pauseMs: 2 };
const OPERATIONS = 2_000;
const BUSY_MS = 60_000;

let cluster: RedisCluster;
let proxy: RunningProxy;

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 1 });
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

const enough = (workload: Workload) =>
  poll('the clients have done enough', BUSY_MS, async () => workload.operations >= OPERATIONS);

describe('the checking workload', () => {
  it('finds nothing wrong with a proxy that is left alone', async () => {
    const workload = await Workload.start(rawEndpoint({ host: '127.0.0.1', port: proxy.port }), FEW);
    await enough(workload);
    const report = await workload.stop();
    expect(report).toMatchObject({ wrong: 0, losses: 0, errors: {}, findings: {}, examples: [] });
    expect(report.operations).toBeGreaterThanOrEqual(OPERATIONS);
    expect(report.seconds.reduce((sum, { operations }) => sum + operations, 0)).toBe(report.operations);
    expect(report.latency.p50).toBeGreaterThan(0);
    expect(report.latency.p50).toBeLessThanOrEqual(report.latency.p999);
    for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
  });

  it('and with a client that knows the cluster itself', async () => {
    const seeds = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const workload = await Workload.start(clusterEndpoint(seeds), { ...FEW, channels: 0 });
    await enough(workload);
    expect(await workload.stop()).toMatchObject({ wrong: 0, losses: 0, errors: {}, findings: {} });
  });

  it('has writes acknowledged by replicas where that is asked for', async () => {
    const endpoint = rawEndpoint({ host: '127.0.0.1', port: proxy.port });
    const workload = await Workload.start(endpoint, { ...FEW, replicas: 1, channels: 0 });
    await enough(workload);
    expect(await workload.stop()).toMatchObject({ wrong: 0, losses: 0, errors: {}, findings: {} });
  });
});

describe('the checking workload beside a proxy that', () => {
  it.each<Fault>(['crosses', 'drops', 'doubles'])('%s replies', async (fault) => {
    const broken = await brokenProxy(fault);
    vi.stubEnv('FORGE_PROXY_BIN', broken.program);
    let faulty: RunningProxy | undefined;
    try {
      faulty = await startProxy({ cluster: cluster.addresses });
      const endpoint = rawEndpoint({ host: '127.0.0.1', port: faulty.port, replyMs: 2_000 });
      const workload = await Workload.start(endpoint, FEW);
      await enough(workload);
      const report = await workload.stop();
      expect(report.findings['foreign-reply'] ?? 0).toBeGreaterThan(0);
      expect(report.wrong).toBeGreaterThan(0);
    } finally {
      vi.unstubAllEnvs();
      await faulty?.stop();
      await broken.remove();
    }
  });
});

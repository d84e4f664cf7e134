/** `forge drill` on nodes that forge has neither started nor deployed: what it can do by asking them, and what it refuses. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrillReport } from '../../../src/drills/drill.js';
import { forge } from '../../support/forge.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const TEST_MS = 60_000;

let cluster: RedisCluster;
let proxy: RunningProxy;
let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-remote-'));
  cluster = await startCluster({ replicasPerMaster: 1, args: ['--enable-debug-command', 'yes'] });
  proxy = await startProxy({ cluster: cluster.addresses });
});
afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
  await rm(home, { recursive: true, force: true });
});

const seed = () => cluster.nodes[0]?.address ?? '';
const drill = (...words: string[]) =>
  forge(
    [
      ...['drill', ...words, '--seed', seed(), '--endpoint', `127.0.0.1:${proxy.port}`, '--yes', '--confirm', seed()],
      ...['--clients', '8', '--interval', '15ms', '--calm', '300ms', '--max-pause', '30s'],
      ...['--config', '/dev/null', '--env-file', '/dev/null', '--json'],
    ],
    { env: { FORGE_HOME: home }, limitMs: TEST_MS },
  );

describe('forge drill on nodes of others', { timeout: TEST_MS }, () => {
  it('has a master stand still by DEBUG SLEEP, where that is allowed', async () => {
    const { code, stdout, stderr } = await drill('partition', '--for', '1s');
    expect(code, `${stdout}${stderr}`).toBe(0);
    const { clients, events } = JSON.parse(stdout) as DrillReport;
    expect(events.map(({ text }) => text)).toContain('whole again');
    expect(clients.longestPause.ms).toBeGreaterThan(700);
    for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
  });

  it('cannot kill one, unless it is told how; and refuses what keeps no append-only file', async () => {
    const [sudden, all] = await Promise.all([drill('failover', '--sudden'), drill('persistence')]);
    expect([sudden.code, sudden.stdout]).toEqual([5, expect.stringContaining('--kill-command')]);
    expect([all.code, all.stdout]).toEqual([5, expect.stringContaining('append-only file')]);
  });

  it('refuses a cluster that is not whole', async () => {
    await cluster.replicas[0]?.kill();
    const { code, stdout } = await drill('failover');
    expect([code, stdout]).toEqual([5, expect.stringContaining('does not answer')]);
  });
});

/** The proxy as a service: what it tells systemd, and whether the unit and the image are right. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stopProxy } from '../../../src/proxy/control/instance.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { proxyExecutable, runProxy, startProxy } from '../../support/proxy.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let cluster: RedisCluster;
let directory: string;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-service-'));
});

afterAll(async () => {
  await cluster?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Listens as systemd does; gives what has come so far. */
async function manager(): Promise<{ path: string; said: () => string[]; child: ChildProcess }> {
  const socket = path.join(directory, 'notify');
  const words = [path.join(root, 'test/support/bun/notify-socket.ts'), socket];
  const child = spawn(path.join(root, 'node_modules/.bin/bun'), words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await poll('the manager listens', 5000, async () => text.includes('bound'));
  return { path: socket, said: () => text.split('\n').slice(1, -1), child };
}

describe('sd_notify', () => {
  it('says when the proxy serves, reloads, hands over and ends, and that it is alive', async () => {
    const systemd = await manager();
    const pidFile = path.join(directory, 'proxy.pid');
    const proxy = await startProxy({
      cluster: cluster.nodes.map(({ address }) => address).join(','),
      env: { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: '400000' },
      args: ['--pid-file', pidFile],
    });
    try {
      const { said } = systemd;
      await poll('it is ready', 3000, async () => said().some((line) => line.startsWith('READY=1 STATUS=serving')));
      expect(said()[0]).toContain(`MAINPID=${proxy.pid}`);
      await poll('it is alive', 3000, async () => said().filter((line) => line === 'WATCHDOG=1').length > 2);
      await proxy.reload();
      await poll('it has reloaded', 3000, async () => said().some((line) => line.includes('last reload: unchanged')));
      const reloading = said().findIndex((line) => /^RELOADING=1 MONOTONIC_USEC=\d+$/.test(line));
      expect(reloading).toBeGreaterThan(0);
      expect(said().findLastIndex((line) => line.startsWith('READY=1'))).toBeGreaterThan(reloading);
      const { pid } = await upgradeProxy({ pidFile, drainS: 0, shutdownS: 0 });
      await poll('the new one is ready', 3000, async () => said().some((line) => line.endsWith(`MAINPID=${pid}`)));
      expect(said()).toContain(`MAINPID=${pid}`);
      expect(said().some((line) => line.startsWith('STOPPING=1'))).toBe(false);
      await stopProxy(pidFile);
      expect(said().at(-1)).toBe('STOPPING=1 STATUS=draining');
    } finally {
      systemd.child.kill();
      await stopProxy(pidFile);
      await proxy.stop();
    }
  });
});

describe('the unit', () => {
  it('is one that systemd takes', async () => {
    const unit = await readFile(path.join(root, 'templates/forge-proxy.service'), 'utf8');
    const file = path.join(directory, 'forge-proxy.service');
    await writeFile(file, unit.replace('/usr/local/bin/forge-proxy', process.execPath));
    const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    // Where there is no systemd, its words are at least those that the manual has.
    if (error !== undefined) expect(unit).toMatch(/^Type=notify$/m);
    else expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const line of ['DynamicUser=yes', 'ProtectSystem=strict', 'NoNewPrivileges=yes', 'NotifyAccess=all'])
      expect(unit.split('\n')).toContain(line);
  });
});

describe('the health check of the executable', () => {
  it('has exit code 0 when the proxy serves, and 1 otherwise', async () => {
    const proxy = await startProxy({ cluster: cluster.nodes.map(({ address }) => address).join(',') });
    const admin = `127.0.0.1:${proxy.adminPort}`;
    expect(await runProxy(['--health-check', admin])).toMatchObject({ code: 0, stderr: '' });
    await proxy.page('/healthcheck/fail', 'POST');
    expect((await runProxy(['--health-check', admin])).code).toBe(1);
    await proxy.stop();
    expect(await runProxy(['--health-check', admin])).toMatchObject({ code: 1 });
  });
});

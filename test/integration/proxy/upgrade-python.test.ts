/** Python's Redis client under load while new processes take over: what it loses is counted. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stopProxy } from '../../../src/proxy/control/instance.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PYTHON = '/usr/bin/python3';
const THREADS = 16;
const UPGRADES = 3;
const READY_MS = 20_000;
/** The old process drains for two seconds, and closes the last ones after four. */
const DRAIN = { drainS: 2, shutdownS: 4 };
const AFTERWARDS_MS = 5_000;

interface Counted {
  key: string;
  pauses: boolean;
  acknowledged: number;
  wrong: string[];
  lost: string[];
  slowestMs: number;
}

let cluster: RedisCluster;
let directory: string;
let pidFile: string;
let proxy: RunningProxy;
let load: ChildProcessWithoutNullStreams | undefined;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  cluster = await startCluster({ masters: 3 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-python-'));
  pidFile = path.join(directory, 'proxy.pid');
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2, args: ['--pid-file', pidFile] });
});

afterAll(async () => {
  load?.kill('SIGKILL');
  await stopProxy(pidFile).catch(() => undefined);
  await proxy?.stop();
  await cluster?.stop();
  await rm(directory, { recursive: true, force: true });
});

it('loses hardly a command, each at the end of its connection, and does none that it has not acknowledged', async () => {
  const script = path.join(ROOT, 'test/support/clients/upgrade_load.py');
  load = spawn(PYTHON, [script, String(proxy.port), String(THREADS)]);
  let [stdout, stderr] = ['', ''];
  load.stdout.on('data', (text) => {
    stdout += text;
  });
  load.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise((resolve) => load?.once('close', resolve));
  await poll('every thread counts', READY_MS, () => stdout.startsWith('ready') || stderr !== '');
  expect(stderr, `${PYTHON} with python3-redis is needed for this test`).toBe('');
  for (let i = 0; i < UPGRADES; i++) {
    await upgradeProxy({ pidFile, ...DRAIN });
    await sleep(AFTERWARDS_MS);
  }
  load.stdin.end();
  expect(await ended).toBe(0);
  const counted = JSON.parse(stdout.slice('ready'.length)) as Counted[];
  const sum = (of: readonly Counted[]) => ({
    acknowledged: of.reduce((total, { acknowledged }) => total + acknowledged, 0),
    lost: of.flatMap(({ lost }) => lost),
  });
  const [busy, pausing] = [sum(counted.filter(({ pauses }) => !pauses)), sum(counted.filter(({ pauses }) => pauses))];
  expect(counted.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(pausing.acknowledged).toBeGreaterThan(500);
  expect(busy.acknowledged).toBeGreaterThan(5000);
  // What was acknowledged is there, and what was lost was not done.
  const reader = await RawClient.connect({ port: proxy.port });
  for (const { key, acknowledged, lost } of counted) {
    expect(`${key} ${await reader.call('GET', key)}, ${lost}`).toBe(`${key} ${acknowledged}, ${lost}`);
  }
  reader.close();
  // A command may meet the end of its connection on the way: once for each upgrade, and hardly ever of those who pause.
  expect([...pausing.lost, ...busy.lost]).toEqual([]);
});

/** The old process is killed at each moment of an upgrade; and what asks it for something else meanwhile. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type DetachedProxy, startDetached } from '../../../src/proxy/control/detached.js';
import { inspectProxy, stopProxy } from '../../../src/proxy/control/instance.js';
import { reloadProxy } from '../../../src/proxy/control/reload.js';
import { successorsOf } from '../../../src/proxy/control/successor.js';
import { type UpgradeReport, upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { describeProcess, identifyProcess, type ProcessIdentity } from '../../../src/runtime/process/identity.js';
import { plainEnvironment } from '../../../src/runtime/redis-server.js';
import { freePort } from '../../support/ports.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';

const SEEN_MS = 10_000;
const LISTENING = '0A';

let upstream: RedisServer;
let directory: string;
let pidFile: string;
let port: number;
let direct: RunningProxy | undefined;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  upstream = await startRedis({ cluster: true });
  await upstream.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
  await poll('it serves all slots', SEEN_MS, async () =>
    String(await upstream.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  );
});

afterAll(async () => {
  await upstream?.stop();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-deaths-'));
  pidFile = path.join(directory, 'proxy.pid');
  port = await freePort();
});

afterEach(async () => {
  await upstream.kill('SIGCONT');
  await stopProxy(pidFile).catch(() => undefined);
  // One that drains ends by itself; nothing else may be left, which nobody would find again.
  await poll('all have ended', SEEN_MS, () => processesOf(directory).length === 0).catch(() => undefined);
  const left = processesOf(directory);
  for (const pid of left) process.kill(pid, 'SIGKILL');
  await direct?.stop();
  direct = undefined;
  await rm(directory, { recursive: true, force: true });
  expect(left).toEqual([]);
});

/** A cluster that has to be read before anybody is accepted: a stopped server keeps a new process waiting for it. */
const config = () => ({
  workers: 2,
  listeners: [{ cluster: 'main' }],
  clusters: [{ name: 'main', endpoints: [upstream.address] }],
});

async function startSupervised(): Promise<DetachedProxy> {
  const file = path.join(directory, 'proxy.yaml');
  const listeners = [{ address: `127.0.0.1:${port}`, cluster: 'main' }];
  await writeFile(file, stringify({ ...config(), listeners }));
  const logFile = path.join(directory, 'log');
  return await startDetached({ config: file, pidFile, logFile, env: plainEnvironment() });
}

/** @returns the process that serves; it answers its first client already */
async function start(supervised: boolean): Promise<number> {
  if (!supervised) direct = await startProxy({ config: config(), port, args: ['--pid-file', pidFile] });
  const pid = direct?.pid ?? (await startSupervised()).pid;
  await poll('it serves', SEEN_MS, served);
  return pid;
}

const upgrade = () => upgradeProxy({ pidFile, drainS: 2, shutdownS: 4 });

async function served(): Promise<boolean> {
  const client = await RawClient.connect({ port }).catch(() => null);
  const reply = await client?.ask('SET', 'key', 'value').catch(() => null);
  client?.close();
  return reply === 'OK';
}

/** Processes that have a folder on their command line. */
function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => {
      try {
        return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Sockets that listen on the port, by the kernel's table (man 5 proc). */
function listeners(): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(local) && fields[3] === LISTENING).length;
}

const written = () => direct?.stderr() ?? readFileSync(path.join(directory, 'log'), 'utf8');

interface Phase {
  name: string;
  /** Whether the new process has to wait for the upstream server until the old one is dead. */
  held: boolean;
  /** Whether it has begun. */
  reached(old: ProcessIdentity): Promise<boolean> | boolean;
}

const PHASES: Phase[] = [
  {
    name: 'while the new one learns its clusters',
    held: true,
    reached: async (old) => (await successorsOf(pidFile, old)).length > 0,
  },
  { name: 'when the new one listens beside it', held: false, reached: () => listeners() > 2 },
  {
    name: 'when it has been told to accept no more clients',
    held: false,
    reached: () => /takes over:/.test(written()),
  },
];

async function survives(pid: number, phase: Phase): Promise<UpgradeReport> {
  const old = (await identifyProcess(pid)) as ProcessIdentity;
  if (phase.held) await upstream.kill('SIGSTOP');
  const upgraded = upgrade();
  upgraded.catch(() => undefined);
  await poll(phase.name, SEEN_MS, () => phase.reached(old));
  process.kill(pid, 'SIGKILL');
  if (phase.held) await upstream.kill('SIGCONT');
  return await upgraded;
}

describe.each([
  ['without a supervisor', false],
  ['with a supervisor', true],
])('the old process of an upgrade, %s, is killed', (_, supervised) => {
  it.each(PHASES)('$name: the new one serves, and nothing else is left', async (phase) => {
    const old = await start(supervised);
    const report = await survives(old, phase);
    expect(report).toMatchObject({ old, oldEnded: true });
    await poll('clients are served', SEEN_MS, served);
    expect(await inspectProxy(pidFile)).toMatchObject({ phase: 'running', pid: report.pid });
    // The same proxy as ever: it reloads, and another upgrade finds it.
    expect(await reloadProxy({ pidFile, dryRun: false })).toMatchObject({ outcome: 'unchanged' });
    const next = await upgrade();
    expect(next.old).toBe(report.pid);
    expect(await served()).toBe(true);
    expect(await stopProxy(pidFile)).toBe('ended');
    expect(await served()).toBe(false);
  });

  it('while it drains: those who came to the new one notice nothing', async () => {
    const old = await start(supervised);
    const waiting = await RawClient.connect({ port });
    const blocked = waiting.ask('BLPOP', 'nothing', '0').catch((error: Error) => error.message);
    await poll('it is blocked', SEEN_MS, async () => /blocked_clients:1/.test(String(await upstream.call('INFO'))));
    const { pid } = await upgrade();
    const fresh = await RawClient.connect({ port });
    expect(await fresh.call('SET', 'key', 'value')).toBe('OK');
    process.kill(old, 'SIGKILL');
    expect(await blocked).not.toBeNull();
    expect(await fresh.call('GET', 'key')).toBe('value');
    expect(await inspectProxy(pidFile)).toMatchObject({ phase: 'running', pid });
    for (const client of [waiting, fresh]) client.close();
  });
});

/** Starts an upgrade whose new process waits; gives both processes. */
async function heldUpgrade(supervised: boolean) {
  const pid = await start(supervised);
  const old = (await identifyProcess(pid)) as ProcessIdentity;
  await upstream.kill('SIGSTOP');
  const upgraded = upgrade();
  upgraded.catch(() => undefined);
  // Beside it there are its supervisor, and what that runs for a moment.
  const successor = await poll('the new one starts', SEEN_MS, async () => {
    for (const { pid: each } of await successorsOf(pidFile, old)) {
      if ((await describeProcess(each))?.startsWith('forge-proxy')) return each;
    }
    return undefined;
  });
  return { old: pid, successor, upgraded };
}

describe('when both processes of an upgrade die', () => {
  it('without a supervisor, the command says so at once, and not after the time that an upgrade may take', async () => {
    const { old, successor, upgraded } = await heldUpgrade(false);
    const began = performance.now();
    for (const each of [old, successor]) process.kill(each, 'SIGKILL');
    await expect(upgraded).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/ended in the middle of the upgrade, and no new one is left: nobody serves/),
    });
    expect(performance.now() - began).toBeLessThan(5000);
  });

  it('with a supervisor, the command says so, and the old one starts it anew', async () => {
    const { old, successor, upgraded } = await heldUpgrade(true);
    for (const each of [old, successor]) process.kill(each, 'SIGKILL');
    await expect(upgraded).rejects.toMatchObject({
      message: expect.stringContaining('ended by signal 9'),
      next: expect.arrayContaining(['The old process has ended, too; its supervisor starts it anew.']),
    });
    await upstream.kill('SIGCONT');
    await poll('clients are served', SEEN_MS, served);
    const after = await inspectProxy(pidFile);
    expect(after).toMatchObject({ phase: 'running', supervised: true, restarts: 1 });
    expect([old, successor]).not.toContain(after.pid);
    expect(await stopProxy(pidFile)).toBe('ended');
  });
});

describe.each([
  ['without a supervisor', false],
  ['with a supervisor', true],
])('when the new process is killed, %s,', (_, supervised) => {
  it('the old one serves on, and nothing of the new one is left', async () => {
    const { old, successor, upgraded } = await heldUpgrade(supervised);
    process.kill(successor, 'SIGKILL');
    await expect(upgraded).rejects.toMatchObject({ message: expect.stringMatching(/ended (by signal 9|with code)/) });
    await upstream.kill('SIGCONT');
    await poll('clients are served', SEEN_MS, served);
    expect(await inspectProxy(pidFile)).toMatchObject({ phase: 'running', pid: old, supervised });
    expect(await reloadProxy({ pidFile, dryRun: false })).toMatchObject({ outcome: 'unchanged' });
    expect(await stopProxy(pidFile)).toBe('ended');
  });
});

describe('a reload during an upgrade', () => {
  it.each([
    ['without a supervisor', false],
    ['with a supervisor', true],
  ])('is refused with the reason, %s, and done when the upgrade has ended', async (_, supervised) => {
    const pid = await start(supervised);
    const old = (await identifyProcess(pid)) as ProcessIdentity;
    await upstream.kill('SIGSTOP');
    const upgraded = upgrade();
    await poll('the new one starts', SEEN_MS, async () => (await successorsOf(pidFile, old)).length > 0);
    for (const dryRun of [false, true]) {
      await expect(reloadProxy({ pidFile, dryRun })).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(/^An upgrade is under way: process \d+ is about to take over/),
        next: [expect.stringContaining('Reload when "forge proxy upgrade" has ended')],
      });
    }
    await upstream.kill('SIGCONT');
    await upgraded;
    expect(await reloadProxy({ pidFile, dryRun: false })).toMatchObject({ outcome: 'unchanged' });
    expect(await served()).toBe(true);
  });
});

/** Clients on their way to a process that stands still for a while, that dies, or that is itself replaced. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stopProxy } from '../../../src/proxy/control/instance.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const CLIENTS = 300;
const STILL_MS = 1500;

let cluster: RedisCluster;
let directory: string;
let pidFile: string;
let proxy: RunningProxy | undefined;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
});

afterAll(async () => {
  await cluster?.stop();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-stalls-'));
  pidFile = path.join(directory, 'proxy.pid');
});

afterEach(async () => {
  await stopProxy(pidFile).catch(() => undefined);
  await proxy?.stop();
  proxy = undefined;
  await rm(directory, { recursive: true, force: true });
});

const start = async (workers = 2) => {
  proxy = await startProxy({
    cluster: cluster.nodes.map(({ address }) => address).join(','),
    workers,
    args: ['--pid-file', pidFile],
  });
  return proxy;
};
const upgrade = (drainS: number, shutdownS: number) => upgradeProxy({ pidFile, drainS, shutdownS });
const ends = (pid: number) =>
  poll('the old process has ended', 20_000, async () => (await identifyProcess(pid)) === undefined);

/** The process that another one has started. */
const childOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0]);

/** The socket over which clients are passed on. */
const place = async () => {
  const name = (await readdir(directory)).find((file) => file.endsWith('.clients'));
  return name === undefined ? undefined : path.join(directory, name);
};

const descriptors = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length;

describe('clients that are passed on', () => {
  it('are all there when the new process stood still while they came, and the old one had gone', async () => {
    const { port, pid } = await start();
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.connect({ port })));
    await Promise.all(clients.map((client, i) => client.call('SET', `still:${i}`, String(i))));
    const upgraded = upgrade(20, 25);
    const next = await poll('clients are being passed on', 15_000, async () => {
      if ((await place()) === undefined) return undefined;
      // The first of them are there: so the old process was told to pass them on.
      const left = (await descriptors(pid)) < CLIENTS;
      return left ? childOf(pid) : undefined;
    });
    process.kill(next, 'SIGSTOP');
    // What they ask meanwhile waits in their connections.
    const asked = clients.map((client, i) => client.call('GET', `still:${i}`));
    for (const answer of asked) answer.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    process.kill(next, 'SIGCONT');
    expect(await Promise.all(asked)).toEqual(clients.map((_, i) => String(i)));
    await upgraded;
    await ends(pid);
    for (const client of clients) client.close();
    await poll('no descriptor is left', 5000, async () => (await descriptors(next)) < CLIENTS / 2);
  });

  it('still are when a third process has the place, and the first one ends', async () => {
    const { port, pid } = await start(1);
    const early = await RawClient.connect({ port });
    await early.call('SUBSCRIBE', 'news');
    const second = await upgrade(4, 5);
    const blocked = await RawClient.connect({ port });
    const answer = blocked.ask('BLPOP', 'late', '0');
    answer.catch(() => {});
    const third = await upgrade(30, 40);
    expect(third.old).toBe(second.pid);
    await ends(pid);
    // The second one looks after the end of the first.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const where = await place();
    expect(where !== undefined && existsSync(where)).toBe(true);
    const fresh = await RawClient.connect({ port });
    await fresh.call('RPUSH', 'late', 'x');
    expect(await answer).toEqual(['late', 'x']);
    // It can go on now, with the third one.
    await ends(second.pid);
    expect(await blocked.call('PING')).toBe('PONG');
    for (const client of [early, blocked, fresh]) client.close();
  });
});

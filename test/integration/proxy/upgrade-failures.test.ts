/** What becomes of a proxy when its upgrade goes wrong: two at once, and successors that die at any moment. */
import { mkdtemp, rename, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { askProxy } from '../../../src/proxy/control/control-socket.js';
import { stopProxy } from '../../../src/proxy/control/instance.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';

const ANSWER_MS = 20_000;
/** No process has it (`PID_MAX_LIMIT` of Linux is 4194304). */
const NOBODY = 4_999_999;

let upstream: RedisServer;
let directory: string;
let pidFile: string;
let proxy: RunningProxy | undefined;

beforeAll(async () => {
  upstream = await startRedis();
});

afterAll(async () => {
  await upstream?.stop();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-upgrade-'));
  pidFile = path.join(directory, 'proxy.pid');
});

afterEach(async () => {
  await stopProxy(pidFile).catch(() => undefined);
  await proxy?.stop();
  await rm(directory, { recursive: true, force: true });
});

const start = async (listener: Record<string, unknown> = {}) => {
  proxy = await startProxy({
    config: {
      workers: 2,
      listeners: [{ cluster: 'main', ...listener }],
      clusters: [{ name: 'main', type: 'sharded', endpoints: [upstream.address] }],
    },
    args: ['--pid-file', pidFile],
  });
  return proxy;
};

const ask = (what: string, body: object = {}) => askProxy(pidFile, what, body, ANSWER_MS);

const served = async (where: { port: number; path?: string }) => {
  const client = await RawClient.connect(where).catch(() => null);
  const reply = await client?.ask('PING').catch(() => null);
  client?.close();
  return reply === 'PONG';
};

describe('an upgrade that goes wrong', () => {
  it('is one at a time: no second process is left behind', async () => {
    const { port, pid } = await start();
    const both = await Promise.allSettled(
      [1, 2].map(() => ask('upgrade', { program: proxyExecutable(), times: '1,2' })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { message: 'another upgrade is under way' },
    });
    await poll('the old process has ended', 15_000, async () => (await identifyProcess(pid)) === undefined);
    expect(await served({ port })).toBe(true);
    expect(await stopProxy(pidFile)).toBe('ended');
    expect(await served({ port })).toBe(false);
  });

  it('has the old one accept clients again when the new one dies as it takes over', async () => {
    const socket = path.join(directory, 'redis.sock');
    const running = await start({ additional_addresses: [{ address: `unix:${socket}` }] });
    const before = await RawClient.connect({ port: running.port });
    await ask('yield', { pid: NOBODY });
    await poll('clients are accepted again', 5000, () => running.stderr().includes('clients are accepted again'));
    await poll('they are served', 5000, () => served({ port: running.port }));
    expect(await served({ port: 0, path: socket })).toBe(true);
    expect(await before.call('PING')).toBe('PONG');
    before.close();
    expect((await running.page('/ready')).body).toBe('LIVE\n');
    // And another one may try.
    const next = await ask('upgrade', { program: proxyExecutable(), times: '1,2' });
    expect(next?.['pid']).not.toBe(running.pid);
    expect(await served({ port: running.port })).toBe(true);
  });

  it('gives back the path of a Unix socket', async () => {
    const socket = path.join(directory, 'redis.sock');
    const running = await start({ additional_addresses: [{ address: `unix:${socket}` }] });
    // What a process leaves behind that has taken the path and died.
    const dead = net.createServer();
    await new Promise<void>((resolve) => dead.listen(`${socket}.dead`, resolve));
    await rename(`${socket}.dead`, socket);
    await new Promise((resolve) => dead.close(resolve));
    expect(await served({ port: 0, path: socket })).toBe(false);
    await expect(ask('upgrade', { program: '/bin/false' })).rejects.toThrow('ended with code 1');
    await poll('the path is served again', 5000, () => served({ port: 0, path: socket }));
    expect(await served({ port: running.port })).toBe(true);
  });

  it('lets only one process have the listeners', async () => {
    const { port } = await start();
    const [first, second] = [process.pid, process.ppid];
    await ask('yield', { pid: first });
    await expect(ask('yield', { pid: second })).rejects.toThrow(`process ${first} takes over already`);
    expect(await served({ port })).toBe(false);
  });
});

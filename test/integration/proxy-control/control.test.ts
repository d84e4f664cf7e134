/** The proxy's life as the command line controls it, with the real executable and a real cluster. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkProxyConfig } from '../../../src/proxy/control/check.js';
import { startDetached } from '../../../src/proxy/control/detached.js';
import { findProxyExecutable } from '../../../src/proxy/control/executable.js';
import { runProxy } from '../../../src/proxy/control/foreground.js';
import { inspectProxy, stopProxy } from '../../../src/proxy/control/instance.js';
import { proxyStatus } from '../../../src/proxy/control/status.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { plainEnvironment } from '../../../src/runtime/redis-server.js';
import { freePort } from '../../support/ports.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command } from '../../support/resp.js';

const PASSWORD = 'a-secret-of-the-nodes';
const CLIENT_PASSWORD = 'a-secret-of-the-clients';

let cluster: RedisCluster;
let directory: string;
let pidFile: string;
let port: number;
let adminPort: number;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0, requirepass: PASSWORD });
});

afterAll(async () => {
  await cluster.stop();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-proxy-control-'));
  pidFile = path.join(directory, 'proxy.pid');
  port = await freePort();
  adminPort = await freePort();
});

afterEach(async () => {
  await stopProxy(pidFile).catch(() => undefined);
  await rm(directory, { recursive: true });
});

const flags = () => ({
  cluster: cluster.nodes.map(({ address }) => address),
  listen: `127.0.0.1:${port}`,
  admin: `127.0.0.1:${adminPort}`,
  workers: 1,
  pidFile,
});

const start = (changes: object = {}) =>
  startDetached({
    ...flags(),
    logFile: path.join(directory, 'proxy.log'),
    env: { ...plainEnvironment(), REDIS_REQUIREPASS: PASSWORD, PROXY_AUTH_PASSWORD: CLIENT_PASSWORD },
    ...changes,
  });

const status = () => proxyStatus({ pidFile, admin: { host: '127.0.0.1', port: adminPort } });
const serves = () => poll('the proxy serves', 10_000, async () => (await status()).health === 'up');

async function writeConfig(change: (text: string) => string = (text) => text): Promise<string> {
  const file = path.join(directory, 'proxy.yaml');
  await writeFile(path.join(directory, 'password'), `${PASSWORD}\n`, { mode: 0o600 });
  const text = `admin: { address: "127.0.0.1:${adminPort}" }
listeners:
  - address: "127.0.0.1:${port}"
    cluster: main
clusters:
  - name: main
    endpoints: ${JSON.stringify(cluster.nodes.map(({ address }) => address))}
    auth_password: { filename: ${JSON.stringify(path.join(directory, 'password'))} }
workers: 1
`;
  await writeFile(file, change(text));
  return file;
}

describe('a detached proxy', () => {
  it('listens when the start returns, serves soon after, and is gone after the stop', async () => {
    const started = await start();
    expect(started).toMatchObject({ listening: `127.0.0.1:${port}`, pidFile });
    await serves();
    const client = new Redis({ port, password: CLIENT_PASSWORD, retryStrategy: null });
    await client.mset('a', '1', 'b', '2');
    expect(await client.mget('a', 'b')).toEqual(['1', '2']);
    client.disconnect();
    expect(await status()).toMatchObject({ pid: started.pid, supervised: true, fault: null, ready: 'LIVE' });
    // Where its admin page is, the process tells when nobody says it.
    const elsewhere = { host: '127.0.0.1', port: await freePort() };
    expect(await proxyStatus({ pidFile, admin: elsewhere, guessed: true })).toMatchObject({
      health: 'up',
      admin: { port: adminPort },
    });
    expect(await proxyStatus({ pidFile, admin: elsewhere })).toMatchObject({ health: 'not ready' });
    expect(await stopProxy(pidFile)).toBe('ended');
    expect(await identifyProcess(started.pid)).toBeUndefined();
    expect(await status()).toMatchObject({ health: 'down', pid: null });
    expect(await stopProxy(pidFile)).toBe('absent');
  });

  it('lets clients that block, watch or are subscribed go when it is stopped, and leaves nothing at the servers', async () => {
    await start();
    await serves();
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect({ port })));
    for (const client of clients) await client.call('AUTH', CLIENT_PASSWORD);
    for (const [i, client] of clients.entries()) {
      if (i % 4 === 0) client.send(command('BLPOP', `stop:${i}`, 0));
      else if (i % 4 === 1) client.send(command('XREAD', 'BLOCK', 0, 'STREAMS', `stop:${i}`, '$'));
      else if (i % 4 === 2) await client.call('SUBSCRIBE', `stop:${i}`);
      else await client.call('WATCH', `stop:${i}`);
    }
    const at = async (field: string) => {
      const infos = await Promise.all(cluster.nodes.map((node) => node.call('INFO', 'clients')));
      return infos.reduce(
        (sum: number, info) => sum + Number(new RegExp(`${field}:(\\d+)`).exec(String(info))?.[1]),
        0,
      );
    };
    await poll('they are blocked at the servers', 10_000, async () => (await at('blocked_clients')) === 10);
    const began = performance.now();
    expect(await stopProxy(pidFile)).toBe('ended');
    // The time that clients get to finish, and no more: these never would.
    expect(performance.now() - began).toBeLessThan(9_000);
    await Promise.all(clients.map((client) => client.untilClosed()));
    await poll('the servers have let go of them', 5_000, async () => (await at('blocked_clients')) === 0);
    const channels = await Promise.all(cluster.nodes.map((node) => node.call('PUBSUB', 'CHANNELS')));
    expect(channels.flat()).toEqual([]);
    expect(await status()).toMatchObject({ health: 'down', pid: null });
  });

  it('shows no password on its command line and none in its log', async () => {
    const { pid, logFile } = await start();
    await serves();
    const shown = (await readFile(`/proc/${pid}/cmdline`, 'utf8')) + (await readFile(logFile, 'utf8'));
    expect(shown).not.toContain(PASSWORD);
    expect(shown).not.toContain(CLIENT_PASSWORD);
    expect((await stat(logFile)).mode & 0o777).toBe(0o600);
  });

  it('is started once', async () => {
    const { pid } = await start();
    await expect(start()).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining(`process ${pid}`),
    });
  });

  it('is started again when it is killed', async () => {
    const { pid } = await start();
    process.kill(pid, 'SIGKILL');
    await poll('a new proxy', 10_000, async () => {
      const now = await status();
      return now.health === 'up' && now.pid !== pid;
    });
    expect(await status()).toMatchObject({ restarts: 1 });
  });

  it('whose port is taken says so, and leaves nothing running', async () => {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      await expect(start()).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(new RegExp(`port is in use[\\s\\S]*${port}`)),
      });
    } finally {
      server.close();
    }
    expect((await inspectProxy(pidFile)).pid).toBeUndefined();
  });

  it('with a wrong configuration tells the fault as the executable told it', async () => {
    const config = await writeConfig((text) => text.replace('workers: 1', 'wrokers: 1'));
    await expect(
      start({ config, cluster: undefined, listen: undefined, admin: undefined, workers: undefined }),
    ).rejects.toMatchObject({ kind: 'configuration', message: expect.stringContaining('wrokers') });
  });

  it('that finds no node runs, is not ready, and says so', async () => {
    await start({ cluster: [`127.0.0.1:${await freePort()}`] });
    expect(await status()).toMatchObject({ health: 'not ready', ready: 'PRE_INITIALIZING' });
  });
});

describe('a proxy that was started by something else', () => {
  it('is found and stopped by its pid file', async () => {
    const child = spawn(findProxyExecutable(), ['--config', await writeConfig(), '--pid-file', pidFile], {
      stdio: 'ignore',
    });
    await serves();
    expect(await status()).toMatchObject({ pid: child.pid, supervised: false });
    expect(await stopProxy(pidFile)).toBe('ended');
  });

  it('is not mistaken for another process that has its number now', async () => {
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      await writeFile(pidFile, `${stranger.pid}\n`);
      expect(await status()).toMatchObject({ health: 'down', pid: null });
      await expect(stopProxy(pidFile)).rejects.toMatchObject({ kind: 'refused' });
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    } finally {
      stranger.kill('SIGKILL');
    }
  });
});

describe('a proxy in the foreground', () => {
  it('runs until it is interrupted, and ends in good order', async () => {
    const controller = new AbortController();
    process.env['REDIS_REQUIREPASS'] = PASSWORD;
    try {
      const ended = runProxy(flags(), controller.signal);
      await serves();
      const { pid } = await status();
      controller.abort();
      await ended;
      expect(await identifyProcess(pid as number)).toBeUndefined();
    } finally {
      delete process.env['REDIS_REQUIREPASS'];
    }
  });

  it('that cannot start ends with the kind of its failure', async () => {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      await expect(runProxy(flags(), new AbortController().signal)).rejects.toMatchObject({ kind: 'refused' });
    } finally {
      server.close();
    }
  });
});

describe('checking a configuration', () => {
  it('accepts a right one', async () => {
    await checkProxyConfig(await writeConfig());
  });

  it('tells every fault of a wrong one, with file and line', async () => {
    const file = await writeConfig((text) =>
      text.replace('cluster: main', 'cluster: mian').replace('workers: 1', 'workers: 0'),
    );
    await expect(checkProxyConfig(file)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/proxy\.yaml:\d+:\d+/),
    });
  });

  it('that is not there is a fault, too', async () => {
    await expect(checkProxyConfig(path.join(directory, 'none.yaml'))).rejects.toMatchObject({ kind: 'configuration' });
  });
});

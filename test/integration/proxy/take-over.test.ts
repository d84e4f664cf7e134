/** What a proxy of a container says to one of another, whose process numbers mean nothing to it: `--take-over`. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startServers } from '../../support/redis.js';

const SEEN_MS = 30_000;
/** A process of a namespace that is none of this machine's. */
const OTHER = { pid: 1, namespace: 'pid:[1]' };

let server: RedisServer;
let directory: string;
let control: string;
let proxy: RunningProxy | undefined;
const open: net.Socket[] = [];

beforeAll(async () => {
  [server] = (await startServers(1)) as [RedisServer];
});
afterAll(async () => {
  await server?.stop();
});
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-take-over-'));
  control = path.join(directory, 'proxy.sock');
});
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await proxy?.stop();
  proxy = undefined;
  await rm(directory, { recursive: true, force: true });
});

async function start(...args: string[]): Promise<RunningProxy> {
  proxy = await startProxy({
    config: {
      workers: 1,
      listeners: [{ cluster: 'main' }],
      clusters: [{ name: 'main', type: 'sharded', endpoints: [server.address] }],
    },
    args: ['--pid-file', path.join(directory, 'proxy.pid'), '--take-over', ...args],
  });
  return proxy;
}

/** Asks over the control socket. @returns the answer, and the connection, which the proxy may keep open */
async function ask(question: object): Promise<{ answer: Record<string, unknown>; socket: net.Socket }> {
  const socket = net.connect(control);
  open.push(socket);
  socket.write(`${JSON.stringify(question)}\n`);
  const answer = await new Promise<string>((resolve, reject) => {
    socket.once('data', (bytes) => resolve(bytes.toString()));
    socket.once('error', reject);
  });
  return { answer: JSON.parse(answer) as Record<string, unknown>, socket };
}

/** Runs the executable, as a health check does. */
async function run(...args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(proxyExecutable(), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stderr };
}

const accepts = async (port: number) => {
  const client = await RawClient.connect({ port }).catch(() => undefined);
  const reply = await client?.call('PING').catch(() => undefined);
  client?.close();
  return reply === 'PONG';
};

describe('a proxy that may be taken over from by one of another container', () => {
  it('starts in the ordinary way when there is none, and says itself whether it serves', async () => {
    await start();
    // It waits for two seconds, which is not long on a busy machine.
    await poll('it says so', SEEN_MS, async () => (await run('--health-check', control)).code === 0);
    expect(await run('--reload', control)).toMatchObject({ code: 0 });
    expect((await run('--health-check', `${control}.none`)).code).toBe(1);
  });

  it('lets nobody have the listeners whose end it would not see', async () => {
    const { port } = await start();
    expect((await ask({ ask: 'yield', ...OTHER })).answer).toEqual({
      failed: 'process 1 of another container is not there',
    });
    expect(await accepts(port)).toBe(true);
  });

  it('accepts clients again when the one that takes over ends in the middle', async () => {
    const { port } = await start();
    const client = await RawClient.connect({ port });
    const { socket } = await ask({ ask: 'company', ...OTHER });
    expect((await ask({ ask: 'yield', ...OTHER })).answer).toHaveProperty('pid');
    expect(await accepts(port)).toBe(false);
    expect(await client.call('PING')).toBe('PONG');
    // There is one at a time.
    const third = { pid: 1, namespace: 'pid:[2]' };
    await ask({ ask: 'company', ...third });
    expect((await ask({ ask: 'yield', ...third })).answer).toEqual({
      failed: 'process 1 of another container takes over already',
    });
    socket.destroy();
    await poll('it accepts clients', SEEN_MS, () => accepts(port));
    expect(await client.call('PING')).toBe('PONG');
    client.close();
  });

  it('stays when it is replaced, and ends when it is needed again: then it is started anew', async () => {
    const { pid } = await start();
    const { socket } = await ask({ ask: 'company', ...OTHER });
    await ask({ ask: 'yield', ...OTHER });
    await ask({ ask: 'drain', ...OTHER });
    await poll('it has let its clients go', SEEN_MS, () => (proxy as RunningProxy).stderr().includes('drained'));
    // Longer than a process takes that ends.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(process.kill(pid, 0)).toBe(true);
    socket.destroy();
    await poll('it ends', SEEN_MS, () => (proxy as RunningProxy).stderr().includes('ending, to be started anew'));
    expect((await (proxy as RunningProxy).ended).code).toBe(0);
  });

  it('ends at a signal when it is replaced', async () => {
    const { pid } = await start();
    await ask({ ask: 'company', ...OTHER });
    await ask({ ask: 'yield', ...OTHER });
    await ask({ ask: 'drain', ...OTHER });
    await poll('it has let its clients go', SEEN_MS, () => (proxy as RunningProxy).stderr().includes('drained'));
    process.kill(pid, 'SIGTERM');
    expect(await (proxy as RunningProxy).ended).toMatchObject({ code: 0 });
  });

  it('is not mistaken for another one that answers at its place', async () => {
    const other = net.createServer((socket) => {
      socket.once('data', () => socket.end(`${JSON.stringify({ ...OTHER, accepting: true, admin: null })}\n`));
    });
    await new Promise<void>((resolve) => other.listen(control, resolve));
    try {
      expect(await run('--health-check', control)).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/of another container serves/),
      });
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  it('lets clients go at a pause when it is told to end with --drain-time', async () => {
    const running = await start('--drain-time', '10');
    const client = await RawClient.connect({ port: running.port });
    let answered = 0;
    const busy = (async () => {
      for (;;) {
        if ((await client.ask('PING').catch(() => undefined)) !== 'PONG') return;
        answered++;
        // A pause in which the end of a connection has time to come.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await poll('it is busy', SEEN_MS, () => answered > 5);
    process.kill(running.pid, 'SIGTERM');
    await client.untilClosed();
    await busy;
    expect((await running.ended).code).toBe(0);
  });

  it.each([
    [['--take-over', '--cluster', '127.0.0.1:1'], /--take-over needs --pid-file/],
    [['--drain-time', 'long', '--cluster', '127.0.0.1:1'], /--drain-time: long is no whole number/],
    [['--drain-time', '3601', '--cluster', '127.0.0.1:1'], /3600 at most/],
  ])('says what is wrong with %j', async (args, message) => {
    expect(await run(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });
});

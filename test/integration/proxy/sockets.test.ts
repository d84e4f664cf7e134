/** The sockets themselves: closed by halves, no descriptors left, the runtime's own in their place. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const DESCRIPTORS_MAX = 100;
const MORE_CLIENTS = 150;
const LINGER_MS = 2_000;

const root = fileURLToPath(new URL('../../..', import.meta.url));

let cluster: RedisCluster;
let directory: string;
let proxy: RunningProxy | undefined;
const nodes = () => cluster.nodes.map(({ address }) => address).join(',');

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-sockets-'));
});

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});

afterAll(async () => {
  await cluster?.stop();
  await rm(directory, { recursive: true, force: true });
});

const cpuTicks = async (pid: number) => {
  const fields = (await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')[1]!.split(' ');
  return Number(fields[11]) + Number(fields[12]);
};

/** Descriptors that are sockets. */
const sockets = async (pid: number) => (await readdir(`/proc/${pid}/fd`)).length;

/** Whether some process has the proxy's side of a connection open; other descriptors come and go after its start. */
const isOpen = async (port: number, clientPort: number) => {
  const ending = (number: number) => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').map((line) => line.trim().split(/\s+/));
  return lines.some(
    ([, local, remote, , , , , , , inode]) =>
      local?.endsWith(ending(port)) && remote?.endsWith(ending(clientPort)) && inode !== '0',
  );
};

describe('the proxy without descriptors left', () => {
  it('says so, keeps those who are there, does not spin, and goes on when some are free again', async () => {
    const program = path.join(directory, 'forge-proxy');
    await writeFile(program, `#!/bin/sh\nulimit -n ${DESCRIPTORS_MAX}\nexec ${proxyExecutable()} "$@"\n`);
    await chmod(program, 0o755);
    const before = process.env['FORGE_PROXY_BIN'];
    process.env['FORGE_PROXY_BIN'] = program;
    try {
      proxy = await startProxy({ cluster: nodes() });
    } finally {
      if (before === undefined) delete process.env['FORGE_PROXY_BIN'];
      else process.env['FORGE_PROXY_BIN'] = before;
    }
    const running = proxy;
    const first = await RawClient.connect({ port: running.port });
    expect(await first.call('SET', 'a', '1')).toBe('OK');
    const others = Array.from({ length: MORE_CLIENTS }, () => net.connect(running.port, '127.0.0.1'));
    for (const each of others) each.on('error', () => {});
    await poll('the log says it', 5000, () => running.stderr().includes('ulimit -n'));
    const used = await cpuTicks(running.pid);
    expect(await first.call('GET', 'a')).toBe('1');
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Of 50 ticks in half a second; a loop that is told of the waiting clients without end takes all of them.
    expect((await cpuTicks(running.pid)) - used).toBeLessThan(20);
    for (const each of others) each.destroy();
    await poll('somebody new is served', 5000, async () => {
      const late = await RawClient.connect({ port: running.port });
      const answer = await Promise.race([
        late.call('GET', 'a').catch(() => null),
        new Promise((resolve) => setTimeout(resolve, 500, null)),
      ]);
      late.close();
      return answer === '1';
    });
    first.close();
  });
});

describe.each(['epoll', 'runtime'])('sockets: %s', (kind) => {
  const start = async () => {
    proxy = await startProxy({ cluster: nodes(), env: { FORGE_PROXY_SOCKETS: kind } });
    return proxy;
  };

  it('answers who closes its sending side at once', async () => {
    const { port } = await start();
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let got = '';
    socket.on('data', (bytes: Buffer) => {
      got += bytes.toString('latin1');
    });
    const over = new Promise((resolve) => socket.once('end', resolve));
    socket.end('SET {a}1 x\r\nGET {a}1\r\nPING\r\n');
    await over;
    expect(got).toBe('+OK\r\n$1\r\nx\r\n+PONG\r\n');
    socket.destroy();
  });

  it('gives all of a large value to who reads slowly, in pieces of any size', async () => {
    const { port } = await start();
    const client = await RawClient.connect({ port });
    const value = 'v'.repeat(5_000_000);
    expect(await client.call('SET', 'large', value)).toBe('OK');
    client.close();
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET large\r\nPING\r\n');
    let length = 0;
    let last = '';
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      length += bytes.length;
      last = (last + bytes.toString('latin1')).slice(-9);
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (last.endsWith('+PONG\r\n')) break;
    }
    expect(length).toBe('$5000000\r\n'.length + value.length + '\r\n+PONG\r\n'.length);
  });

  it('forgets who was told to go and stays', async () => {
    const { port, stats } = await start();
    // A protocol error; the reply comes, and the connection stays open from that side.
    const stubborn = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    stubborn.on('error', () => {});
    await poll('it is accepted', 5000, () => isOpen(port, stubborn.localPort ?? 0));
    stubborn.write('*1\r\n$-5\r\n');
    await new Promise((resolve) => stubborn.once('data', resolve));
    // A write after that is thrown away, and is no reason to lose the reply.
    stubborn.write('PING\r\n');
    await poll('it is closed', LINGER_MS + 3000, async () => !(await isOpen(port, stubborn.localPort ?? 0)));
    expect((await stats('downstream_cx_active'))['redis.egress_redis.downstream_cx_active']).toBe(0);
    stubborn.destroy();
  });

  it('has no descriptor left of clients that came and went in every way', async () => {
    const { pid, port } = await start();
    const warm = await RawClient.connect({ port });
    await warm.call('MGET', 'a', 'b', 'c', 'd', 'e', 'f');
    const before = await sockets(pid);
    for (let round = 0; round < 40; round++) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('connect', resolve));
      if (round % 4 === 0) socket.resetAndDestroy();
      else if (round % 4 === 1) socket.destroy();
      else if (round % 4 === 2) socket.end('PING\r\n');
      else {
        socket.write('GET large\r\nQUIT\r\n');
        socket.resume();
        await new Promise((resolve) => socket.once('close', resolve));
      }
    }
    await poll('all are closed', 5000, async () => (await sockets(pid)) <= before);
    expect(await warm.call('PING')).toBe('PONG');
    warm.close();
  });
});

it('a host with a silent address and one that answers is reached in the time that there is', async () => {
  const script = path.join(root, 'test/support/bun/several-addresses.ts');
  const { stdout } = await promisify(execFile)(path.join(root, 'node_modules/.bin/bun'), [script], { timeout: 15_000 });
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'connected' });
});

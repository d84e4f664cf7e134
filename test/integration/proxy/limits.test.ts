import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command, ErrorReply } from '../../support/resp.js';

const RELOAD_MS = 5_000;
const ROOM_MS = 20_000;
const MIB = 1024 * 1024;
const root = fileURLToPath(new URL('../../..', import.meta.url));
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

let cluster: RedisCluster;
let proxy: RunningProxy | undefined;
let file = '';
let ports: readonly [number, number];
const clients: RawClient[] = [];

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(async () => {
  await cluster?.stop();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy?.stop();
  proxy = undefined;
});

interface Settings {
  limits?: Record<string, unknown>;
  users?: Record<string, unknown>[];
  overload?: Record<string, unknown>;
  workers?: number;
}

function config({ limits = {}, users = [], overload, workers = 1 }: Settings) {
  const [port, adminPort] = ports;
  return {
    admin: { address: `127.0.0.1:${adminPort}` },
    workers,
    ...(overload === undefined ? {} : { overload }),
    listeners: [{ address: `127.0.0.1:${port}`, cluster: 'main', limits, users }],
    clusters: [{ name: 'main', endpoints: cluster.addresses.split(',') }],
  };
}

/** A proxy whose configuration can be written anew. */
async function start(settings: Settings): Promise<RunningProxy> {
  ports = [await freePort(), await freePort()];
  const [port, adminPort] = ports;
  proxy = await startProxy({ port, adminPort, config: config(settings) });
  const words = readFileSync(`/proc/${proxy.pid}/cmdline`, 'utf8').split('\0');
  file = words[words.indexOf('--config') + 1]!;
  return proxy;
}

async function reload(settings: Settings): Promise<void> {
  const before = proxy!.stderr().length;
  await writeFile(file, stringify(config(settings)));
  proxy!.signal('SIGHUP');
  await poll('it has reloaded', RELOAD_MS, () => /reload: |reload refused/.test(proxy!.stderr().slice(before)));
  expect(proxy!.stderr().slice(before)).not.toContain('reload refused');
}

async function connect(options: { host?: string } = {}): Promise<RawClient> {
  const client = await RawClient.connect({ port: proxy!.port, ...options });
  clients.push(client);
  return client;
}

/** What a connection is told that is not let in. */
async function refused(localAddress = '127.0.0.1'): Promise<string> {
  const socket = net.connect({ port: proxy!.port, host: '127.0.0.1', localAddress });
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.on('error', () => {});
  const timer = setTimeout(() => socket.destroy(new Error('it was let in')), 3000);
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timer);
  return text;
}

async function counter(name: string): Promise<number> {
  const stats = await proxy!.stats(`\\.${name}$`);
  return Object.values(stats)[0] ?? Number.NaN;
}

describe('connections', () => {
  it('are limited in all, exactly, over two workers; who is refused is told so, and comes in when another leaves', async () => {
    await start({ limits: { max_connections: 8 }, workers: 2 });
    const begun = performance.now();
    for (let i = 0; i < 8; i++) await (await connect()).call('PING');
    for (let i = 0; i < 6; i++) expect(await refused()).toBe('-ERR max number of clients reached\r\n');
    expect(await counter('downstream_cx_overflow')).toBe(6);
    expect(await counter('downstream_cx_active')).toBe(8);
    clients.shift()!.close();
    const letIn = () =>
      connect().then((client) =>
        client.call('PING').then(
          () => true,
          () => false,
        ),
      );
    await poll('there is room again', ROOM_MS, letIn);
    // Log lines are bounded: one a second of each worker, however long this has taken on a busy machine.
    const seconds = Math.ceil((performance.now() - begun) / 1000);
    expect(proxy!.stderr().split('a client was refused').length - 1).toBeLessThanOrEqual(2 * (seconds + 1));
    await reload({ limits: { max_connections: 9 }, workers: 2 });
    // Each worker hears of it on its own.
    await poll('there is room for one more', ROOM_MS, letIn);
    expect(await refused()).toBe('-ERR max number of clients reached\r\n');
  });

  it('are limited by address, over two workers, those before a reload counted in', async () => {
    await start({ workers: 2 });
    for (let i = 0; i < 3; i++) await (await connect()).call('PING');
    await reload({ limits: { max_connections_per_address: 4 }, workers: 2 });
    await (await connect()).call('PING');
    const text = '-ERR max number of clients from this address reached\r\n';
    for (let i = 0; i < 4; i++) expect(await refused()).toBe(text);
    expect(await counter('downstream_cx_address_overflow')).toBe(4);
    // Another address has connections of its own.
    const other = net.connect({ port: proxy!.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    other.write(command('PING'));
    const [reply] = await new Promise<Buffer[]>((resolve) => other.once('data', (bytes) => resolve([bytes])));
    expect(String(reply)).toBe('+PONG\r\n');
    other.destroy();
    for (const client of clients.splice(0)) client.close();
    await poll('they are given back', 3000, async () => (await counter('downstream_cx_active')) === 0);
    for (let i = 0; i < 4; i++) await (await connect()).call('PING');
    expect(await refused()).toBe(text);
  });

  it('are accepted at a rate, over two workers', async () => {
    const limits = { connection_rate_limit: { connection_rate_limit_per_sec: 20, burst: 10 } };
    await start({ limits, workers: 2 });
    const started = performance.now();
    let accepted = 0;
    let turnedAway = 0;
    while (performance.now() - started < 2000) {
      const socket = net.connect({ port: proxy!.port, host: '127.0.0.1' });
      const text = await new Promise<string>((resolve) => {
        socket.on('error', () => resolve('error'));
        socket.once('data', (bytes) => resolve(String(bytes)));
        socket.write(command('PING'));
      });
      socket.destroy();
      if (text === '+PONG\r\n') accepted++;
      else {
        turnedAway++;
        if (text !== 'error') expect(text).toBe('-ERR connection rate limit reached, try again\r\n');
      }
    }
    const seconds = (performance.now() - started) / 1000;
    expect(accepted).toBeLessThanOrEqual(10 + 20 * seconds + 1);
    expect(accepted).toBeGreaterThan(20 * seconds - 4);
    expect(turnedAway).toBeGreaterThan(10);
    expect(await counter('downstream_cx_rate_limited')).toBe(turnedAway);
  });

  it('are limited by user at the login', async () => {
    const user = (name: string, limits?: Record<string, unknown>) => ({
      name,
      passwords: [{ sha256: sha256(name) }],
      rules: '+@all ~* &*',
      ...(limits === undefined ? {} : { limits }),
    });
    const users = [user('few', { max_connections: 2 }), user('many')];
    await start({ users, limits: { per_user: { max_connections: 3 } }, workers: 2 });
    const login = async (name: string) => (await connect()).ask('AUTH', name, name);
    for (let i = 0; i < 2; i++) expect(await login('few')).toBe('OK');
    for (let i = 0; i < 3; i++) expect(await login('many')).toBe('OK');
    for (const name of ['few', 'many']) {
      const client = await connect();
      const reply = await client.ask('AUTH', name, name);
      expect(reply).toBeInstanceOf(ErrorReply);
      expect((reply as ErrorReply).message).toBe(`ERR max number of clients of user '${name}' reached`);
      await client.untilClosed();
    }
    expect(await counter('downstream_cx_user_overflow')).toBe(2);
    // One of them becomes somebody else.
    expect(await clients[0]!.ask('RESET')).toBe('RESET');
    expect(await login('few')).toBe('OK');
    await reload({ users: [user('few', { max_connections: 3 }), user('many')], workers: 2 });
    expect(await login('few')).toBe('OK');
    expect(await login('few')).toBeInstanceOf(ErrorReply);
    for (let i = 0; i < 5; i++) expect(await login('many')).toBe('OK');
  });
});

describe('a worker that ends', () => {
  it('gives back the connections that it held', async () => {
    // The source under Bun, with a worker that can be made to end.
    const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-faulty-'));
    const program = path.join(directory, 'forge-proxy');
    const words = [path.join(root, 'node_modules/.bin/bun'), path.join(root, 'test/support/bun/faulty-proxy.ts')];
    await writeFile(program, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
    await chmod(program, 0o755);
    vi.stubEnv('FORGE_PROXY_BIN', program);
    try {
      const limits = { max_connections: 12, max_connections_per_address: 12, per_user: { max_connections: 12 } };
      await start({ limits, workers: 2 });
      for (let i = 0; i < 12; i++) await (await connect()).call('PING');
      expect(await refused()).not.toBe('');
      proxy!.signal('SIGUSR2');
      await poll('another one listens', 10_000, () => proxy!.stderr().includes('worker 0 listens again'));
      const left = await counter('downstream_cx_active');
      expect(left).toBeLessThan(12);
      for (let i = left; i < 12; i++) await (await connect()).call('PING');
      expect(await refused()).toBe('-ERR max number of clients reached\r\n');
    } finally {
      vi.unstubAllEnvs();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('a rate', () => {
  /** Asks for `ms` over several connections, one command after the other; how many were served and refused. */
  async function flood(connections: number, ms: number, pipeline: number) {
    const counts = { served: 0, refused: 0, errors: new Set<string>() };
    const until = performance.now() + ms;
    const batch = Array.from({ length: pipeline }, () => ['GET', 'k'] as const);
    await Promise.all(
      Array.from({ length: connections }, async () => {
        const client = await connect();
        while (performance.now() < until) {
          for (const reply of await client.pipeline(batch)) {
            if (reply instanceof ErrorReply) {
              counts.refused++;
              counts.errors.add(reply.message);
            } else counts.served++;
          }
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }),
    );
    return counts;
  }

  it('of commands is kept by two workers together within 10 % over 5 s', async () => {
    await start({ limits: { per_user: { commands_per_second: 2000 } }, workers: 2 });
    const { served, refused: no, errors } = await flood(8, 5000, 10);
    expect(served).toBeGreaterThan(2000 * 5 * 0.9);
    expect(served).toBeLessThan(2000 * 5 * 1.1);
    expect(no).toBeGreaterThan(1000);
    expect([...errors]).toEqual(["ERR rate limit of user 'default' exceeded: 2000 commands per second"]);
    expect(await counter('downstream_rq_rate_limited')).toBe(no);
    expect(proxy!.stderr().split('a user has reached its limit').length - 1).toBeLessThanOrEqual(14);
    await reload({ workers: 2 });
    expect((await flood(2, 200, 100)).refused).toBe(0);
    await reload({ workers: 2, limits: { per_user: { commands_per_second: 100 } } });
    expect((await flood(2, 300, 100)).refused).toBeGreaterThan(0);
  });

  it('of bytes counts replies, and holds over two workers', async () => {
    await start({ workers: 2 });
    await (await connect()).call('SET', 'k', Buffer.alloc(10_000, 'x'));
    await reload({ limits: { per_user: { bytes_per_second: 2_000_000 } }, workers: 2 });
    const before = await counter('downstream_cx_tx_bytes_total');
    const { served, errors } = await flood(4, 4000, 1);
    expect([...errors]).toEqual(["ERR rate limit of user 'default' exceeded: 2000000 bytes per second"]);
    expect((await counter('downstream_rq_bytes_rate_limited')) > 0).toBe(true);
    const bytes = served * 10_030;
    expect(bytes).toBeGreaterThan(2_000_000 * 4 * 0.9);
    expect(bytes).toBeLessThan(2_000_000 * 4 * 1.15);
    expect(before).toBeGreaterThanOrEqual(0);
  });

  it('that is exceeded inside of MULTI aborts the transaction', async () => {
    await start({ limits: { per_user: { commands_per_second: 4 } } });
    const client = await connect();
    let reply: unknown = null;
    while (!(reply instanceof ErrorReply)) reply = await client.ask('PING');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await client.ask('MULTI')).toBe('OK');
    const error = await client.ask('SET', 'm', '1');
    expect((error as ErrorReply).message).toContain('rate limit');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const exec = (await client.ask('EXEC')) as ErrorReply;
    expect(exec.message).toBe('EXECABORT Transaction discarded because of previous errors.');
    // It may leave, and log in as somebody else, all the same.
    expect(await client.ask('RESET')).toBe('RESET');
  });
});

describe('what a client sends', () => {
  it('is limited in size before it is collected', async () => {
    await start({ limits: { max_request_bytes: 2 * MIB } });
    const client = await connect();
    expect(await client.call('SET', 'big', Buffer.alloc(2 * MIB - 100, 'x'))).toBe('OK');
    client.send(`*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$${3 * MIB}\r\n`);
    expect((await client.raw(1))[0]!.toString()).toBe('-ERR Protocol error: too big request\r\n');
    await client.untilClosed();
    const other = await connect();
    other.send(
      Buffer.concat(
        [
          Buffer.from('*24\r\n$4\r\nMSET\r\n$1\r\na\r\n'),
          ...Array.from({ length: 30 }, () =>
            Buffer.concat([Buffer.from('$100000\r\n'), Buffer.alloc(100_000, 'y'), Buffer.from('\r\n')]),
          ),
        ].slice(0, 24),
      ),
    );
    expect((await other.raw(1))[0]!.toString()).toBe('-ERR Protocol error: too big request\r\n');
    expect(await counter('downstream_rq_too_large')).toBe(2);
  });

  it('waits when its pipeline is deeper than max_pipeline_depth, and all of it is answered', async () => {
    await start({ limits: { max_pipeline_depth: 10 } });
    const client = await connect();
    const replies = await client.pipeline(Array.from({ length: 1000 }, (_, i) => ['SET', `p${i}`, i]));
    expect(replies.every((reply) => reply === 'OK')).toBe(true);
    expect(await counter('downstream_rq_pipeline_full')).toBeGreaterThan(10);
  });

  it('must be finished in time, unless it makes progress', async () => {
    await start({ limits: { request_timeout: '400ms' } });
    const slow = await connect();
    slow.send('*2\r\n$3\r\nGE');
    const upload = await connect();
    upload.send(`*3\r\n$3\r\nSET\r\n$1\r\nu\r\n$${2 * MIB}\r\n`);
    const idle = await connect();
    const started = performance.now();
    await slow.untilClosed();
    expect(performance.now() - started).toBeGreaterThan(300);
    expect(performance.now() - started).toBeLessThan(1500);
    expect(await counter('downstream_rq_timeout')).toBeGreaterThanOrEqual(1);
    expect(idle.closed).toBe(false);
    upload.close();
    // 100 KB each 100 ms for 2 s, five times the timeout.
    const steady = await connect();
    steady.send(`*3\r\n$3\r\nSET\r\n$1\r\nu\r\n$${2_000_000}\r\n`);
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      steady.send(Buffer.alloc(100_000, 'z'));
    }
    steady.send('\r\n');
    expect((await steady.raw(1))[0]!.toString()).toBe('+OK\r\n');
  });
});

describe('time', () => {
  it('ends idle clients, not those that wait, subscribe or watch', async () => {
    await start({ limits: { idle_timeout: '500ms' } });
    const idle = await connect();
    await idle.call('PING');
    const blocked = await connect();
    blocked.send(command('BLPOP', 'nothing', '2'));
    const subscriber = await connect();
    await subscriber.call('SUBSCRIBE', 'news');
    const monitor = await connect();
    await monitor.call('MONITOR');
    const busy = await connect();
    const timer = setInterval(() => busy.send(command('PING')), 100);
    await idle.untilClosed();
    expect(await counter('downstream_cx_idle_timeout')).toBe(1);
    await blocked.raw(1);
    clearInterval(timer);
    expect([blocked, subscriber, monitor, busy].map(({ closed }) => closed)).toEqual([false, false, false, false]);
    await reload({});
    const patient = await connect();
    await patient.call('PING');
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(patient.closed).toBe(false);
  });

  it('ends clients that do not log in, and begins anew with RESET', async () => {
    const users = [{ name: 'a', passwords: [{ sha256: sha256('a') }], rules: '+@all ~*' }];
    await start({ users, limits: { auth_timeout: '600ms' } });
    const stranger = await connect();
    const member = await connect();
    expect(await member.ask('AUTH', 'a', 'a')).toBe('OK');
    const talker = await connect();
    const timer = setInterval(() => talker.send(command('PING')), 50);
    await stranger.untilClosed();
    await talker.untilClosed();
    clearInterval(timer);
    expect(member.closed).toBe(false);
    expect(await counter('downstream_cx_auth_timeout')).toBe(2);
    expect(await member.ask('RESET')).toBe('RESET');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(member.closed).toBe(false);
    await member.untilClosed();
  });
});

describe('replies that are not read', () => {
  it.each([
    ['hard_bytes', { hard_bytes: 2 * MIB }],
    ['soft_bytes', { soft_bytes: MIB, soft_seconds: 1 }],
  ])('end the client at %s', async (_name, output) => {
    await start({ limits: { max_output_buffer: output } });
    const client = await connect();
    await client.call('SET', 'v', Buffer.alloc(MIB, 'v'));
    const slow = net.connect({ port: proxy!.port, host: '127.0.0.1' });
    slow.on('error', () => {});
    slow.pause();
    slow.write(Buffer.concat(Array.from({ length: 30 }, () => command('GET', 'v'))));
    await poll('it is disconnected', 5000, async () => (await counter('downstream_cx_output_buffer_close')) === 1);
    // The log's line comes by way of another thread.
    await poll('the log says why', 5000, () =>
      /max_output_buffer\.hard_bytes|soft_bytes, for longer/.test(proxy!.stderr()),
    );
    slow.destroy();
    await client.call('PING');
  });
});

describe('messages that are not read', () => {
  it('end the subscriber when more than soft_bytes wait for soft_seconds', async () => {
    await start({ limits: { pubsub_output_buffer: { soft_bytes: MIB, soft_seconds: 1 } } });
    const slow = await connect();
    await slow.call('SUBSCRIBE', 'news');
    slow.socket.pause();
    const publisher = await connect();
    const started = performance.now();
    for (let i = 0; i < 20; i++) await publisher.call('PUBLISH', 'news', Buffer.alloc(MIB, 'n'));
    await poll('it is disconnected', 5000, async () => (await counter('downstream_pubsub_slow_close')) === 1);
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(await publisher.call('PUBSUB', 'NUMSUB', 'news')).toEqual(['news', 0]);
  });
});

describe('5,000 clients that send a byte a second', () => {
  it('do not slow another one, and are ended', async () => {
    await start({ limits: { request_timeout: '5s' } });
    const sockets: net.Socket[] = [];
    for (let i = 0; i < 5000; i += 250) {
      await Promise.all(
        Array.from(
          { length: 250 },
          () =>
            new Promise<void>((resolve) => {
              const socket = net.connect({ port: proxy!.port, host: '127.0.0.1' }, resolve);
              socket.on('error', () => resolve());
              socket.write('*');
              sockets.push(socket);
            }),
        ),
      );
    }
    const bytes = '2\r\n$3\r\nGET\r\n$1\r\n';
    let sent = 0;
    const timer = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(bytes[sent % bytes.length]!);
      sent++;
    }, 1000);
    // Another process measures: this one is busy with its writes.
    const benchmark = ['-p', String(proxy!.port), '-c', '1', '-n', '10000', '-t', 'ping_mbulk', '--csv', '-e'];
    const { stdout } = await promisify(execFile)('redis-benchmark', benchmark, { timeout: 30_000 });
    const [names, values] = stdout
      .trim()
      .split('\n')
      .map((line) => line.replaceAll('"', '').split(','));
    const p99Ms = Number(values![names!.indexOf('p99_latency_ms')]);
    expect(p99Ms).toBeGreaterThan(0);
    expect(p99Ms).toBeLessThan(20);
    const client = await connect();
    await poll('they are ended', 15_000, async () => (await counter('downstream_cx_active')) <= 1);
    clearInterval(timer);
    expect(await counter('downstream_rq_timeout')).toBe(5000);
    expect(proxy!.stderr().split('request_timeout').length).toBeLessThan(25);
    for (const socket of sockets) socket.destroy();
    await client.call('PING');
  }, 60_000);
});

describe('a half-open connection', () => {
  it('is probed by the system: its keep-alive timer runs', async () => {
    await start({});
    const client = await connect();
    await client.call('PING');
    const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');
    const local = client.socket.localPort as number;
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((each) => each.trim().split(/\s+/))
      .find((words) => words[1]?.endsWith(`:${hex(proxy!.port)}`) && words[2]?.endsWith(`:${hex(local)}`));
    // `tr:tm->when`: 02 is the keep-alive timer.
    expect(line?.[5]).toMatch(/^02:/);
  });
});

/** Past the proxy, at whichever master has the key. */
async function push(key: string): Promise<void> {
  for (const { port } of cluster.masters) {
    const node = await RawClient.connect({ port });
    const reply = await node.ask('RPUSH', key, 'item');
    node.close();
    if (!(reply instanceof ErrorReply)) return;
  }
  throw new Error(`no master has ${key}`);
}

describe('overload', () => {
  it('refuses new connections, then new commands, while what is on its way is finished; it ends by itself', async () => {
    await start({});
    const client = await connect();
    await client.call('SET', 'r', 'v');
    const waiting = await connect();
    waiting.send(command('BLPOP', 'list', '0'));
    const writer = await connect();
    await writer.call('MULTI');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const rss = proxy!.rssBytes();
    // About half of what may be; the thresholds move.
    const thresholds = (connections: number, requests: number) => ({
      overload: {
        max_resident_bytes: rss * 2,
        refresh_interval: '50ms',
        stop_accepting_connections_threshold: connections,
        stop_accepting_requests_threshold: requests,
      },
    });
    const active = async (action: string) => Object.values(await proxy!.stats(`stop_accepting_${action}\\.active`))[0];

    await reload(thresholds(20, 95));
    await poll('connections are refused', 3000, async () => (await active('connections')) === 1);
    expect(await refused()).toBe('-ERR proxy is overloaded, try again\r\n');
    expect(await counter('downstream_cx_overload_reject')).toBe(1);
    expect(await active('requests')).toBe(0);
    expect(await client.ask('SET', 'r', 'w')).toBe('OK');

    await reload(thresholds(20, 25));
    await poll('commands are refused', 3000, async () => (await active('requests')) === 1);
    await poll('the workers know', 1000, async () => (await client.ask('SET', 'other', 'x')) instanceof ErrorReply);
    const reply = (await client.ask('SET', 'r', 'x')) as ErrorReply;
    expect(reply.message).toBe('ERR proxy is overloaded, try again');
    // Small reads are served, and what was on its way.
    expect(await client.ask('GET', 'r')).toBe('w');
    expect(await client.ask('PING')).toBe('PONG');
    expect((await writer.ask('SET', 'q', '1')) instanceof ErrorReply).toBe(true);
    await push('list');
    expect((await waiting.raw(1))[0]!.toString()).toContain('item');
    expect(await counter('downstream_rq_overload_reject')).toBeGreaterThanOrEqual(3);

    await reload(thresholds(95, 98));
    await poll('it is over', 3000, async () => (await active('connections')) === 0 && (await active('requests')) === 0);
    await poll('the workers know', 1000, async () => (await client.ask('SET', 'r', 'y')) === 'OK');
    await (await connect()).call('PING');
    expect((await writer.ask('EXEC')) instanceof ErrorReply).toBe(true);
  });
});

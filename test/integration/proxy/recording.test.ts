import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Collector, startCollector } from '../../support/collector.js';
import { freePort } from '../../support/ports.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command } from '../../support/resp.js';

const WAIT_MS = 10_000;
const SECRET = 'this-is-a-secret';

let cluster: RedisCluster;
let dir: string;
const running: RunningProxy[] = [];
const collectors: Collector[] = [];

beforeAll(async () => {
  cluster = await startCluster();
  dir = mkdtempSync(path.join(os.tmpdir(), 'forge-recording-'));
});

afterEach(async () => {
  for (const proxy of running.splice(0)) await proxy.stop();
  for (const collector of collectors.splice(0)) await collector.stop();
});

afterAll(async () => {
  await cluster?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const base = (settings: Record<string, unknown>, listener: Record<string, unknown> = {}) => ({
  listeners: [{ cluster: 'main', ...listener }],
  clusters: [{ name: 'main', endpoints: cluster.addresses.split(',') }],
  ...settings,
});

async function proxyWith(
  settings: Record<string, unknown>,
  listener: Record<string, unknown> = {},
  args: string[] = [],
) {
  const proxy = await startProxy({ config: base(settings, listener), args });
  running.push(proxy);
  return { proxy, client: await RawClient.connect({ port: proxy.port }) };
}

const lines = (file: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
const entries = (file: string) => lines(file).map((line) => JSON.parse(line) as Record<string, string | number>);
const of = (file: string, name: string) => entries(file).filter((entry) => entry['command'] === name);

/** A pipeline of one command, many times. */
async function many(client: RawClient, count: number, ...words: string[]) {
  const portion = 1000;
  for (let left = count; left > 0; left -= portion) {
    const now = Math.min(portion, left);
    client.send(Buffer.concat(Array.from({ length: now }, () => command(...words))));
    await client.raw(now);
  }
}

describe('the log', () => {
  it('is one JSON object a line, and a reload changes its form', async () => {
    const { proxy, client } = await proxyWith({ log_format: 'json', log_level: 'debug' });
    client.send('POST / HTTP/1.1\r\nHost: \u0007\r\n\r\n');
    await poll('it is logged', WAIT_MS, async () => proxy.stderr().includes('HTTP'));
    const all = proxy.stderr().trim().split('\n');
    expect(all.length).toBeGreaterThan(2);
    for (const line of all) {
      const { time, level, message } = JSON.parse(line) as Record<string, string>;
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(['debug', 'info', 'warn', 'error']).toContain(level);
      expect(message).toMatch(/\S/);
    }
  });

  it('does not stall anybody when its reader does not read, and counts what it drops', async () => {
    // A pipe of the shell's whose reader sleeps: what the proxy says soon fills it.
    const [port, adminPort] = [await freePort(), await freePort()];
    const file = path.join(dir, 'stalled.yaml');
    const config = base({
      admin: { address: `127.0.0.1:${adminPort}` },
      workers: 1,
      access_log: { path: 'stderr', include_keys: true },
    }) as { listeners: Record<string, unknown>[] };
    (config.listeners[0] as Record<string, unknown>)['address'] = `127.0.0.1:${port}`;
    writeFileSync(file, stringify(config));
    const shell = spawn('/bin/sh', ['-c', `"$0" --config "$1" 2>&1 >/dev/null | sleep 60`, proxyExecutable(), file], {
      stdio: 'ignore',
      detached: true,
    });
    try {
      const client = await poll('it listens', WAIT_MS, () => RawClient.connect({ port }).catch(() => undefined));
      await poll('it serves', WAIT_MS, async () => (await client.call('PING').catch(() => undefined)) !== undefined);
      const started = performance.now();
      await many(client, 30_000, 'GET', 'k');
      expect(performance.now() - started).toBeLessThan(WAIT_MS);
      const stats = await poll('lines are dropped', WAIT_MS, async () => {
        const response = await fetch(`http://127.0.0.1:${adminPort}/stats?filter=dropped`);
        const text = await response.text();
        return /log_lines_dropped: [1-9]/.test(text) ? text : undefined;
      });
      expect(stats).toMatch(/log_lines_dropped: [1-9]/);
      client.close();
    } finally {
      process.kill(-(shell.pid as number), 'SIGTERM');
    }
  });
});

describe('the access log', () => {
  it('of all commands has each of them, once', async () => {
    const file = path.join(dir, 'all.log');
    const { proxy, client } = await proxyWith({ access_log: { path: file } });
    await many(client, 5000, 'SET', 'key', 'value');
    await client.call('GET', 'key');
    await client.call('MGET', 'a', 'b', 'c', 'd');
    await client.call('PING');
    await client.call('LPUSH', 'key', 'x').catch(() => {});
    await client.call('AUTH', SECRET).catch(() => {});
    await client.call('NOSUCH', SECRET).catch(() => {});
    await client.call('GET').catch(() => {});
    await poll('it is written', WAIT_MS, async () => entries(file).length >= 5007);
    expect(of(file, 'set')).toHaveLength(5000);
    expect(entries(file)).toHaveLength(5007);
    const [get, refused] = of(file, 'get') as [Record<string, unknown>, Record<string, unknown>];
    expect(get).toMatchObject({ user: 'default', result: 'ok', request_bytes: 22, response_bytes: 11 });
    expect(cluster.addresses.split(',')).toContain(get['upstream']);
    expect(get['duration_us'] as number).toBeGreaterThan(0);
    expect(get['duration_us'] as number).toBeGreaterThanOrEqual(get['upstream_us'] as number);
    expect(get['client']).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(refused).toMatchObject({ result: 'error', error: 'ERR' });
    expect(of(file, 'mget')[0]).toMatchObject({ result: 'ok', upstream_requests: 3 });
    expect(of(file, 'ping')[0]).toMatchObject({ result: 'ok', upstream: '', response_bytes: 7 });
    expect(of(file, 'lpush')[0]).toMatchObject({ result: 'error', error: 'WRONGTYPE' });
    expect(of(file, 'auth')[0]).toMatchObject({ result: 'error', error: 'ERR' });
    expect(of(file, 'unknown')[0]).toMatchObject({ result: 'error', error: 'ERR' });
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain(SECRET);
    expect(text).not.toContain('"key"');
    const stats = await proxy.stats('access_log');
    expect(stats).toEqual({ 'access_log.logs_written': 5007, 'access_log.logs_dropped': 0 });
  });

  it('of one in a hundred has about so many, with keys when they are wanted', async () => {
    const file = path.join(dir, 'one.log');
    const sample = { default_value: { numerator: 1, denominator: 'HUNDRED' } };
    const { client } = await proxyWith({ access_log: { path: file, sample, include_keys: true, format: 'text' } });
    const count = 50_000;
    await many(client, count, 'GET', 'a key\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const found = lines(file).filter((line) => line.includes('command=get key="a key\\n"'));
    // Five standard deviations.
    expect(Math.abs(found.length - count / 100)).toBeLessThan(5 * Math.sqrt(count / 100));
  });

  it('may be of errors and slow commands only', async () => {
    const file = path.join(dir, 'errors.log');
    const { client } = await proxyWith({ access_log: { path: file, errors_only: true, slower_than: '100ms' } });
    await client.call('SET', 's', '1');
    await client.call('LPUSH', 's', '1').catch(() => {});
    await client.call('BLPOP', 'nobody', '0.2');
    await poll('it is written', WAIT_MS, async () => entries(file).length >= 2);
    expect(entries(file).map(({ command: name }) => name)).toEqual(['lpush', 'blpop']);
  });

  it('is opened again on SIGUSR1, and after a reload', async () => {
    const file = path.join(dir, 'rotated.log');
    const { proxy, client } = await proxyWith({ access_log: { path: file } });
    await client.call('GET', 'a');
    await poll('it is written', WAIT_MS, async () => entries(file).length === 1);
    for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
      renameSync(file, `${file}.${signal}`);
      proxy.signal(signal);
      await poll('it is there again', WAIT_MS, async () => {
        await client.call('GET', 'b');
        return execFileSync('ls', [dir]).toString().split('\n').includes('rotated.log') && lines(file).length > 0;
      });
    }
  });

  it('goes elsewhere with a reload, which also turns it off; the counts go on', async () => {
    const [first, second] = [path.join(dir, 'first.log'), path.join(dir, 'second.log')] as [string, string];
    const { proxy, client } = await proxyWith({ access_log: { path: first } });
    await client.call('GET', 'a');
    await poll('it is written', WAIT_MS, async () => entries(first).length === 1);
    for (const [count, settings] of [
      [2, { access_log: { path: second } }],
      [2, {}],
      [3, { access_log: { path: second, format: 'text' } }],
    ] as const) {
      await proxy.configure(base(settings));
      expect((await proxy.reload()).outcome).toBe('applied');
      await client.call('GET', 'a');
      await poll('it is counted', WAIT_MS, async () => {
        return (await proxy.stats('logs_written'))['access_log.logs_written'] === count;
      });
    }
    expect(entries(first)).toHaveLength(1);
    expect(lines(second)).toHaveLength(2);
    expect(lines(second)[1]).toMatch(/^\S+Z client=\S+ client_id=\d+ user=default command=get /);
  });

  it('on a full disk harms nobody, says so once, and counts', async () => {
    const { proxy, client } = await proxyWith({ access_log: { path: '/dev/full' } });
    await many(client, 5000, 'GET', 'a');
    await poll(
      'they are counted',
      WAIT_MS,
      async () => (await proxy.stats('logs_dropped'))['access_log.logs_dropped'] === 5000,
    );
    expect(proxy.stderr().match(/access log cannot be written to/g)).toHaveLength(1);
    expect(proxy.stderr()).toContain('ENOSPC');
  });

  it('at a place that is not there harms nobody either', async () => {
    const { proxy, client } = await proxyWith({ access_log: { path: path.join(dir, 'no/such/place.log') } });
    await many(client, 100, 'GET', 'a');
    await poll(
      'they are counted',
      WAIT_MS,
      async () => (await proxy.stats('logs_dropped'))['access_log.logs_dropped'] === 100,
    );
    expect(proxy.stderr().match(/access log cannot be opened/g)).toHaveLength(1);
  });
});

describe('tracing', () => {
  async function traced(settings: Record<string, unknown> = {}, more: Record<string, unknown> = {}) {
    const collector = await startCollector();
    collectors.push(collector);
    const { proxy, client } = await proxyWith({
      tracing: { otlp_endpoint: collector.url, sample: 100, ...settings },
      ...more,
    });
    return {
      proxy,
      client,
      collector,
      /** The span of a command, and those below it. */
      async trace(name: string) {
        const span = await poll(`a span of ${name}`, WAIT_MS, async () =>
          collector.spans.find((each) => each.name === name && each.kind === 2),
        );
        return { span, children: collector.spans.filter(({ parentSpanId }) => parentSpanId === span.spanId) };
      },
    };
  }

  it('tells a command and its upstream request, in the words of the semantic conventions', async () => {
    const file = path.join(dir, 'traced.log');
    const { client, collector, trace, proxy } = await traced(
      { service_name: 'cache', headers: { authorization: { inline: SECRET } } },
      { access_log: { path: file } },
    );
    const before = BigInt(Date.now()) * 1_000_000n;
    await client.call('SET', 'a', 'b');
    const { span, children } = await trace('SET');
    expect(collector.faults).toEqual([]);
    expect(span.parentSpanId).toBe('');
    expect(span.attributes).toMatchObject({ 'db.system.name': 'redis', 'db.operation.name': 'SET' });
    expect(span.attributes).toMatchObject({ 'network.peer.address': '127.0.0.1', 'client.address': '127.0.0.1' });
    expect(span.resource).toMatchObject({ 'service.name': 'cache' });
    expect(span.status).toBe(0);
    expect(children).toHaveLength(1);
    const [child] = children as [(typeof children)[0]];
    expect(child).toMatchObject({ kind: 3, traceId: span.traceId });
    const { 'server.address': host, 'server.port': port } = child.attributes;
    expect(cluster.addresses.split(',')).toContain(`${host}:${port}`);
    // Clocks of one host: within a tenth of a second.
    expect(span.start).toBeGreaterThan(before - 100_000_000n);
    expect(span.end).toBeLessThan(BigInt(Date.now()) * 1_000_000n + 100_000_000n);
    expect(child.start >= span.start && child.end <= span.end).toBe(true);
    expect(collector.requests[0]?.headers['authorization']).toBe(SECRET);
    expect(of(file, 'set')[0]).toMatchObject({ trace_id: span.traceId });
    const dump = await proxy.page('/config_dump');
    expect(dump.body + proxy.stderr()).not.toContain(SECRET);
  });

  it('tells a split command with one child for each node', async () => {
    const { client, trace } = await traced();
    await client.call('MGET', ...Array.from({ length: 30 }, (_, i) => `k${i}`));
    const { children } = await trace('MGET');
    expect(children).toHaveLength(3);
    expect(new Set(children.map(({ attributes }) => attributes['server.port'])).size).toBe(3);
  });

  it('tells of errors: of a node, of the proxy, and none of what went well', async () => {
    const { client, trace } = await traced();
    await client.call('SET', 'text', '1');
    await client.call('LPUSH', 'text', '1').catch(() => {});
    await client.call('SHUTDOWN').catch(() => {});
    const { span, children } = await trace('LPUSH');
    expect(span.status).toBe(2);
    expect(span.attributes).toMatchObject({ 'db.response.status_code': 'WRONGTYPE', 'error.type': 'WRONGTYPE' });
    expect(children[0]?.status).toBe(2);
    expect((await trace('SHUTDOWN')).span.status).toBe(2);
  });

  it('tells a transaction, a blocking command and a script with what serves them', async () => {
    const { client, trace } = await traced();
    await client.call('MULTI');
    await client.call('SET', '{t}a', '1');
    await client.call('EXEC');
    await client.call('BLPOP', 'nobody', '0.1');
    await client.call('DBSIZE');
    expect((await trace('EXEC')).children.length).toBeGreaterThanOrEqual(1);
    expect((await trace('BLPOP')).children.length).toBeGreaterThanOrEqual(1);
    expect((await trace('DBSIZE')).children).toHaveLength(3);
  });

  it('shows a redirection as an event', async () => {
    const { client, trace } = await traced({}, {});
    // A slot that is on its way: the source sends what it has not to the target.
    const [from, to] = cluster.masters.slice(0, 2) as [(typeof cluster.masters)[0], (typeof cluster.masters)[0]];
    const slot = await slotOf(from);
    const ids = { from: String(await from.call('CLUSTER', 'MYID')), to: String(await to.call('CLUSTER', 'MYID')) };
    await to.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', ids.from);
    await from.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', ids.to);
    try {
      await client.call('GET', keyIn(slot));
      const { children } = await trace('GET');
      expect(children).toHaveLength(1);
      expect(children[0]?.events.map(({ name }) => name)).toEqual(['ASK']);
      expect(children[0]?.events[0]?.attributes['redisforge.redirect.from']).toBe(`127.0.0.1:${from.port}`);
      expect(children[0]?.attributes['server.port']).toBe(to.port);
    } finally {
      for (const node of [from, to]) await node.call('CLUSTER', 'SETSLOT', String(slot), 'STABLE');
    }
  });

  it('shows a slot that has moved as an event, too', async () => {
    const { client, trace } = await traced();
    const [from, to] = cluster.masters.slice(0, 2) as [(typeof cluster.masters)[0], (typeof cluster.masters)[0]];
    const slot = String((await slotOf(from)) + 1);
    const give = async (node: typeof from) => {
      const id = String(await node.call('CLUSTER', 'MYID'));
      for (const each of [node, ...cluster.masters]) await each.call('CLUSTER', 'SETSLOT', slot, 'NODE', id);
    };
    await give(to);
    try {
      await client.call('GET', keyIn(Number(slot)));
      const { children } = await trace('GET');
      expect(children).toHaveLength(1);
      expect(children[0]?.events.map(({ name }) => name)).toEqual(['MOVED']);
      expect(children[0]?.events[0]?.attributes['redisforge.redirect.to']).toBe(`127.0.0.1:${to.port}`);
      expect(children[0]?.attributes['server.port']).toBe(to.port);
    } finally {
      await give(from);
    }
  });

  it('sends again what the collector could not take, and drops what it refuses', async () => {
    const { client, trace, collector, proxy } = await traced();
    collector.refuseWith.push(503, 429);
    await client.call('GET', 'a');
    await trace('GET');
    collector.refuseWith.push(400);
    await client.call('TTL', 'a');
    await poll(
      'it is dropped',
      WAIT_MS,
      async () => (await proxy.stats('spans_dropped'))['tracing.opentelemetry.spans_dropped'] === 2,
    );
    await client.call('TYPE', 'a');
    await trace('TYPE');
    expect((await proxy.stats('opentelemetry'))['tracing.opentelemetry.export_failure']).toBe(3);
    expect(collector.spans.some(({ name }) => name === 'TTL')).toBe(false);
    expect(proxy.stderr().match(/spans cannot be exported/g)?.length).toBe(2);
  });

  it('is bounded when there is no collector, and nobody waits for it', async () => {
    const { client, proxy, collector } = await traced({ max_queue: 100, max_batch: 10, timeout: '100ms' });
    await collector.stop();
    await many(client, 20_000, 'GET', 'a');
    await poll(
      'they are dropped',
      WAIT_MS,
      async () => ((await proxy.stats('spans_dropped'))['tracing.opentelemetry.spans_dropped'] ?? 0) > 39_000,
    );
  });
});

/** A slot of a node, in the middle of its range. */
async function slotOf(node: { port: number; call(...words: string[]): Promise<unknown> }): Promise<number> {
  const ranges = (await node.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const [first] = ranges.find(([, , [, port]]) => port === node.port) as (typeof ranges)[0];
  return first + 7;
}

function keyIn(slot: number): string {
  for (let i = 0; ; i++) if (keySlot(`key:${i}`) === slot) return `key:${i}`;
}

function keySlot(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % 16384;
}

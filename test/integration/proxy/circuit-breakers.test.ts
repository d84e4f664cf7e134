import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { command, decode, ErrorReply, type Value } from '../../support/resp.js';

const WAIT_MS = 10_000;

let server: RedisServer;
let proxy: RunningProxy;
const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy?.stop();
  await server?.stop();
});

async function start(threshold: Record<string, number>): Promise<void> {
  server = await startRedis();
  proxy = await startProxy({
    config: {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          type: 'sharded',
          endpoints: [server.address],
          circuit_breakers: { thresholds: [threshold] },
          settings: { op_timeout: '3s' },
        },
      ],
    },
  });
}

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect({ port: proxy.port });
  clients.push(client);
  return client;
}

const text = (value: Value) => (value instanceof ErrorReply ? value.message : value);

async function stat(name: string): Promise<number> {
  return (await proxy.stats(name.replaceAll('.', '\\.')))[`cluster.main.${name}`] ?? Number.NaN;
}

/** Stops the server without closing its port, and has the proxy lose its connection. */
async function lose(): Promise<void> {
  await server.kill();
  await poll('the connection is gone', WAIT_MS, async () => (await stat('upstream_cx_active')) === 0);
}

describe('circuit breakers', () => {
  it('max_pending_requests: what there is no room for fails at once, what waits is served later', async () => {
    await start({ max_pending_requests: 10 });
    const all = await Promise.all(Array.from({ length: 30 }, () => connect()));
    for (const client of all) await client.call('PING');
    await lose();
    const started = performance.now();
    const answers: { reply: Value; atMs: number }[] = [];
    const waiting = all.map(async (client, i) => {
      const reply = await client.ask('SET', `key:${i}`, 'x');
      answers.push({ reply, atMs: performance.now() - started });
    });
    await poll('the others have failed', WAIT_MS, () => answers.length === 20);
    expect(answers.map(({ reply }) => text(reply))).toEqual(Array.from({ length: 20 }, () => 'upstream failure'));
    expect(await stat('upstream_rq_pending_overflow')).toBe(20);
    expect(await stat('upstream_rq_pending_active')).toBe(10);
    await poll(
      'the breaker is open',
      WAIT_MS,
      async () => (await stat('circuit_breakers.default.rq_pending_open')) === 1,
    );
    const again = await startRedis({ port: server.port });
    try {
      await Promise.all(waiting);
      // The old ones were kept, the new ones were shed.
      expect(answers.slice(20).map(({ reply }) => text(reply))).toEqual(Array.from({ length: 10 }, () => 'OK'));
      await poll('it closes', WAIT_MS, async () => (await stat('circuit_breakers.default.rq_pending_open')) === 0);
    } finally {
      await again.stop();
    }
  });

  it('max_pending_bytes: the same by bytes', async () => {
    await start({ max_pending_bytes: 10_000 });
    const all = await Promise.all(Array.from({ length: 10 }, () => connect()));
    for (const client of all) await client.call('PING');
    await lose();
    let failed = 0;
    const waiting = all.map((client, i) =>
      client.ask('SET', `key:${i}`, 'x'.repeat(3000)).then((reply) => {
        if (text(reply) === 'upstream failure') failed++;
      }),
    );
    await poll('what is too much has failed', WAIT_MS, () => failed === 7);
    expect(await stat('upstream_rq_pending_active')).toBe(3);
    // A small one finds room.
    const small = await connect();
    const kept = small.ask('SET', 'small', 'x');
    await poll('it waits', WAIT_MS, async () => (await stat('upstream_rq_pending_active')) === 4);
    await Promise.all(waiting);
    expect(text(await kept)).toBe('no upstream host');
  });

  it('max_requests: so many are in flight on a connection, the others wait', async () => {
    await start({ max_requests: 5 });
    const client = await connect();
    await client.call('PING');
    await client.call('SET', 'a', '1');
    await server.kill('SIGSTOP');
    const gets = Array.from({ length: 20 }, () => command('GET', 'a'));
    client.send(Buffer.concat(gets));
    await poll('five are in flight', WAIT_MS, async () => (await stat('upstream_rq_active')) === 5);
    expect(await stat('upstream_rq_pending_active')).toBe(15);
    await poll('the breaker is open', WAIT_MS, async () => (await stat('circuit_breakers.default.rq_open')) === 1);
    await server.kill('SIGCONT');
    expect((await client.raw(20)).map(decode)).toEqual(Array.from({ length: 20 }, () => '1'));
    await poll('it closes', WAIT_MS, async () => (await stat('circuit_breakers.default.rq_open')) === 0);
  });

  it('max_connections: clients that block are turned away, those that share the first connection are not', async () => {
    await start({ max_connections: 3 });
    const client = await connect();
    await client.call('SET', 'a', '1');
    const blocked = await Promise.all(Array.from({ length: 5 }, () => connect()));
    const results: Value[] = [];
    const all: Promise<unknown>[] = [];
    for (const each of blocked) {
      all.push(each.ask('BLPOP', 'list', '5').then((reply) => results.push(reply)));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await poll('those over the bound have their answer', WAIT_MS, () => results.length === 3);
    for (const reply of results) expect(text(reply)).toMatch(/max number of dedicated connections/);
    expect(await client.call('GET', 'a')).toBe('1');
    expect(await stat('upstream_cx_overflow')).toBe(3);
    expect(await stat('upstream_cx_active')).toBe(3);
    expect(await client.call('RPUSH', 'list', 'x', 'y')).toBe(2);
    await Promise.all(all);
  });

  it('max_retries: 0 tells what the server says', async () => {
    await start({ max_retries: 0 });
    const client = await connect();
    await client.call('SET', 'a', '1');
    await server.call('REPLICAOF', '127.0.0.1', '1');
    const started = performance.now();
    expect(text(await client.ask('SET', 'a', '2'))).toMatch(/^READONLY/);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await stat('upstream_rq_retry_overflow')).toBe(1);
  });
});

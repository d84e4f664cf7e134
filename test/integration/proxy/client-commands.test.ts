import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, ErrorReply, type Value } from '../../support/resp.js';

const SEEN_MS = 5_000;

let cluster: RedisCluster;
/** One server by itself, whose replies are the measure. */
let single: RedisServer;
let proxy: RunningProxy;
const open: RawClient[] = [];

beforeAll(async () => {
  cluster = await startCluster({ args: ['--enable-debug-command', 'yes'] });
  single = await startRedis({ args: ['--enable-debug-command', 'yes'] });
  proxy = await startProxy({
    config: {
      workers: 2,
      listeners: [{ cluster: 'main', admin_commands: ['debug'], monitor_output_buffer_limit: 1_048_576 }],
      clusters: [{ name: 'main', endpoints: cluster.nodes.map((node) => node.address) }],
    },
  });
});

afterEach(() => {
  for (const client of open.splice(0)) client.close();
});

afterAll(async () => {
  await proxy?.stop();
  await single?.stop();
  await cluster?.stop();
});

async function connect(port = proxy.port): Promise<RawClient> {
  const client = await RawClient.connect({ port });
  open.push(client);
  return client;
}

const message = (value: Value) => (value instanceof ErrorReply ? value.message : `no error: ${String(value)}`);

/** Connections until both workers have some. */
async function both(): Promise<{ clients: RawClient[]; workers: Set<string> }> {
  const clients: RawClient[] = [];
  const workers = new Set<string>();
  while (workers.size < 2 || clients.length < 4) {
    const client = await connect();
    clients.push(client);
    workers.add(/worker=(\d+)/.exec(String(await client.call('CLIENT', 'INFO')))![1]!);
    if (clients.length > 100) throw new Error('all connections come to one worker');
  }
  return { clients, workers };
}

const ids = (list: Value) => [...String(list).matchAll(/^id=(\d+) /gm)].map((match) => Number(match[1]));

describe('replies of the proxy itself', () => {
  const cases: string[][] = [
    ...['PING', 'PING hello', 'PING a b', 'ECHO x', 'ECHO', 'SELECT 0', 'SELECT 99', 'SELECT x', 'SELECT'],
    ...['QUIT', 'RESET', 'RESET x', 'TIME x', 'AUTH', 'AUTH a b c', 'AUTH x', 'AUTH a b', 'AUTH default b'],
    ...['HELLO x', 'HELLO 9', 'HELLO 2 foo', 'HELLO 2 auth a', 'HELLO 2 setname', 'HELLO 3 AUTH a b', 'MONITOR x'],
    ...['CLIENT', 'CLIENT NOSUCH', 'CLIENT ID x', 'CLIENT GETNAME', 'CLIENT GETREDIR', 'CLIENT TRACKING OFF'],
    ...['CLIENT TRACKING', 'CLIENT TRACKING foo', 'CLIENT TRACKINGINFO', 'CLIENT CACHING YES', 'CLIENT REPLY foo'],
    ...['CLIENT LIST TYPE foo', 'CLIENT LIST ID', 'CLIENT LIST ID x', 'CLIENT LIST FOO bar', 'CLIENT LIST TYPE'],
    ...['CLIENT KILL', 'CLIENT KILL 1.2.3.4:5', 'CLIENT KILL ID x', 'CLIENT KILL ID 0', 'CLIENT KILL TYPE foo'],
    ...['CLIENT KILL SKIPME maybe', 'CLIENT KILL FOO bar', 'CLIENT KILL ID 5 ADDR', 'CLIENT KILL USER nobody'],
    ...['CLIENT KILL ID 99999999', 'CLIENT PAUSE', 'CLIENT PAUSE x', 'CLIENT PAUSE -1', 'CLIENT PAUSE 1 foo'],
    ...['CLIENT UNPAUSE x', 'CLIENT UNPAUSE', 'CLIENT UNBLOCK', 'CLIENT UNBLOCK x', 'CLIENT UNBLOCK 99999999'],
    ...['CLIENT UNBLOCK 1 foo', 'CLIENT NO-EVICT x', 'CLIENT NO-EVICT on', 'CLIENT REPLY ON', 'CLIENT SETNAME a'],
  ].map((text) => text.split(' '));

  it.each([2, 3])("are a single server's, byte for byte, in RESP%i", async (proto) => {
    const all: [string[], string, string][] = [];
    for (const args of cases) {
      const [own, reference] = [await connect(), await connect(single.port)];
      if (proto === 3) for (const client of [own, reference]) await client.call('HELLO', 3);
      const replies = await Promise.all([own.exchange(...args), reference.exchange(...args)]);
      all.push([args, replies[0]!.toString(), replies[1]!.toString()]);
      own.close();
      reference.close();
    }
    expect(all.map(([args, reply]) => [args, reply])).toEqual(all.map(([args, , reply]) => [args, reply]));
  });

  it('say hello with the fields of a server', async () => {
    for (const proto of [2, 3]) {
      const replies = await Promise.all(
        [proxy.port, single.port].map(async (port) => {
          const client = await connect(port);
          return (await client.exchange('HELLO', proto, 'AUTH', 'default', 'x', 'SETNAME', 'n')).toString();
        }),
      );
      const [own, reference] = replies.map((reply) => reply.replace(/(\$2\r\nid\r\n):\d+/, '$1:ID'));
      expect(own).toBe(reference);
    }
  });
});

describe('CLIENT', () => {
  it('LIST and KILL reach the clients of all workers', async () => {
    const { clients } = await both();
    const mine = await Promise.all(clients.map(async (client) => Number(await client.call('CLIENT', 'ID'))));
    await clients[1]!.call('CLIENT', 'SETNAME', 'second');
    const [first] = clients as [RawClient, ...RawClient[]];
    const list = await first.call('CLIENT', 'LIST');
    expect(ids(list)).toEqual(expect.arrayContaining(mine));
    expect(ids(list)).toEqual([...ids(list)].sort((a, b) => a - b));
    expect(String(list)).toMatch(
      new RegExp(`id=${mine[1]} addr=127\\.0\\.0\\.1:\\d+ laddr=${proxy.address} fd=-1 name=second`),
    );
    expect(ids(await first.call('CLIENT', 'LIST', 'ID', ...mine.slice(1)))).toEqual(
      [...mine.slice(1)].sort((a, b) => a - b),
    );
    expect(await first.call('CLIENT', 'KILL', 'ID', mine[1]!, 'ID', mine[2]!)).toBe(2);
    await Promise.all([clients[1]!.untilClosed(), clients[2]!.untilClosed()]);
    const [, address] = new RegExp(`id=${mine[3]} addr=(\\S+)`).exec(String(list))!;
    expect(await first.call('CLIENT', 'KILL', address!)).toBe('OK');
    await clients[3]!.untilClosed();
    expect(await first.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no')).toBeGreaterThan(0);
    await first.untilClosed();
  });

  it('PAUSE stops all workers, WRITE only what writes, and UNPAUSE from any client ends it', async () => {
    const { clients } = await both();
    const [first] = clients as [RawClient, ...RawClient[]];
    await first.call('SET', 'paused', '0');
    await first.call('CLIENT', 'PAUSE', 60_000, 'WRITE');
    for (const client of clients) expect(await client.call('GET', 'paused')).toBe('0');
    const writes = clients.slice(1).map((client) => client.ask('INCR', 'paused'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await first.call('GET', 'paused')).toBe('0');
    expect(await first.call('CLIENT', 'UNPAUSE')).toBe('OK');
    expect((await Promise.all(writes)).sort()).toEqual(clients.slice(1).map((_, i) => i + 1));
    const before = performance.now();
    await first.call('CLIENT', 'PAUSE', 300);
    await Promise.all(clients.map((client) => client.call('PING')));
    expect(performance.now() - before).toBeGreaterThan(250);
  });

  it('REPLY silences what it is told to, in a pipeline', async () => {
    const client = await connect();
    client.send(
      Buffer.concat([
        command('SET', 'muted', '1'),
        command('CLIENT', 'REPLY', 'OFF'),
        ...Array.from({ length: 100 }, () => command('INCR', 'muted')),
        command('NOSUCH'),
        command('MGET', 'muted', 'other', 'third'),
        command('CLIENT', 'REPLY', 'ON'),
        command('CLIENT', 'REPLY', 'SKIP'),
        command('GET', 'muted'),
        command('GET', 'muted'),
      ]),
    );
    expect((await client.raw(3)).map(String)).toEqual(['+OK\r\n', '+OK\r\n', '$3\r\n101\r\n']);
    expect(client.unread).toEqual({ replies: 0, bytes: 0 });
  });

  it('UNBLOCK ends a wait on any worker', async () => {
    const { clients } = await both();
    const [first, ...waiting] = clients as [RawClient, ...RawClient[]];
    for (const [i, client] of waiting.entries()) {
      const id = Number(await client.call('CLIENT', 'ID'));
      expect(await first.call('CLIENT', 'UNBLOCK', id)).toBe(0);
      const reply = client.ask('BLPOP', 'nothing', 0);
      const how = i % 2 === 0 ? 'TIMEOUT' : 'ERROR';
      await poll('it is unblocked', SEEN_MS, async () => (await first.call('CLIENT', 'UNBLOCK', id, how)) === 1);
      if (how === 'TIMEOUT') expect(await reply).toBeNull();
      else expect(message(await reply)).toBe('UNBLOCKED client unblocked via CLIENT UNBLOCK');
    }
  });

  it('TRACKING is refused with a reason', async () => {
    const client = await connect();
    await client.call('HELLO', 3);
    expect(message(await client.ask('CLIENT', 'TRACKING', 'ON'))).toMatch(/not supported by the proxy/);
  });
});

describe('RESET', () => {
  it('leaves RESP3, the name, subscriptions and MONITOR', async () => {
    const client = await connect();
    await client.call('HELLO', 3, 'SETNAME', 'me');
    await client.call('SUBSCRIBE', 'channel');
    expect(await client.call('RESET')).toBe('RESET');
    expect((await client.exchange('CLIENT', 'GETNAME')).toString()).toBe('$-1\r\n');
    expect(await (await connect()).call('PUBLISH', 'channel', 'x')).toBe(0);
    expect(String(await client.call('CLIENT', 'INFO'))).toMatch(/ sub=0 .* resp=2 /);
    await client.call('SUBSCRIBE', 'channel');
    expect(await client.call('RESET')).toBe('RESET');
    expect(await client.call('GET', 'reset')).toBeNull();
  });
});

describe('MONITOR', () => {
  it('shows what passes any worker, once, in Redis form', async () => {
    const { clients } = await both();
    const monitor = await connect();
    expect(await monitor.call('MONITOR')).toBe('OK');
    for (const [i, client] of clients.entries()) await client.call('SET', `monitored:${i}`, 'a "b"\r\n');
    const lines = (await monitor.raw(clients.length)).map(String);
    for (const line of lines)
      expect(line).toMatch(/^\+\d{10}\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "monitored:\d+" "a \\"b\\"\\r\\n"\r\n$/);
    expect(new Set(lines.map((line) => /monitored:\d+/.exec(line)![0])).size).toBe(clients.length);
    await clients[0]!.ask('AUTH', 'default', 'secret');
    await clients[0]!.ask('CONFIG', 'SET', 'requirepass', '');
    await clients[0]!.ask('PING');
    const [auth, ping] = (await monitor.raw(2)).map(String);
    expect(auth).toContain('"AUTH" "(redacted)" "(redacted)"');
    expect(ping).toContain('"PING"');
    expect(await monitor.call('RESET')).toBe('RESET');
    await clients[0]!.call('PING');
    expect(await monitor.call('PING')).toBe('PONG');
    expect(monitor.unread.replies).toBe(0);
  });

  it('lets a client go that does not take its lines, and serves the others', async () => {
    const monitor = await connect();
    await monitor.call('MONITOR');
    monitor.socket.pause();
    // Some are of the same worker: what passes there is shown without a detour.
    const { clients } = await both();
    const closed = 'redis.egress_redis.downstream_cx_monitor_close';
    await poll('the slow monitor is let go', 30_000, async () => {
      const commands = Array.from({ length: 500 }, () => ['SET', 'k', 'x'.repeat(1000)]);
      await Promise.all(clients.map((client) => client.pipeline(commands)));
      return (await proxy.stats('monitor_close'))[closed] === 1;
    });
    for (const client of clients) expect(await client.call('PING')).toBe('PONG');
  });
});

describe('RESP2 and RESP3 side by side', () => {
  const types = [
    'string',
    'integer',
    'double',
    'null',
    'array',
    'set',
    'map',
    'verbatim',
    'true',
    'false',
    'bignum',
    'attrib',
  ];

  it('are passed on as the node sends them, of every type', async () => {
    const [two, three, nodeTwo, nodeThree] = [
      await connect(),
      await connect(),
      await connect(single.port),
      await connect(single.port),
    ] as const;
    await Promise.all([three.call('HELLO', 3), nodeThree.call('HELLO', 3)]);
    const scripts = [
      'return {double=3.5}',
      'return {map={a=1}}',
      'return {set={a=true}}',
      "return {big_number='123456789012345678901234567890'}",
      "return {verbatim_string={format='txt',string='text'}}",
      'redis.setresp(3); return true',
      'redis.setresp(3); return false',
      'redis.setresp(3); return nil',
      "return redis.error_reply('ERR My error')",
    ];
    const commands: string[][] = [
      ['DEL', '{t}h', '{t}z', '{t}s'],
      ['HSET', '{t}h', 'f', 'v'],
      ['HGETALL', '{t}h'],
      ['ZADD', '{t}z', '1.5', 'm', 'inf', 'n'],
      ['ZRANGE', '{t}z', '0', '-1', 'WITHSCORES'],
      ['ZSCORE', '{t}z', 'n'],
      ['SADD', '{t}s', 'a'],
      ['SMEMBERS', '{t}s'],
      ['GET', '{t}none'],
      ['ZRANDMEMBER', '{t}none'],
      ['XADD', '{t}x', '1-1', 'f', 'v'],
      ['XREAD', 'STREAMS', '{t}x', '0'],
      ['CONFIG', 'GET', 'maxmemory-policy'],
      ...scripts.map((script) => ['EVAL', script, '0']),
    ];
    for (const args of commands) {
      const write = /^(DEL|HSET|ZADD|SADD|XADD)$/.test(args[0]!);
      const replies = write
        ? [await two.exchange(...args), await nodeTwo.exchange(...args)]
        : await Promise.all([two, nodeTwo, three, nodeThree].map((client) => client.exchange(...args)));
      expect(replies[0]!.toString(), args.join(' ')).toBe(replies[1]!.toString());
      if (!write) expect(replies[2]!.toString(), `RESP3: ${args.join(' ')}`).toBe(replies[3]!.toString());
    }
  });

  it('take what DEBUG PROTOCOL makes, attributes too', async () => {
    const [three, node] = [await connect(), await connect(single.port)];
    await Promise.all([three.call('HELLO', 3), node.call('HELLO', 3)]);
    for (const type of types) {
      const [own, reference] = await Promise.all(
        [three, node].map((client) => client.exchange('DEBUG', 'PROTOCOL', type)),
      );
      expect(own!.toString(), type).toBe(reference!.toString());
    }
    expect(await three.call('PING')).toBe('PONG');
  });
});

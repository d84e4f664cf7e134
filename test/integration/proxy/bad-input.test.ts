import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, ErrorReply, seeded } from '../../support/resp.js';

const CLOSE_MS = 5_000;

let cluster: RedisCluster;
let server: RedisServer;
let proxy: RunningProxy;
/** Connected all the time: what others do wrong must not reach it. */
let bystander: RawClient;

beforeAll(async () => {
  [cluster, server] = await Promise.all([startCluster(), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
  bystander = await RawClient.connect({ port: proxy.port });
  await bystander.call('SET', 'bystander', 'unharmed');
});

afterAll(async () => {
  bystander?.close();
  await proxy?.stop();
  await Promise.all([cluster?.stop(), server?.stop()]);
});

/** Sends bytes; gives everything that comes back until the other side closes, or null when it does not close. */
async function sendAndRead(port: number, bytes: Buffer | string): Promise<string | null> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(bytes);
  const closed = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), CLOSE_MS);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
  const ended = await closed;
  socket.destroy();
  return ended ? answer : null;
}

describe('a protocol error', () => {
  it.each([
    ['a wrong type byte before an argument', '*2\r\n:3\r\nGET\r\n$1\r\na\r\n'],
    ['a count that is not a number', '*x\r\n'],
    ['a count that is too large', '*2147483648\r\n$4\r\nPING\r\n'],
    ['a count that is cut by another byte', '*1x\r\n$4\r\nPING\r\n'],
    ['a negative length', '*2\r\n$3\r\nGET\r\n$-1\r\n'],
    ['a length that is too large', '*2\r\n$3\r\nGET\r\n$536870913\r\n'],
    ['a length beyond any integer', '*2\r\n$3\r\nGET\r\n$99999999999999999999999\r\n'],
    ['a length that is not a number', '*2\r\n$3\r\nGET\r\n$abc\r\na\r\n'],
    ['an inline command with unbalanced quotes', 'SET "a b\r\n'],
    ['an inline command without an end', 'x'.repeat(70_000)],
    ['a reply instead of a command', '*1\r\n+OK\r\n'],
    ['good commands before it', '*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*2\r\n!4\r\n'],
  ])('(%s) is answered as Redis does, and its connection is closed', async (_name, bytes) => {
    const [expected, found] = await Promise.all([sendAndRead(server.port, bytes), sendAndRead(proxy.port, bytes)]);
    expect(found).toBe(expected);
    expect(found).not.toBeNull();
    expect(await bystander.call('GET', 'bystander')).toBe('unharmed');
  });

  it('(an argument that does not end where it should) is not passed on', async () => {
    // Redis does not look at these two bytes; what comes next would be taken for a command of somebody else.
    const found = await sendAndRead(proxy.port, '*2\r\n$3\r\nGET\r\n$1\r\nabcdef\r\n*1\r\n$4\r\nPING\r\n');
    expect(found).toBe('-ERR Protocol error: invalid bulk length\r\n');
    expect(await bystander.call('GET', 'bystander')).toBe('unharmed');
  });

  it('comes after the replies to what was sent before it, and nothing is run after it', async () => {
    const bytes = Buffer.concat([
      command('SET', 'before', '1'),
      command('MGET', 'before', 'bystander'),
      Buffer.from('*1\r\n+\r\n'),
      command('SET', 'after', '1'),
    ]);
    expect(await sendAndRead(proxy.port, bytes)).toBe(
      "+OK\r\n*2\r\n$1\r\n1\r\n$8\r\nunharmed\r\n-ERR Protocol error: expected '$', got '+'\r\n",
    );
    expect(await bystander.call('EXISTS', 'after')).toBe(0);
  });

  it('is counted', async () => {
    const before = await proxy.stats('downstream_cx_protocol_error');
    await sendAndRead(proxy.port, '*1\r\n+\r\n');
    const after = await proxy.stats('downstream_cx_protocol_error');
    const name = 'redis.egress_redis.downstream_cx_protocol_error';
    expect(after[name]).toBe(before[name]! + 1);
  });
});

describe('what is no Redis client', () => {
  it('an HTTP request is not served, and its connection is closed', async () => {
    for (const request of ['GET / HTTP/1.1\r\nHost: example.org\r\n\r\n', 'POST / HTTP/1.1\r\n\r\nSET a b\r\n']) {
      const found = await sendAndRead(proxy.port, request);
      expect(found).not.toBeNull();
      expect(found?.replace(/^-ERR wrong number of arguments for 'get' command\r\n/, '')).toBe('');
    }
    await poll('it is logged', 2_000, () => proxy.stderr().includes('HTTP'));
  });

  it('a client that leaves in the middle of a command, or at once, leaves nothing behind', async () => {
    const whole = command('SET', 'half', 'x'.repeat(200_000));
    for (const cut of [0, 1, 3, 20, 40, 1000, 100_000, whole.length - 1]) {
      const client = await RawClient.connect({ port: proxy.port });
      if (cut > 0) await client.sendAll(whole.subarray(0, cut));
      client.close();
    }
    await poll('only the bystander is connected', 5_000, async () => {
      const stats = await proxy.stats('downstream_cx_active');
      return stats['redis.egress_redis.downstream_cx_active'] === 1;
    });
    expect(await bystander.call('EXISTS', 'half')).toBe(0);
  });

  it('a client that leaves with commands on their way disturbs nobody', async () => {
    for (let round = 0; round < 20; round++) {
      const client = await RawClient.connect({ port: proxy.port });
      const commands = Array.from({ length: 200 }, (_, i) => command('MGET', `left:${i}`, `x${i}`, 'bystander'));
      await client.sendAll(Buffer.concat(commands));
      client.close();
      expect(
        await bystander.pipeline([
          ['GET', 'bystander'],
          ['ECHO', `${round}`],
          ['MGET', 'bystander', 'none'],
        ]),
      ).toEqual(['unharmed', `${round}`, ['unharmed', null]]);
    }
  });
});

describe('a client that closes one side', () => {
  it('still gets the replies to all that it sent, and is closed then', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    const commands = Array.from({ length: 3000 }, (_, i) => command('MGET', 'bystander', `side:${i}`));
    client.socket.end(Buffer.concat([...commands, Buffer.from('*1\r\n$4\r\nPI')]));
    const replies = await client.raw(commands.length);
    expect(new Set(replies.map(String))).toEqual(new Set(['*2\r\n$8\r\nunharmed\r\n$-1\r\n']));
    await client.untilClosed();
  });

  it.each([
    ['after a protocol error', '*1\r\n+\r\n'],
    ['after QUIT', '*1\r\n$4\r\nQUIT\r\n'],
  ])('only for the proxy (%s) is not kept', async (_name, bytes) => {
    const before = await proxy.stats('downstream_cx_active');
    const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    let ended = false;
    socket.on('error', () => {});
    socket.on('end', () => {
      ended = true;
    });
    socket.resume();
    socket.write(bytes);
    await poll('the proxy has closed its side', 5_000, () => ended);
    await poll('the proxy has forgotten it', 5_000, async () => {
      const now = await proxy.stats('downstream_cx_active');
      return now['redis.egress_redis.downstream_cx_active'] === before['redis.egress_redis.downstream_cx_active'];
    });
    socket.destroy();
  });
});

describe('a command that is not served', () => {
  it.each([
    'SHUTDOWN',
    'CLUSTER NODES',
    'DEBUG SLEEP 0',
    'READONLY',
    'SCRIPT DEBUG YES',
    'ASKING',
    'REPLICAOF NO ONE',
    'MODULE LIST',
    'ACL SETUSER somebody',
  ])('(%s) is answered with an error that says so, and the connection goes on', async (line) => {
    const client = await RawClient.connect({ port: proxy.port });
    const [error, next] = await client.pipeline([line.split(' '), ['ECHO', 'next']]);
    expect((error as ErrorReply).message).toMatch(/^ERR unsupported command '[a-z|]+': it \S+/);
    expect(next).toBe('next');
    client.close();
  });

  it('because its keys are in several slots and it cannot be split is answered with CROSSSLOT', async () => {
    for (const line of [
      'RENAME one two',
      'SINTER one two three',
      'LMOVE one two LEFT RIGHT',
      'MSETNX one 1 two 2',
      'PFCOUNT one two',
      'BITOP AND one two',
      'ZUNIONSTORE one 2 two three',
      'EVAL return(1) 2 one two',
      'SORT one STORE two',
      'XREAD STREAMS one two 0 0',
    ]) {
      const reply = await bystander.ask(...line.split(' '));
      expect(reply, line).toBeInstanceOf(ErrorReply);
      expect((reply as ErrorReply).message, line).toMatch(/^CROSSSLOT /);
    }
  });
});

describe('50 clients at once, half of which send junk', () => {
  it('get only their own replies', async () => {
    const seed = Date.now() % 1_000_000;
    const random = seeded(seed);
    const junk = () => {
      const size = 1 + Math.floor(random() * 2000);
      const bytes = Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 256)));
      const starts = [
        '',
        '*',
        '*3\r\n',
        '*2\r\n$3\r\nGET\r\n$',
        '*1\r\n$4\r\n',
        '$5\r\n',
        'SET a ',
        '*2\r\n$4\r\nMGET\r\n$70000\r\n',
      ];
      return Buffer.concat([Buffer.from(starts[Math.floor(random() * starts.length)]!), bytes]);
    };
    const bad = async () => {
      for (let i = 0; i < 15; i++) {
        const socket = net.connect({ port: proxy.port, host: '127.0.0.1' });
        socket.on('error', () => {});
        socket.resume();
        await new Promise((resolve) => socket.write(junk(), resolve));
        if (random() < 0.5) await new Promise(setImmediate);
        socket.destroy();
      }
    };
    const good = async (name: number) => {
      const client = await RawClient.connect({ port: proxy.port });
      for (let i = 0; i < 100; i++) {
        const [a, b, own] = [`good:${name}:a`, `good:${name}:b`, `${name}/${i}`];
        const replies = await client.pipeline([
          ['SET', a, own],
          ['GET', a],
          ['MSET', a, own, b, `${own}!`],
          ['ECHO', own],
          ['MGET', b, a],
          ['LPUSH', a, 'x'],
          ['GET', b],
        ]);
        const wrongType = new ErrorReply('WRONGTYPE Operation against a key holding the wrong kind of value');
        expect(replies, `seed ${seed}`).toEqual(['OK', own, 'OK', own, [`${own}!`, own], wrongType, `${own}!`]);
      }
      client.close();
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? good(i) : bad())));
    expect(proxy.stderr()).not.toContain('fault');
  });
});

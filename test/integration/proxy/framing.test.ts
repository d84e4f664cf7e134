import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, decode, encode, seeded } from '../../support/resp.js';
import { DATA_FAMILIES } from '../conformance/cases/index.js';

const MEGABYTE = 1024 * 1024;
/** Pieces of the recorded traffic that are waited for before the next one is sent. */
const PIECES_MAX = 400;

let cluster: RedisCluster;
let server: RedisServer;
let proxy: RunningProxy;

beforeAll(async () => {
  [cluster, server] = await Promise.all([startCluster(), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses });
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all([cluster?.stop(), server?.stop()]);
});

/** A connection to the proxy, closed when `use` is done. */
async function withClient<T>(use: (client: RawClient) => Promise<T>, timeoutMs = 30_000): Promise<T> {
  const client = await RawClient.connect({ port: proxy.port, timeoutMs });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const emptied = async () => {
  await Promise.all([...cluster.nodes, server].map((node) => node.call('FLUSHALL')));
};

/** The conformance test's commands upon data, without those whose replies differ from one run to the next. */
const TRAFFIC = DATA_FAMILIES.flatMap(({ steps }) => steps)
  .filter(({ marks, text }) => marks.size === 0 && !text.includes('$'))
  .map(({ words }) => words);

describe('real traffic that is cut', () => {
  const recorded = Buffer.concat(TRAFFIC.map(encode));
  let expected: string[];

  beforeAll(async () => {
    const direct = await RawClient.connect({ port: server.port });
    await server.call('FLUSHALL');
    direct.send(recorded);
    expected = (await direct.raw(TRAFFIC.length)).map((reply) => reply.toString('latin1'));
    direct.close();
  });

  it('at every byte gives the same replies', async () => {
    await emptied();
    await withClient(async (client) => {
      for (let at = 0; at < recorded.length; at++) await client.sendAll(recorded.subarray(at, at + 1));
      expect((await client.raw(TRAFFIC.length)).map((reply) => reply.toString('latin1'))).toEqual(expected);
    });
  });

  it('at one place, with a pause there, gives the same replies wherever the place is', async () => {
    // A command of each kind: local, keyed, split over slots, an error, an inline one.
    const commands = [
      command('PING'),
      command('SET', 'cut', 'value'),
      command('MSET', 'a', '1', 'b', '2', 'c', '3'),
      command('MGET', 'a', 'b', 'c', 'cut'),
      command('BOGUS'),
      Buffer.from('GET cut\r\n'),
      command('DEL', 'a', 'b', 'c'),
    ];
    const stream = Buffer.concat(commands);
    const whole = '+PONG\r\n+OK\r\n+OK\r\n*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$5\r\nvalue\r\n';
    const rest = "-ERR unknown command 'BOGUS', with args beginning with: \r\n$5\r\nvalue\r\n:3\r\n";
    await withClient(async (client) => {
      for (let at = 1; at < stream.length; at++) {
        client.send(stream.subarray(0, at));
        // What a second connection is answered came after the first half was read.
        await withClient((other) => other.call('PING'));
        client.send(stream.subarray(at));
        const replies = await client.raw(commands.length);
        expect(Buffer.concat(replies).toString(), `cut at ${at}`).toBe(whole + rest);
      }
    });
  });

  it('at random places gives the same replies', async () => {
    const seed = Date.now() % 1_000_000;
    const random = seeded(seed);
    for (let round = 0; round < 5; round++) {
      await emptied();
      await withClient(async (client) => {
        let at = 0;
        for (let piece = 0; at < recorded.length; piece++) {
          const size = piece < PIECES_MAX ? 1 + Math.floor(random() ** 3 * 200) : recorded.length;
          await client.sendAll(recorded.subarray(at, at + size));
          // Lets the piece arrive by itself, most of the time.
          await new Promise(setImmediate);
          at += size;
        }
        const replies = (await client.raw(TRAFFIC.length)).map((reply) => reply.toString('latin1'));
        expect(replies, `seed ${seed}, round ${round}`).toEqual(expected);
      });
    }
  });
});

describe('inline commands', () => {
  it('are split and quoted as Redis does it', async () => {
    const direct = await RawClient.connect({ port: server.port });
    await emptied();
    await withClient(async (client) => {
      for (const line of [
        'PING\r\n',
        'PING\n',
        '  SET   inline    value  \r\n',
        'GET inline\r\n',
        '\r\n\r\nECHO "a \\x41\\n\\t\\" b"\r\n',
        "ECHO 'single \\' quoted \\n'\r\n",
        'ECHO ""\r\n',
        'MSET a 1 b 2 c 3\r\nMGET a b c\r\n',
        'BOGUS x y\r\n',
      ]) {
        direct.send(line);
        client.send(line);
        const count = line.startsWith('MSET') ? 2 : 1;
        const [expected, found] = await Promise.all([direct.raw(count), client.raw(count)]);
        expect(found.map(String), JSON.stringify(line)).toEqual(expected.map(String));
      }
    });
    direct.close();
  });
});

/** Megabytes by which the proxy's resident memory grows at most while `work` runs. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = proxy.rssBytes();
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, proxy.rssBytes());
  }, 10);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return (peak - before) / MEGABYTE;
}

describe('large traffic', () => {
  it('a pipeline of 100,000 commands on one connection is answered in order', async () => {
    const count = 100_000;
    await withClient(async (client) => {
      const pieces: Buffer[] = [];
      for (let i = 0; i < count / 2; i++) pieces.push(command('SET', `deep:${i}`, i), command('GET', `deep:${i}`));
      client.send(Buffer.concat(pieces));
      const replies = await client.raw(count);
      for (let i = 0; i < count; i++) {
        const index = String((i - 1) / 2);
        const expected = i % 2 === 0 ? '+OK\r\n' : `$${index.length}\r\n${index}\r\n`;
        if (String(replies[i]) !== expected) throw new Error(`reply ${i} is ${replies[i]}`);
      }
      expect(client.unread).toEqual({ replies: 0, bytes: 0 });
    });
  });

  it('a value of 100 MB goes in and comes out unchanged, while the proxy holds it no more than twice', async () => {
    const value = Buffer.alloc(100 * MEGABYTE);
    for (let at = 0; at < value.length; at += 4096) value.writeUInt32LE(at, at);
    const grown = await growthDuring(() =>
      withClient(async (client) => {
        expect(await client.call('SET', 'huge', value)).toBe('OK');
        const reply = await client.exchange('GET', 'huge');
        expect(reply.length).toBe(value.length + '$104857600\r\n'.length + 2);
        expect(reply.subarray(12, 12 + value.length).equals(value)).toBe(true);
        expect(await client.call('DEL', 'huge', 'other')).toBe(1);
      }),
    );
    expect(grown).toBeLessThan(250);
  });

  it('a value of 512 MB, the largest that Redis takes, goes in', async () => {
    const piece = Buffer.alloc(64 * MEGABYTE, 'z');
    const grown = await growthDuring(() =>
      withClient(async (client) => {
        const size = 512 * MEGABYTE;
        client.send(`*3\r\n$3\r\nSET\r\n$7\r\nhugest!\r\n$${size}\r\n`);
        for (let sent = 0; sent < size; sent += piece.length) await client.sendAll(piece);
        client.send('\r\n');
        expect(decode((await client.raw(1))[0]!)).toBe('OK');
        expect(await client.call('STRLEN', 'hugest!')).toBe(size);
        expect(await client.call('DEL', 'hugest!')).toBe(1);
      }, 60_000),
    );
    expect(grown).toBeLessThan(700);
  });

  it('a reply with 200,000 elements and an MGET of 10,000 keys come whole', async () => {
    await withClient(async (client) => {
      const members = Array.from({ length: 200_000 }, (_, i) => `member-${i}`);
      client.send(encode(['RPUSH', 'long', ...members]));
      expect(decode((await client.raw(1))[0]!)).toBe(members.length);
      expect(await client.call('LRANGE', 'long', 0, -1)).toEqual(members);
      const keys = Array.from({ length: 10_000 }, (_, i) => `wide:${i}`);
      expect(await client.call('MSET', ...keys.flatMap((key) => [key, `value of ${key}`]))).toBe('OK');
      expect(await client.call('MGET', ...keys)).toEqual(keys.map((key) => `value of ${key}`));
      expect(await client.call('DEL', ...keys)).toBe(keys.length);
    });
  });

  it('large values come back in the order of their keys when they are fetched across slots', async () => {
    const sizes = Array.from({ length: 24 }, (_, i) => (i % 4 === 0 ? 700_000 : 10 + i));
    await withClient(async (client) => {
      const keys = sizes.map((_, i) => `mixed:${i}`);
      for (const [i, key] of keys.entries()) await client.call('SET', key, Buffer.alloc(sizes[i]!, `${i},`));
      const values = (await client.call('MGET', ...keys)) as string[];
      values.forEach((value, i) => {
        expect(value === Buffer.alloc(sizes[i]!, `${i},`).toString()).toBe(true);
      });
    });
  });
});

describe('nested replies', () => {
  it.each([2, 3])('come unchanged from any depth in RESP%i', async (proto) => {
    const nest = 'local t = {ARGV[1]} for i = 1, tonumber(ARGV[2]) do t = {t, i} end return t';
    const direct = await RawClient.connect({ port: server.port });
    await direct.call('HELLO', proto);
    await withClient(async (client) => {
      await client.call('HELLO', proto);
      for (const depth of [1, 10, 100, 1000]) {
        const words = ['EVAL', nest, 1, 'nest', 'bottom', depth];
        const [expected, found] = [await direct.exchange(...words), await client.exchange(...words)];
        expect(found.equals(expected), `depth ${depth}`).toBe(true);
      }
    });
    direct.close();
  });

  it('with RESP3 maps, sets, doubles, booleans and nulls inside each other come unchanged', async () => {
    const script = `redis.setresp(3)
      return {map={list={1, {set={a=true, b=true}}}, inner={map={d={double=0.1}, t=true, f=false}}}}`;
    const direct = await RawClient.connect({ port: server.port });
    await direct.call('HELLO', 3);
    await withClient(async (client) => {
      await client.call('HELLO', 3);
      const [expected, found] = [
        await direct.ask('EVAL', script, 1, 'nest'),
        decode(await client.exchange('EVAL', script, 1, 'nest')),
      ];
      expect(found).toEqual(expected);
    });
    direct.close();
  });
});

describe('the proxy', () => {
  it('gives back the memory of large traffic and holds no client that has left', async () => {
    await poll('all clients are gone', 5_000, async () => {
      const stats = await proxy.stats('downstream_cx_active|upstream_rq_pending_active');
      return Object.values(stats).every((value) => value === 0);
    });
    expect(proxy.stderr()).not.toContain('fault');
  });
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, decode, ErrorReply } from '../../support/resp.js';

let cluster: RedisCluster;
let proxy: RunningProxy;
let single: RedisServer;
const open: RawClient[] = [];

beforeAll(async () => {
  [cluster, single] = await Promise.all([startCluster({ replicasPerMaster: 1 }), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses });
});

afterAll(async () => {
  for (const client of open) client.close();
  await proxy?.stop();
  await cluster?.stop();
  await single?.stop();
});

async function connect(port = proxy.port): Promise<RawClient> {
  const client = await RawClient.connect({ port });
  open.push(client);
  return client;
}

const untilLent = (count: number) =>
  poll(`${count} connections are lent`, 10_000, async () => {
    const stats = await proxy.stats('upstream_cx_dedicated_active');
    return (stats['cluster.main.upstream_cx_dedicated_active'] ?? 0) === count;
  });

async function slotOf(key: string): Promise<number> {
  return Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', key));
}

async function masterOf(key: string): Promise<RedisServer> {
  const slot = await slotOf(key);
  const shards = (await cluster.nodes[0]!.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const [, , [, port]] = shards.find(([from, to]) => from <= slot && slot <= to)!;
  return cluster.nodes.find((node) => node.port === port)!;
}

const message = (value: unknown) => (value instanceof ErrorReply ? value.message : value);

describe('a transaction', () => {
  it('needs no connection of its own', async () => {
    const client = await connect();
    const before = await proxy.stats('upstream_cx_dedicated_total');
    expect(
      await client.pipeline([['MULTI'], ['SET', '{t}1', 'a'], ['INCR', '{t}2'], ['PING'], ['GET', '{t}1'], ['EXEC']]),
    ).toEqual(['OK', 'QUEUED', 'QUEUED', 'QUEUED', 'QUEUED', ['OK', 1, 'PONG', 'a']]);
    expect(await proxy.stats('upstream_cx_dedicated_total')).toEqual(before);
  });

  it('with keys of several slots is refused', async () => {
    const client = await connect();
    const replies = await client.pipeline([['MULTI'], ['SET', 'a1', 'x'], ['SET', 'b2', 'y'], ['EXEC'], ['GET', 'a1']]);
    expect(replies.map(message)).toEqual([
      'OK',
      'QUEUED',
      "CROSSSLOT Keys in request don't hash to the same slot",
      'EXECABORT Transaction discarded because of previous errors.',
      null,
    ]);
    expect((await client.pipeline([['MULTI'], ['MSET', 'a1', 'x', 'b2', 'y'], ['DISCARD']])).map(message)).toEqual([
      'OK',
      "CROSSSLOT Keys in request don't hash to the same slot",
      'OK',
    ]);
  });

  it('refuses what one shard cannot answer for all', async () => {
    const client = await connect();
    for (const args of [['DBSIZE'], ['FLUSHALL'], ['KEYS', '*'], ['SCAN', '0'], ['SUBSCRIBE', 'x'], ['CLIENT', 'ID']]) {
      const [, refusal, exec] = await client.pipeline([['MULTI'], args, ['EXEC']]);
      expect(message(refusal), args[0]).toContain('inside MULTI: it concerns');
      expect(message(exec)).toContain('EXECABORT');
    }
  });

  it('says what its node says of itself', async () => {
    const client = await connect();
    const [, , , exec] = await client.pipeline([['MULTI'], ['SET', 'a1', 'x'], ['INFO', 'server'], ['EXEC']]);
    expect(exec).toEqual(['OK', expect.stringMatching(/^# Server\r\nredis_version:/)]);
  });

  it('does not block', async () => {
    const client = await connect();
    expect(
      await client.pipeline([
        ['MULTI'],
        ['BLPOP', '{nb}', '0'],
        ['XREAD', 'BLOCK', '0', 'STREAMS', '{nb}s', '$'],
        ['EXEC'],
      ]),
    ).toEqual(['OK', 'QUEUED', 'QUEUED', [null, null]]);
  });

  it('says why the server refused a command', async () => {
    const client = await connect();
    await client.call('SET', '{oom}', 'x');
    const master = await masterOf('{oom}');
    await master.call('CONFIG', 'SET', 'maxmemory', '1');
    try {
      const replies = await client.pipeline([['MULTI'], ['SET', '{oom}', 'y'], ['EXEC'], ['GET', '{oom}']]);
      expect(message(replies[2])).toMatch(/^EXECABORT Transaction discarded because of: OOM /);
      expect(replies[3]).toBe('x');
    } finally {
      await master.call('CONFIG', 'SET', 'maxmemory', '0');
    }
  });

  it('of 20,000 commands, and with large values, comes through', async () => {
    const client = await connect();
    const value = 'v'.repeat(3_000_000);
    const commands = Array.from({ length: 20_000 }, () => ['INCR', '{big}n']);
    const replies = await client.pipeline([
      ['MULTI'],
      ...commands,
      ['SET', '{big}v', value],
      ['GET', '{big}v'],
      ['EXEC'],
    ]);
    const results = replies.at(-1) as unknown[];
    expect(results.length).toBe(20_002);
    expect(results[19_999]).toBe(20_000);
    expect(results[20_001]).toBe(value);
  });
});

describe('WATCH', () => {
  it('aborts the transaction when a key has changed, and gives its connection back', async () => {
    const [client, other] = [await connect(), await connect()];
    for (const proto of [2, 3]) {
      await client.call('HELLO', proto);
      expect(
        await client.pipeline([
          ['SET', '{w}', '1'],
          ['WATCH', '{w}', '{w}2'],
          ['GET', '{w}'],
        ]),
      ).toEqual(['OK', 'OK', '1']);
      await untilLent(1);
      await other.call('SET', '{w}2', 'x');
      client.send(
        Buffer.concat([command('MULTI'), command('SET', '{w}', '2'), command('EXEC'), command('GET', '{w}')]),
      );
      const replies = (await client.raw(4)).map(String);
      expect(replies.slice(2)).toEqual([proto === 3 ? '_\r\n' : '*-1\r\n', '$1\r\n1\r\n']);
      expect(
        await client.pipeline([['WATCH', '{w}'], ['MULTI'], ['SET', '{w}', '3'], ['EXEC'], ['GET', '{w}']]),
      ).toEqual(['OK', 'OK', 'QUEUED', ['OK'], '3']);
      await untilLent(0);
    }
  });

  it.each([[['UNWATCH']], [['MULTI', 'DISCARD']], [['MULTI', 'EXEC']], [['RESET']]])(
    'is over with %s',
    async (ends) => {
      const [client, other] = [await connect(), await connect()];
      await client.call('WATCH', '{over}');
      await other.call('INCR', '{over}');
      await client.pipeline(ends.map((end) => [end]));
      await untilLent(0);
      expect((await client.pipeline([['MULTI'], ['ECHO', 'x'], ['SET', '{over}', '5'], ['EXEC']])).at(-1)).toEqual([
        'x',
        'OK',
      ]);
      // The connection that was given back watches nothing.
      const next = await connect();
      await next.call('WATCH', '{over}other');
      await other.call('INCR', '{over}');
      expect((await next.pipeline([['MULTI'], ['PING'], ['EXEC']])).at(-1)).toEqual(['PONG']);
    },
  );

  it('of a key in another slot is refused, and a client that leaves frees its connection', async () => {
    const client = await connect();
    expect(await client.call('WATCH', 'a1')).toBe('OK');
    expect(message(await client.ask('WATCH', 'b2'))).toContain('CROSSSLOT');
    expect(message(await client.ask('WATCH', 'a1', 'b2'))).toContain('CROSSSLOT');
    client.close();
    await untilLent(0);
  });

  it('never lets two increments of one value through', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect()));
    await clients[0]!.call('SET', '{cas}', '0');
    let done = 0;
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < 25; ) {
          const [, value] = await client.pipeline([
            ['WATCH', '{cas}'],
            ['GET', '{cas}'],
          ]);
          const replies = await client.pipeline([['MULTI'], ['SET', '{cas}', String(Number(value) + 1)], ['EXEC']]);
          if (replies[2] === null) continue;
          i++;
          done++;
        }
      }),
    );
    expect(done).toBe(200);
    expect(await clients[0]!.call('GET', '{cas}')).toBe('200');
  });

  it('aborts when the slot moves, or the master is replaced, after it', { timeout: 60_000 }, async () => {
    const key = '{wmove}';
    const client = await connect();
    await client.pipeline([
      ['SET', key, '1'],
      ['WATCH', key],
    ]);
    const from = await masterOf(key);
    const to = cluster.masters.find((node) => node !== from)!;
    await moveSlot({ slot: await slotOf(key), from, to, all: cluster.masters });
    expect((await client.pipeline([['MULTI'], ['SET', key, '2'], ['EXEC'], ['GET', key]])).slice(2)).toEqual([
      null,
      '1',
    ]);
    // The next one is right.
    expect((await client.pipeline([['WATCH', key], ['MULTI'], ['SET', key, '2'], ['EXEC']])).at(-1)).toEqual(['OK']);
    await client.call('WATCH', key);
    const replica = cluster.replicas[cluster.masters.indexOf(to)]!;
    await poll('the replica has it', 10_000, async () => (await client.ask('WAIT', 1, 100)) !== 0);
    await replica.call('CLUSTER', 'FAILOVER');
    await poll('it has taken over', 20_000, async () => ((await replica.call('ROLE')) as unknown[])[0] === 'master');
    expect((await client.pipeline([['MULTI'], ['SET', key, '3'], ['EXEC'], ['GET', key]])).slice(2)).toEqual([
      null,
      '2',
    ]);
    // Right after a failover some nodes still name the old master; until they agree, EXEC may say that it does not know.
    await poll('a transaction is executed', 10_000, async () => {
      const replies = await client.pipeline([['WATCH', key], ['MULTI'], ['SET', key, '3'], ['EXEC']]);
      return Array.isArray(replies.at(-1));
    });
    expect(await client.call('GET', key)).toBe('3');
    await untilLent(0);
  });
});

describe('a slot that moves', () => {
  it('is followed by transactions: each is executed once and whole', { timeout: 60_000 }, async () => {
    const tag = '{tmove}';
    const slot = await slotOf(tag);
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect()));
    const fillers = Array.from({ length: 200 }, (_, i) => `${tag}f${i}`);
    await clients[0]!.call('MSET', ...fillers.flatMap((key) => [key, 'x']));
    let on = true;
    const faults: string[] = [];
    const loops = clients.map(async (client, index) => {
      for (let n = 1; on; n += 2) {
        // One after the other: a node that has one of two keys turns the block away and serves what was pipelined behind it.
        const replies = [
          ...(await client.pipeline([['MULTI'], ['INCR', `${tag}a${index}`], ['INCR', `${tag}b${index}`], ['EXEC']])),
          ...(await client.pipeline([
            ['INCR', `${tag}a${index}`],
            ['INCR', `${tag}b${index}`],
          ])),
        ];
        const seen = JSON.stringify(replies.map(message));
        const due = JSON.stringify(['OK', 'QUEUED', 'QUEUED', [n, n], n + 1, n + 1]);
        if (seen !== due) {
          faults.push(`${seen} is not ${due}`);
          return n;
        }
      }
      return 0;
    });
    try {
      for (let round = 0; round < 4; round++) {
        const from = await ownerOf(slot);
        const to = (await masters()).find((node) => node !== from)!;
        await moveSlot({ slot, from, to, all: await masters(), batch: 10 });
      }
    } finally {
      on = false;
      await Promise.all(loops);
    }
    expect(faults).toEqual([]);
  });

  async function masters(): Promise<RedisServer[]> {
    const roles = await Promise.all(cluster.nodes.map(async (node) => ((await node.call('ROLE')) as unknown[])[0]));
    return cluster.nodes.filter((_, i) => roles[i] === 'master');
  }

  async function ownerOf(slot: number): Promise<RedisServer> {
    for (const node of await masters()) {
      const nodes = String(
        await node.call('CLUSTER', 'SHARDS').then(() => node.call('CLUSTER', 'COUNTKEYSINSLOT', slot)),
      );
      if (Number(nodes) > 0) return node;
    }
    throw new Error('nobody has the slot');
  }
});

describe('sequences of commands', () => {
  const key = fc.constantFrom('{f}a', '{f}b');
  const one = fc.oneof(
    { weight: 3, arbitrary: fc.constant(['MULTI']) },
    { weight: 3, arbitrary: fc.constant(['EXEC']) },
    { weight: 1, arbitrary: fc.constant(['DISCARD']) },
    { weight: 1, arbitrary: fc.constant(['UNWATCH']) },
    { weight: 2, arbitrary: key.map((k) => ['WATCH', k]) },
    { weight: 1, arbitrary: fc.constant(['WATCH']) },
    { weight: 2, arbitrary: key.map((k) => ['SET', k, '1']) },
    { weight: 2, arbitrary: key.map((k) => ['INCR', k]) },
    { weight: 1, arbitrary: key.map((k) => ['LPUSH', k, 'x']) },
    { weight: 1, arbitrary: key.map((k) => ['GET', k]) },
    { weight: 1, arbitrary: fc.constant(['DEL', '{f}a', '{f}b']) },
    { weight: 1, arbitrary: fc.constant(['GET']) },
    { weight: 1, arbitrary: fc.constant(['NOSUCH', 'x']) },
    { weight: 1, arbitrary: fc.constant(['PING']) },
    { weight: 1, arbitrary: fc.constant(['ECHO', 'e']) },
    { weight: 1, arbitrary: fc.constant(['EXEC', 'x']) },
    { weight: 1, arbitrary: fc.constant(['SAVE', 'x']) },
    { weight: 1, arbitrary: key.map((k) => ['EVAL', 'return redis.call("INCR", KEYS[1])', '1', k]) },
    { weight: 1, arbitrary: key.map((k) => ['BLPOP', k, '0.01']) },
    { weight: 1, arbitrary: fc.constant(['RESET']) },
    { weight: 1, arbitrary: fc.constant(['SELECT', '0']) },
  );

  it('are answered as one server answers them, byte for byte', { timeout: 80_000 }, async () => {
    const property = fc.asyncProperty(
      fc.array(fc.record({ who: fc.constantFrom(0, 0, 0, 1), args: one }), { minLength: 1, maxLength: 25 }),
      fc.boolean(),
      async (steps, pipelined) => {
        const answers: string[][] = [];
        for (const port of [single.port, proxy.port]) {
          const clients = [await RawClient.connect({ port }), await RawClient.connect({ port })];
          await clients[0]!.call('DEL', '{f}a', '{f}b');
          const replies: string[] = [];
          if (pipelined) {
            const mine = steps.filter(({ who }) => who === 0).map(({ args }) => command(...args));
            if (mine.length > 0) {
              clients[0]!.send(Buffer.concat(mine));
              replies.push(...(await clients[0]!.raw(mine.length)).map(String));
            }
          } else for (const { who, args } of steps) replies.push(String(await clients[who]!.exchange(...args)));
          answers.push(replies);
          for (const client of clients) client.close();
        }
        expect(answers[1]).toEqual(answers[0]);
      },
    );
    await fc.assert(property, { numRuns: 150 });
    await untilLent(0);
  });

  it('in RESP3, too', async () => {
    const replies: string[][] = [];
    for (const port of [single.port, proxy.port]) {
      const client = await connect(port);
      await client.call('HELLO', 3);
      const commands = [
        ['DEL', '{r}'],
        ['MULTI'],
        ['HSET', '{r}', 'f', 'v'],
        ['HGETALL', '{r}'],
        ['GET', '{r}'],
        ['GET', '{r}none'],
        ['EXEC'],
        ['WATCH', '{r}'],
        ['HSET', '{r}', 'f', 'w'],
        ['MULTI'],
        ['EXEC'],
        ['MULTI'],
        ['EXEC'],
      ];
      client.send(Buffer.concat(commands.map((args) => command(...args))));
      const raw = await client.raw(commands.length);
      for (const reply of raw) decode(reply);
      replies.push(raw.map(String));
    }
    expect(replies[1]).toEqual(replies[0]);
  });
});

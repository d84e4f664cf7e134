/** What an application that uses ioredis asks of a Redis endpoint. Each part throws where an answer is wrong. */
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { poll } from '../../../support/redis.js';
import type { Part, Session } from './session.js';

const EVENT_MS = 10_000;
const BATCH = 300;

async function connected(port: number): Promise<Redis> {
  const redis = new Redis({ port, lazyConnect: true, commandTimeout: 20_000, retryStrategy: () => null });
  await redis.connect();
  return redis;
}

const pubsub: Part<Redis> = async (redis, another) => {
  const subscriber = await another();
  const heard: string[] = [];
  subscriber.on('message', (channel: string, text: string) => heard.push(`${channel} ${text}`));
  subscriber.on('pmessage', (pattern: string, channel: string, text: string) =>
    heard.push(`${pattern} ${channel} ${text}`),
  );
  assert.equal(await subscriber.subscribe('io:a', 'io:b'), 2);
  assert.equal(await subscriber.psubscribe('io:[ab]'), 3);
  assert.equal(await redis.publish('io:a', 'one'), 2);
  await poll('both messages arrive', EVENT_MS, () => heard.length === 2);
  assert.deepEqual(heard.splice(0).sort(), ['io:[ab] io:a one', 'io:a one']);
  assert.equal(await subscriber.punsubscribe('io:[ab]'), 2);
  await Promise.all(Array.from({ length: BATCH }, (_, i) => redis.publish('io:b', String(i))));
  await poll('all messages arrive', EVENT_MS, () => heard.length === BATCH);
  assert.deepEqual(
    heard,
    Array.from({ length: BATCH }, (_, i) => `io:b ${i}`),
  );
  assert.deepEqual(await redis.pubsub('NUMSUB', 'io:a'), ['io:a', 1]);
  assert.equal(await subscriber.unsubscribe(), 0);
  assert.equal(await subscriber.set('io:after', 'subscription'), 'OK');
};

const transactions: Part<Redis> = async (redis, another) => {
  const replies = await redis.multi().set('{io}n', 1).incr('{io}n').get('{io}n').exec();
  assert.deepEqual(replies, [
    [null, 'OK'],
    [null, 2],
    [null, '2'],
  ]);
  await redis.watch('{io}n');
  await (await another()).set('{io}n', 'theirs');
  assert.equal(await redis.multi().set('{io}n', 'never').exec(), null);
  assert.equal(await redis.get('{io}n'), 'theirs');
  await redis.multi({ pipeline: false });
  assert.equal(await redis.set('{io}n', 'x'), 'QUEUED');
  assert.equal(await redis.discard(), 'OK');
  const [, failed] = (await redis.multi().set('{io}n', 'x').lpush('{io}n', 'y').exec()) ?? [];
  assert.match(String(failed?.[0]), /WRONGTYPE/);
};

const blocking: Part<Redis> = async (redis, another) => {
  assert.equal(await redis.blpop('{io}q', 0.05), null);
  const [first, second] = await Promise.all([another(), another()]);
  const popped = first.blpop('{io}none', '{io}q', 10);
  const moved = second.blmove('{io}from', '{io}to', 'LEFT', 'RIGHT', 10);
  await redis.rpush('{io}q', 'one', 'two');
  await redis.rpush('{io}from', 'moved');
  assert.deepEqual(await popped, ['{io}q', 'one']);
  assert.equal(await moved, 'moved');
  assert.deepEqual(await redis.brpop('{io}q', 10), ['{io}q', 'two']);
  const lowest = first.bzpopmin('{io}z', 10);
  await redis.zadd('{io}z', 1.5, 'm');
  assert.deepEqual(await lowest, ['{io}z', 'm', '1.5']);
};

const scan: Part<Redis> = async (redis) => {
  const names = Array.from({ length: 2000 }, (_, i) => `io:scan:${i}`);
  await redis.mset(new Map(names.map((name) => [name, '1'])));
  const found = new Set<string>();
  for await (const batch of redis.scanStream({ match: 'io:scan:*', count: 100 })) {
    for (const name of batch as string[]) found.add(name);
  }
  assert.deepEqual([...found].sort(), names.toSorted());
  assert.deepEqual((await redis.keys('io:scan:*')).sort(), names.toSorted());
  assert.equal(await redis.del(names), 2000);
};

const scripts: Part<Redis> = async (redis) => {
  const digest = (await redis.script('LOAD', 'return {KEYS[1], ARGV[1]}')) as string;
  assert.deepEqual(await redis.script('EXISTS', digest, '0'.repeat(40)), [1, 0]);
  for (let i = 0; i < 20; i++) assert.deepEqual(await redis.evalsha(digest, 1, `io:${i}`, 'arg'), [`io:${i}`, 'arg']);
  await assert.rejects(redis.evalsha('0'.repeat(40), 0), /NOSCRIPT/);
  const library = "#!lua name=iolib\nredis.register_function('ioget', function(k) return redis.call('GET', k[1]) end)";
  assert.equal(await redis.function('LOAD', 'REPLACE', library), 'iolib');
  for (let i = 0; i < 20; i++) assert.equal(await redis.fcall('ioget', 1, `io:none:${i}`), null);
  assert.equal(await redis.function('DELETE', 'iolib'), 'OK');
};

const streams: Part<Redis> = async (redis, another) => {
  for (let i = 0; i < 10; i++) await redis.xadd('io:stream', '*', 'n', i);
  assert.equal((await redis.xrange('io:stream', '-', '+')).length, 10);
  assert.equal(await redis.xgroup('CREATE', 'io:stream', 'workers', '0'), 'OK');
  const group = ['GROUP', 'workers', 'me', 'COUNT', 4, 'STREAMS', 'io:stream', '>'] as const;
  const read = (await redis.xreadgroup(...group)) as [string, [string, string[]][]][];
  assert.equal(read[0]![1].length, 4);
  assert.equal(await redis.xack('io:stream', 'workers', ...read[0]![1].map(([id]) => id)), 4);
  const late = (await another()).xread('BLOCK', 10_000, 'STREAMS', '{io}late', '$');
  // Nobody can tell when the wait has begun; entries come until one has been seen.
  let seen = false;
  const adding = (async () => {
    while (!seen) await redis.xadd('{io}late', '*', 'n', 'late');
  })();
  assert.deepEqual((await late)?.[0]?.[1][0]?.[1], ['n', 'late']);
  seen = true;
  await adding;
};

export const IOREDIS: Session<Redis> = {
  connect: connected,
  disconnect: (redis) => redis.disconnect(),
  parts: { pubsub, transactions, blocking, scan, scripts, streams },
};

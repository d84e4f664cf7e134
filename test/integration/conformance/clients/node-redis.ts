/** What an application that uses node-redis asks of a Redis endpoint. Each part throws where an answer is wrong. */
import assert from 'node:assert/strict';
import { createClient, WatchError } from 'redis';
import { poll } from '../../../support/redis.js';
import type { Part, Session } from './session.js';

const EVENT_MS = 10_000;
const BATCH = 300;

// One type for both versions of the protocol; what is compared has the same form in both.
const open = (port: number, RESP: 2 | 3) =>
  createClient({ socket: { port, connectTimeout: 10_000, reconnectStrategy: false }, RESP });
type Client = ReturnType<typeof open>;

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const pubsub: Part<Client> = async (redis, another) => {
  const subscriber = await another();
  const heard: string[] = [];
  const listen = (text: string, channel: string) => void heard.push(`${channel} ${text}`);
  await subscriber.subscribe(['nr:a', 'nr:b'], listen);
  await subscriber.pSubscribe('nr:[a]', listen);
  await subscriber.sSubscribe('nr:shard', listen);
  assert.equal(await redis.publish('nr:a', 'one'), 2);
  assert.equal(await redis.sPublish('nr:shard', 'two'), 1);
  await poll('three messages arrive', EVENT_MS, () => heard.length === 3);
  assert.deepEqual(heard.splice(0).sort(), ['nr:a one', 'nr:a one', 'nr:shard two']);
  await Promise.all(Array.from({ length: BATCH }, (_, i) => redis.publish('nr:b', String(i))));
  await poll('all messages arrive', EVENT_MS, () => heard.length === BATCH);
  assert.deepEqual(
    heard,
    Array.from({ length: BATCH }, (_, i) => `nr:b ${i}`),
  );
  assert.deepEqual((await redis.pubSubChannels('nr:*')).sort(), ['nr:a', 'nr:b']);
  await subscriber.unsubscribe();
  await subscriber.pUnsubscribe();
  await subscriber.sUnsubscribe();
  // In RESP2 node-redis leaves this reply as bytes.
  assert.equal(String(await subscriber.set('nr:after', 'subscription')), 'OK');
};

const transactions: Part<Client> = async (redis, another) => {
  assert.deepEqual(await redis.multi().set('{nr}n', '1').incr('{nr}n').get('{nr}n').exec(), ['OK', 2, '2']);
  await redis.watch('{nr}n');
  await (await another()).set('{nr}n', 'theirs');
  await assert.rejects(redis.multi().set('{nr}n', 'never').exec(), WatchError);
  await redis.watch('{nr}n');
  assert.deepEqual(await redis.multi().set('{nr}n', 'mine').exec(), ['OK']);
  assert.equal(await redis.get('{nr}n'), 'mine');
  await assert.rejects(redis.multi().lPush('{nr}n', 'x').exec());
};

const blocking: Part<Client> = async (redis, another) => {
  assert.equal(await redis.blPop('{nr}q', 0.05), null);
  const [first, second] = await Promise.all([another(), another()]);
  const popped = first.blPop(['{nr}none', '{nr}q'], 10);
  const moved = second.blMove('{nr}from', '{nr}to', 'LEFT', 'RIGHT', 10);
  await redis.rPush('{nr}q', ['one', 'two']);
  await redis.rPush('{nr}from', 'moved');
  assert.deepEqual(plain(await popped), { key: '{nr}q', element: 'one' });
  assert.equal(await moved, 'moved');
  const lowest = first.bzPopMin('{nr}z', 10);
  await redis.zAdd('{nr}z', { score: 1.5, value: 'm' });
  assert.deepEqual(plain(await lowest), { key: '{nr}z', value: 'm', score: 1.5 });
};

const scan: Part<Client> = async (redis) => {
  const names = Array.from({ length: 2000 }, (_, i) => `nr:scan:${i}`);
  await redis.mSet(Object.fromEntries(names.map((name) => [name, '1'])));
  const found = new Set<string>();
  for await (const batch of redis.scanIterator({ MATCH: 'nr:scan:*', COUNT: 100 })) {
    for (const name of batch) found.add(name);
  }
  assert.deepEqual([...found].sort(), names.toSorted());
  assert.equal(await redis.del(names), 2000);
};

const scripts: Part<Client> = async (redis) => {
  const digest = await redis.scriptLoad('return {KEYS[1], ARGV[1]}');
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(await redis.evalSha(digest, { keys: [`nr:${i}`], arguments: ['arg'] }), [`nr:${i}`, 'arg']);
  }
  await assert.rejects(redis.evalSha('0'.repeat(40)), /NOSCRIPT/);
  const library = "#!lua name=nrlib\nredis.register_function('nrget', function(k) return redis.call('GET', k[1]) end)";
  assert.equal(await redis.functionLoad(library, { REPLACE: true }), 'nrlib');
  for (let i = 0; i < 20; i++) {
    assert.equal(await redis.fCall('nrget', { keys: [`nr:none:${i}`], arguments: [] }), null);
  }
  assert.equal(await redis.functionDelete('nrlib'), 'OK');
};

const streams: Part<Client> = async (redis, another) => {
  for (let i = 0; i < 10; i++) await redis.xAdd('nr:stream', '*', { n: String(i) });
  const entries = (await redis.xRange('nr:stream', '-', '+')) ?? [];
  assert.equal(entries.length, 10);
  assert.equal(await redis.xGroupCreate('nr:stream', 'workers', '0'), 'OK');
  await redis.xReadGroup('workers', 'me', { key: 'nr:stream', id: '>' }, { COUNT: 4 });
  assert.equal(
    await redis.xAck(
      'nr:stream',
      'workers',
      entries.map(({ id }) => id),
    ),
    4,
  );
  const reader = await another();
  const late = reader.xRead({ key: '{nr}late', id: '0' }, { BLOCK: 10_000 });
  await redis.xAdd('{nr}late', '*', { n: 'late' });
  // An array in RESP2, an object in RESP3.
  assert.match(JSON.stringify(await late), /nr.*late.*"late"/);
};

export const nodeRedis = (RESP: 2 | 3): Session<Client> => ({
  async connect(port) {
    const client = open(port, RESP);
    // A lost connection is seen by the command that waits on it.
    client.on('error', () => {});
    await client.connect();
    return client;
  },
  disconnect: (client) => client.destroy(),
  parts: { pubsub, transactions, blocking, scan, scripts, streams },
});

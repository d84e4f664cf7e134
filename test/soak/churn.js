// A process of its own: clients of every kind that come and go, and check what they are told. Bounded in number and time.
//
//   node churn.js '{"port":…,"seconds":…,"username":…,"password":…}'
//
// Prints one JSON document: how often each kind did its work, what went wrong, and how it ended.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const { port, seconds, username, password } = JSON.parse(process.argv[2]);
const endMs = performance.now() + seconds * 1_000;
const WRONG_MAX = 20;
/** Between two doings of one actor, so that two cores are not all the generator's. */
const PAUSE_MS = 10;
const BIG_BYTES = [256 * 1024, 1024 * 1024, 4 * 1024 * 1024, 16 * 1024 * 1024];

const done = {};
const wrong = [];
let wrongs = 0;

const left = () => performance.now() < endMs;
const count = (what) => {
  done[what] = (done[what] ?? 0) + 1;
};
const complain = (what, detail) => {
  wrongs++;
  if (wrong.length < WRONG_MAX) wrong.push(`${what}: ${detail}`);
};

function client(options = {}) {
  const login = password === undefined ? {} : { username, password };
  const redis = new Redis({ port, ...login, maxRetriesPerRequest: 0, ...options });
  redis.on('error', (error) => complain('connection', error.message));
  return redis;
}

/** Does one thing again and again; what fails is counted and does not end it. */
async function actor(what, work) {
  while (left()) {
    try {
      await work();
      count(what);
    } catch (error) {
      complain(what, error.message);
    }
    await sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

function expectEqual(what, given, expected) {
  if (given !== expected) complain(what, `${String(given).slice(0, 80)} instead of ${String(expected).slice(0, 80)}`);
}

/** Connects, writes and reads back values that nobody else has, and leaves; sometimes without a word. */
function comesAndGoes(number) {
  let turn = 0;
  return async () => {
    const redis = client();
    const keys = Array.from({ length: 20 }, (_, i) => `soak:${number}:${i}`);
    const value = `${number}:${turn++}`;
    await redis.mset(keys.flatMap((key, i) => [key, `${value}:${i}`]));
    const values = await redis.mget(keys);
    for (const [i, each] of values.entries()) expectEqual('mget', each, `${value}:${i}`);
    const replies = await Promise.all(keys.map((key) => redis.get(key)));
    for (const [i, each] of replies.entries()) expectEqual('get', each, `${value}:${i}`);
    if (turn % 3 === 0) redis.stream?.destroy();
    redis.disconnect();
  };
}

function subscribes(number) {
  let turn = 0;
  return async () => {
    const [listener, speaker] = [client(), client()];
    const channel = `soak:channel:${number}:${turn % 5}`;
    const text = `${number}:${turn++}`;
    try {
      const heard = new Promise((resolve, reject) => {
        listener.once('message', (_channel, message) => resolve(message));
        setTimeout(() => reject(new Error('a message did not come within 10 s')), 10_000).unref();
      });
      await listener.subscribe(channel);
      await speaker.publish(channel, text);
      expectEqual('message', await heard, text);
      await listener.psubscribe(`soak:pattern:${turn % 7}:*`);
    } finally {
      listener.disconnect();
      speaker.disconnect();
    }
  };
}

function big(number) {
  const redis = client();
  let turn = 0;
  return async () => {
    const value = Buffer.alloc(BIG_BYTES[turn++ % BIG_BYTES.length], `${number}${turn}`);
    await redis.set(`soak:big:${number}`, value);
    const read = await redis.getBuffer(`soak:big:${number}`);
    if (read === null || !read.equals(value)) complain('big value', `${value.length} bytes came back different`);
    await redis.del(`soak:big:${number}`);
    await sleep(200);
  };
}

function transacts(number) {
  const redis = client();
  let expected = 0;
  return async () => {
    const key = `soak:tx:{${number}}`;
    if (expected === 0) await redis.del(key);
    await redis.watch(key);
    const results = await redis.multi().incr(key).get(key).exec();
    expected++;
    expectEqual('transaction', results?.[1]?.[1], String(expected));
  };
}

function blocks(number) {
  const [waiter, pusher] = [client(), client()];
  let turn = 0;
  return async () => {
    const key = `soak:list:${number}`;
    const waiting = waiter.blpop(key, 10);
    const text = String(turn++);
    await pusher.rpush(key, text);
    expectEqual('blpop', (await waiting)?.[1], text);
  };
}

function mistakes(number) {
  const redis = client();
  return async () => {
    const key = `soak:string:${number}`;
    await redis.set(key, 'x');
    const answers = await Promise.allSettled([
      redis.lpush(key, '1'),
      redis.call('NOSUCHCOMMAND', 'x'),
      redis.call('GET'),
      redis.call('SUBSTR'),
      redis.eval('return redis.error_reply("mine")', 1, key),
    ]);
    for (const answer of answers) if (answer.status !== 'rejected') complain('mistake', 'was not refused');
    // Its own connection is not harmed by them.
    expectEqual('after mistakes', await redis.get(key), 'x');
  };
}

/** Bytes that are not RESP, half a command, a connection that says nothing. */
function talksNonsense() {
  const phrases = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '*3\r\n$3\r\nSET\r\n$1', '*-5\r\n', '\x16\x03\x01\x02', ''];
  let turn = 0;
  return () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(phrases[turn++ % phrases.length] || '\r\n'));
      const end = () => {
        socket.destroy();
        resolve();
      };
      socket.on('error', end);
      socket.on('close', end);
      setTimeout(end, 50);
      socket.resume();
    });
}

function scans() {
  const redis = client();
  return async () => {
    let cursor = '0';
    let pages = 0;
    do {
      [cursor] = await redis.scan(cursor, 'COUNT', 500);
      pages++;
    } while (cursor !== '0' && pages < 10_000 && left());
  };
}

const actors = [
  ...Array.from({ length: 12 }, (_, i) => actor('come and go', comesAndGoes(i))),
  ...Array.from({ length: 6 }, (_, i) => actor('subscribe', subscribes(i))),
  ...Array.from({ length: 2 }, (_, i) => actor('big value', big(i))),
  ...Array.from({ length: 3 }, (_, i) => actor('transaction', transacts(i))),
  ...Array.from({ length: 3 }, (_, i) => actor('block', blocks(i))),
  ...Array.from({ length: 2 }, (_, i) => actor('mistakes', mistakes(i))),
  actor('nonsense', talksNonsense()),
  actor('scan', scans()),
];
await Promise.all(actors);
process.stdout.write(`${JSON.stringify({ done, wrongs, wrong })}\n`, () => process.exit(0));

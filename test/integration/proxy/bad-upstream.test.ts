import { afterEach, describe, expect, it } from 'vitest';
import { BadUpstream, bulk, rightAnswer, type Script } from '../../support/bad-upstream.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll } from '../../support/redis.js';
import { ErrorReply, type Value } from '../../support/resp.js';

const OP_TIMEOUT_MS = 1000;
/** Where each command is to be answered, however often it is sent again on a busy machine. */
const PATIENT_MS = 10_000;
const CLIENTS = 40;
const WAIT_MS = 10_000;
const FAILURES = ['upstream failure', 'upstream protocol error'];

let upstream: BadUpstream;
let proxy: RunningProxy;
const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy?.stop();
  await upstream?.stop();
});

async function start(script: Script, opTimeoutMs = OP_TIMEOUT_MS): Promise<void> {
  upstream = await BadUpstream.start(script);
  proxy = await startProxy({
    config: {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          endpoints: [upstream.address],
          connect_timeout: '2s',
          settings: { op_timeout: `${opTimeoutMs}ms` },
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

interface Seen {
  right: number;
  errors: Map<string, number>;
  /** What nobody should get. */
  wrong: string[];
  closed: number;
}

/** Many clients ask for keys of their own at once, in pipelines, and look at every reply. */
async function ask(rounds = 20, depth = 3): Promise<Seen> {
  const seen: Seen = { right: 0, errors: new Map(), wrong: [], closed: 0 };
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, number) => {
      const client = await connect();
      for (let round = 0; round < rounds; round++) {
        const keys = Array.from({ length: depth }, (_, i) => `key:${number}:${round}:${i}`);
        let replies: Value[];
        try {
          replies = await client.pipeline(keys.map((key) => ['GET', key]));
        } catch {
          // A reply that had begun could not be finished.
          seen.closed++;
          return;
        }
        keys.forEach((key, i) => {
          const reply = replies[i]!;
          if (reply === `value of ${key}`) seen.right++;
          else if (reply instanceof ErrorReply && FAILURES.includes(reply.message))
            seen.errors.set(reply.message, (seen.errors.get(reply.message) ?? 0) + 1);
          else seen.wrong.push(`${key}: ${JSON.stringify(text(reply))?.slice(0, 80)}`);
        });
      }
    }),
  );
  return seen;
}

/** Does something bad to each command whose key is that of a bad one, and answers the others. */
const badly =
  (isBad: (key: string) => boolean, bad: Script): Script =>
  (args, connection) => {
    if (isBad(args[1] ?? '')) bad(args, connection);
    else connection.answer();
  };

/** Every second round of every eighth client. */
const some = (key: string) => /^key:\d*[08]:\d*[13579]:1$/.test(key);

async function expectServed(): Promise<void> {
  const client = await connect();
  for (let i = 0; i < 5; i++) expect(await client.ask('GET', `fine:${i}`)).toBe(`value of fine:${i}`);
}

describe('an upstream that misbehaves while many clients wait', () => {
  it('answers garbage: who asked hears upstream protocol error, the others are served, the connection is replaced', async () => {
    await start(
      badly(some, (_args, { write }) => write('HTTP/1.1 400 Bad Request\r\n\r\n')),
      PATIENT_MS,
    );
    const seen = await ask();
    expect(seen.wrong).toEqual([]);
    expect(seen.closed).toBe(0);
    const bad = [...Array(CLIENTS).keys()].filter((number) => some(`key:${number}:1:1`)).length * 10;
    // Each bad one spoils its own command, which is not asked again, and no other: those only read.
    expect(Object.fromEntries(seen.errors)).toEqual({ 'upstream protocol error': bad });
    expect(upstream.connections).toBeGreaterThan(bad / 2);
    expect((await proxy.stats('protocol_error'))['cluster.main.upstream_cx_protocol_error']).toBe(bad);
    await expectServed();
  });

  it('answers garbage to writes: those behind it on the wire have an unknown outcome and are not repeated', async () => {
    await start((args, connection) => {
      if (args[1] === 'bad') connection.write('?\r\n');
      else if (args[0] === 'SET' && args[1] === 'behind') return;
      else connection.answer();
    });
    const client = await connect();
    const replies = await client.pipeline([
      ['SET', 'bad', '1'],
      ['SET', 'behind', '2'],
    ]);
    expect(replies.map(text)).toEqual(['upstream protocol error', 'upstream failure']);
    expect(upstream.seen.get('SET behind 2')).toBe(1);
    await expectServed();
  });

  it('closes in the middle of a reply: it is asked again, and nobody sees half of it', async () => {
    const closed = new Set<string>();
    await start(
      badly(some, (args, connection) => {
        const key = args[1]!;
        if (closed.has(key)) return connection.answer();
        closed.add(key);
        connection.write(rightAnswer(args).slice(0, -5));
        connection.socket.end();
      }),
    );
    const seen = await ask();
    expect(seen).toEqual({ right: CLIENTS * 20 * 3, errors: new Map(), wrong: [], closed: 0 });
    expect(closed.size).toBeGreaterThan(10);
    await expectServed();
  });

  it('closes in the middle of a large reply that has been passed on: that client is disconnected, no other is', async () => {
    await start((args, connection) => {
      if (args[1] !== 'large') return connection.answer();
      connection.write(`$1000000\r\n${'x'.repeat(300_000)}`);
      setTimeout(() => connection.socket.destroy(), 100);
    });
    const unlucky = await connect();
    unlucky.send('*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n');
    const seen = await ask(5);
    expect(seen.wrong).toEqual([]);
    expect(seen.closed).toBe(0);
    await unlucky.untilClosed();
    await expectServed();
  });

  it('stalls in the middle of a reply: upstream failure at the op_timeout, and the connection is replaced', async () => {
    let stalled = 0;
    await start((args, connection) => {
      if (stalled > 0 && connection.socket.listenerCount('stalled') > 0) return;
      if (args[1] !== 'stall') return connection.answer();
      stalled++;
      connection.socket.on('stalled', () => {});
      connection.write(`$100\r\nhalf`);
    });
    const client = await connect();
    const started = performance.now();
    expect(text(await client.ask('GET', 'stall'))).toBe('upstream failure');
    expect(performance.now() - started).toBeGreaterThanOrEqual(OP_TIMEOUT_MS - 50);
    expect(performance.now() - started).toBeLessThan(OP_TIMEOUT_MS * 2);
    await poll('the connection is replaced', WAIT_MS, async () => {
      return text(await client.ask('GET', 'after')) === 'value of after';
    });
    expect(upstream.connections).toBe(2);
  });

  it('answers late: what timed out is told so, and its reply is dropped when it comes', async () => {
    await start((args, connection) => {
      // Everything behind it waits for it, as on a real server.
      const { socket } = connection as unknown as { socket: { queue?: Promise<void> } };
      const before = socket.queue ?? Promise.resolve();
      socket.queue = before.then(async () => {
        if (args[1] === 'late') await new Promise((resolve) => setTimeout(resolve, OP_TIMEOUT_MS + 250));
        connection.answer();
      });
    });
    const late = await connect();
    const other = await connect();
    const waiting = late.ask('GET', 'late');
    await new Promise((resolve) => setTimeout(resolve, 600));
    // In flight behind it, and answered in time.
    const behind = other.ask('GET', 'behind');
    expect(text(await waiting)).toBe('upstream failure');
    expect(text(await late.ask('GET', 'next'))).toBe('value of next');
    expect(text(await behind)).toBe('value of behind');
    expect(upstream.connections).toBe(1);
    const seen = await ask(5);
    expect(seen).toEqual({ right: CLIENTS * 5 * 3, errors: new Map(), wrong: [], closed: 0 });
  });

  it('answers twice: the second reply belongs to nobody, and whoever asks next gets his own', async () => {
    await start((args, connection) => {
      connection.answer();
      if (args[1]?.startsWith('twice')) connection.answer();
    });
    const client = await connect();
    const other = await connect();
    for (let i = 0; i < 10; i++) {
      expect(text(await client.ask('GET', `twice:${i}`))).toBe(`value of twice:${i}`);
      // Right behind it: it may come to the proxy in the same moment as the second reply.
      expect(text(await other.ask('GET', `other:${i}`))).toBe(`value of other:${i}`);
    }
    const stats = await proxy.stats('protocol_error');
    expect(stats['cluster.main.upstream_cx_protocol_error']).toBe(10);
    expect(upstream.connections).toBe(11);
  });

  it('speaks without being asked: nothing of it reaches anybody', async () => {
    let open = true;
    await start((args, connection) => {
      connection.answer();
      if (args[1] !== 'speak') return;
      const timer = setInterval(() => {
        if (connection.socket.destroyed || !open) clearInterval(timer);
        else connection.write(bulk("somebody else's value"));
      }, 3);
    });
    const speaker = await connect();
    for (let i = 0; i < 5; i++) {
      expect(text(await speaker.ask('GET', 'speak'))).toBe('value of speak');
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    open = false;
    const seen = await ask(5);
    expect(seen.wrong).toEqual([]);
    expect((await proxy.stats('protocol_error'))['cluster.main.upstream_cx_protocol_error']).toBeGreaterThanOrEqual(5);
    await expectServed();
  });

  it('nests without end: the proxy takes no memory for depth, and ends it when it must', async () => {
    const deep = 200_000;
    await start((args, connection) => {
      if (args[1] === 'deep') connection.write(`${'*1\r\n'.repeat(deep)}:1\r\n`);
      else if (args[1] === 'impossible') connection.write('*99999999999999\r\n');
      else if (args[1] === 'endless') connection.write(`-${'x'.repeat(3 * 1024 * 1024)}`);
      else connection.answer();
    });
    const client = await connect();
    client.send('*2\r\n$3\r\nGET\r\n$4\r\ndeep\r\n');
    const other = await connect();
    expect(text(await other.ask('GET', 'a'))).toBe('value of a');
    expect(text(await other.ask('GET', 'impossible'))).toBe('upstream protocol error');
    expect(text(await other.ask('GET', 'endless'))).toBe('upstream protocol error');
    await expectServed();
  });

  it('answers of the wrong type to a split command are an error of that command only', async () => {
    await start((args, connection) => {
      if (args.includes('{a}wrong')) connection.write(':1\r\n');
      else if (args.includes('{b}wrong')) connection.write(`*7\r\n${':1\r\n'.repeat(7)}`);
      else if (args.includes('{c}wrong')) connection.write('+many\r\n');
      else connection.answer();
    });
    const client = await connect();
    const replies = await client.pipeline([
      ['MGET', '{a}wrong', '{x}1', '{y}2'],
      ['GET', 'fine'],
      ['MGET', '{b}wrong', '{x}1', '{y}2'],
      ['DEL', '{c}wrong', '{x}1', '{y}2'],
      ['MGET', '{x}1', '{y}2'],
    ]);
    expect(replies.map(text)).toEqual([
      'upstream protocol error',
      'value of fine',
      'upstream protocol error',
      'upstream protocol error',
      ['value of {x}1', 'value of {y}2'],
    ]);
    expect(upstream.connections).toBe(1);
  });
});

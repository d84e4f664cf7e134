/**
 * The real proxy between clients and upstreams that send what is nearly right: it answers an error or closes the connection;
 * it never ends, waits for ever, or gives one client what belongs to another.
 */
import net from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitInline } from '../../../src/proxy/engine/resp/inline.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  FRAME_INCOMPLETE,
  FRAME_MALFORMED,
  frameRequest,
  RequestFrame,
} from '../../../src/proxy/engine/resp/request-framer.js';
import { BadUpstream, bulk, slotsReply } from '../../support/bad-upstream.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command, decode, ErrorReply, ReplyCutter } from '../../support/resp.js';
import { bytesLike, cuts, piecesOf } from '../../unit/fuzz/mutate.js';
import { FUZZ_MS, must, SEED, target } from '../../unit/fuzz/target.js';

/** Each input takes real connections: some more time than for what is pure. */
const TRY_MS = 4 * FUZZ_MS;
const SHRINK_MS = 60_000;
const ANSWER_MS = 10_000;
const OP_TIMEOUT_MS = 300;
/** A client that speaks TLS begins with it; this port does not. */
const TLS_HANDSHAKE = 0x16;
/** Connections at once. */
const AT_ONCE = 8;

console.log(`Fuzzing the proxy with FORGE_SEED=${SEED}, ${TRY_MS} ms each`);

const COMMANDS = [
  Buffer.concat([command('ECHO', 'one'), command('GET', 'a'), command('ECHO', 'two')]),
  Buffer.concat([command('SET', 'a', 'x'.repeat(300)), command('MGET', 'a', 'b', 'c'), command('ECHO', 'three')]),
  Buffer.concat([command('INCR', 'n'), command('ECHO', 'z'.repeat(2_000)), command('LPUSH', 'a', '1')]),
  Buffer.concat([Buffer.from('PING\r\nECHO "four"\r\n'), command('PING'), Buffer.from('\r\n*0\r\n*-1\r\nECHO five\n')]),
  command('MSET', 'a', '1', 'b', '2', 'c', '3'),
];

/** What the client sent, as far as it is commands: the words of each, and whether anything else follows. */
function commandsIn(bytes: Buffer): { commands: string[][]; malformed: boolean } {
  const commands: string[][] = [];
  const frame = new RequestFrame();
  for (let at = 0; at < bytes.length; at = frame.end) {
    const verdict = frameRequest(bytes, at, bytes.length, frame, DEFAULT_LIMITS);
    if (verdict === FRAME_MALFORMED) return { commands, malformed: true };
    if (verdict === FRAME_INCOMPLETE) break;
    if (verdict !== FRAME_COMPLETE) continue;
    const [start = 0] = frame.starts;
    const split = frame.inline ? splitInline(bytes, start, frame.ends[0] as number) : undefined;
    if (split === null) return { commands, malformed: true };
    const words = split?.map((word) => Buffer.from(word).toString('latin1'));
    if (words?.length === 0) continue;
    commands.push(words ?? wordsOf(bytes, frame));
  }
  return { commands, malformed: false };
}

const wordsOf = (bytes: Buffer, { count, starts, ends }: RequestFrame) =>
  Array.from({ length: count }, (_, index) => bytes.toString('latin1', starts[index], ends[index]));

/** Sends the pieces, then nothing more; all that comes back until the other side closes. */
function exchange(port: number, pieces: readonly Buffer[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const came: Buffer[] = [];
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection was not closed; it had said ${Buffer.concat(came).toString('latin1')}`));
    }, ANSWER_MS);
    socket.on('data', (chunk) => came.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(came));
    });
    for (const piece of pieces) socket.write(piece);
    socket.end();
  });
}

async function converse(port: number, bytes: Buffer, at: readonly number[]): Promise<void> {
  const answer = await exchange(port, piecesOf(bytes, at));
  if (bytes[0] === TLS_HANDSHAKE) {
    must(answer.length === 0, 'who speaks TLS is not answered');
    return;
  }
  const cutter = new ReplyCutter();
  const replies = cutter.push(answer).map(decode);
  must(cutter.rest === 0, 'only whole replies come');
  const { commands, malformed } = commandsIn(bytes);
  must(
    replies.length === commands.length + (malformed ? 1 : 0),
    `${commands.length} commands, ${replies.length} replies`,
  );
  for (const [index, [name = '', word, ...more]] of commands.entries()) {
    if (name.toUpperCase() !== 'ECHO' || word === undefined || more.length > 0) continue;
    must(replies[index] === word, `ECHO ${JSON.stringify(word)} is answered with ${JSON.stringify(replies[index])}`);
  }
  if (malformed) must(replies.at(-1) instanceof ErrorReply, 'in the end it is told what is wrong');
}

async function alive(proxy: RunningProxy): Promise<void> {
  expect(await Promise.race([proxy.ended, Promise.resolve('it runs')])).toBe('it runs');
  expect(proxy.stderr()).not.toMatch(/fault|TypeError|RangeError/);
}

describe('clients that send what is nearly right', () => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  let bystander: RawClient;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 2 });
    proxy = await startProxy({ cluster: cluster.addresses, workers: 1 });
    bystander = await RawClient.connect({ port: proxy.port });
    await bystander.call('SET', 'bystander', 'unharmed');
  });
  afterAll(async () => {
    bystander?.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  it(
    'get one reply to each command, their own, and an error to the rest',
    async () => {
      const inputs = fc.array(fc.tuple(bytesLike(COMMANDS), cuts), { minLength: 1, maxLength: AT_ONCE });
      const each = target('clients', inputs, async (sent) => {
        await Promise.all([
          ...sent.map(([bytes, at]) => converse(proxy.port, bytes, at)),
          bystander.call('GET', 'bystander').then((value) => must(value === 'unharmed', 'a bystander is unharmed')),
        ]);
      });
      expect(await each.run({ seed: SEED, ms: TRY_MS })).toBeGreaterThan(0);
      await alive(proxy);
    },
    TRY_MS + SHRINK_MS,
  );
});

describe('upstreams that send what is nearly right', () => {
  let upstream: BadUpstream;
  let proxy: RunningProxy;
  /** By the number in the key. */
  let answers: readonly Buffer[] = [];

  beforeAll(async () => {
    upstream = await BadUpstream.start(([, key = ''], connection) => {
      const number = /^fuzz:(\d+)$/.exec(key)?.[1];
      if (number === undefined) connection.answer();
      else {
        connection.write(answers[Number(number)] ?? '');
        // What comes behind it, or completes it, could not be told from an answer to somebody else.
        connection.socket.end();
      }
    });
    const settings = { op_timeout: `${OP_TIMEOUT_MS}ms` };
    const rates = { cluster_refresh_rate: '100ms', cluster_refresh_timeout: '200ms' };
    proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: [upstream.address], connect_timeout: '200ms', settings, ...rates }],
      },
    });
  });
  afterAll(async () => {
    await proxy?.stop();
    await upstream?.stop();
  });

  const failures = /^(upstream |no upstream|CLUSTERDOWN|ERR )/;
  /** The value, an error, or the end of the connection: never anything of somebody else. */
  async function ask(key: string): Promise<void> {
    const client = await RawClient.connect({ port: proxy.port, timeoutMs: ANSWER_MS });
    try {
      const raw = await client.exchange('GET', key);
      if (key.startsWith('fuzz:')) return;
      const reply = decode(raw);
      const isFailure = reply instanceof ErrorReply && failures.test(reply.message);
      must(isFailure || reply === `value of ${key}`, `${key}: ${JSON.stringify(reply)}`);
    } catch (error) {
      must((error as Error).message.includes('the connection was closed'), String(error));
    } finally {
      client.close();
    }
  }
  const served = () =>
    poll('it serves again', ANSWER_MS, async () => {
      const client = await RawClient.connect({ port: proxy.port });
      try {
        return (await client.ask('GET', 'fine')) === 'value of fine';
      } finally {
        client.close();
      }
    });
  /** No more than one whole reply: a second one would answer the next command, and nobody could tell. */
  function isOne(bytes: Buffer): boolean {
    const cutter = new ReplyCutter();
    try {
      const replies = cutter.push(bytes).length;
      return replies === 0 || (replies === 1 && cutter.rest === 0);
    } catch {
      // Garbage behind a whole reply: that one has been taken before the rest is looked at.
      return !/^[$*%~>=!+:,(#_-]/.test(bytes.toString('latin1')) || !bytes.includes('\r\n');
    }
  }

  const REPLIES = [
    bulk('value'),
    bulk('x'.repeat(5_000)),
    '$-1\r\n',
    '+OK\r\n',
    '-ERR no\r\n',
    '*2\r\n$1\r\na\r\n*1\r\n:7\r\n',
    '%1\r\n+a\r\n~1\r\n,1.5\r\n',
  ];

  it(
    'are told from those that answer: whoever asks is told, and nobody gets what is not his',
    async () => {
      const inputs = fc.array(bytesLike(REPLIES).filter(isOne), { minLength: 1, maxLength: AT_ONCE });
      const each = target('upstreams', inputs, async (sent) => {
        answers = sent;
        const keys = sent.flatMap((_, index) => [`fuzz:${index}`, `fine:${index}`]);
        await Promise.all(keys.map(ask));
      });
      expect(await each.run({ seed: SEED, ms: TRY_MS })).toBeGreaterThan(0);
      await served();
      await alive(proxy);
    },
    TRY_MS + SHRINK_MS,
  );

  it(
    'are not believed when they describe a cluster that cannot be',
    async () => {
      const known = [slotsReply(upstream.port), slotsReply(1), slotsReply(upstream.port).replace('16383', '8191')];
      const each = target('topologies', bytesLike(known), async (topology) => {
        upstream.topology = topology;
        await Promise.all([ask('fine:1'), ask('fine:2')]);
      });
      try {
        expect(await each.run({ seed: SEED, ms: TRY_MS })).toBeGreaterThan(0);
      } finally {
        upstream.topology = undefined;
      }
      await served();
      await alive(proxy);
    },
    TRY_MS + SHRINK_MS,
  );
});

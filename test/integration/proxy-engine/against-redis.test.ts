import net from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeConnection } from '../../../src/cluster/node-connection.js';
import { Catalog } from '../../../src/proxy/engine/commands/catalog.js';
import { Route } from '../../../src/proxy/engine/commands/routes.js';
import { COMMANDS } from '../../../src/proxy/engine/commands/table.generated.js';
import { keySlot } from '../../../src/proxy/engine/hash/crc16.js';
import { splitInline } from '../../../src/proxy/engine/resp/inline.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  FRAME_EMPTY,
  FRAME_MALFORMED,
  frameRequest,
  RequestFrame,
} from '../../../src/proxy/engine/resp/request-framer.js';
import { argumentLists } from '../../support/key-specs.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { decodeValue, encodeCommandText } from '../../unit/proxy/engine/support/resp.js';

const REPLY_MS = 5000;

let server: RedisServer;
let connection: NodeConnection;
beforeAll(async () => {
  server = await startRedis({ cluster: true });
  connection = await server.connect();
});
afterAll(async () => {
  connection?.close();
  await server?.stop();
});

/** Sends bytes and a PING behind them to the server; returns the replies before that PING's, or before the end. */
function tell(bytes: Buffer): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.port, server.host);
    let input = Buffer.alloc(0);
    const timer = setTimeout(
      () => reject(new Error(`no answer to ${JSON.stringify(bytes.toString('latin1'))}`)),
      REPLY_MS,
    );
    const replies: string[] = [];
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(replies);
    };
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk]);
      for (let found = decodeValue(input, 0); found !== null; found = decodeValue(input, 0)) {
        input = input.subarray(found.end);
        if (found.value === '$the end') return done();
        replies.push(String(found.value));
      }
    });
    socket.on('close', done);
    socket.on('error', reject);
    socket.write(Buffer.concat([bytes, encodeCommandText(['PING', 'the end'])]));
  });
}

describe('what the engine takes for the first key', () => {
  const catalog = new Catalog(COMMANDS);
  const lists: string[][] = COMMANDS.flatMap((spec) => {
    const entry = catalog.entries.find(({ name }) => name === spec.name);
    return entry?.route === Route.refused ? [] : argumentLists(spec, spec.arity);
  });
  // What key specifications alone do not make.
  const more = [
    'SORT k BY nosort GET # LIMIT 0 5 STORE d',
    'GEORADIUS k 1 2 3 m STORE d',
    'XREAD COUNT 2 STREAMS a b 0 0',
    'XREADGROUP GROUP g c COUNT 1 NOACK STREAMS a b > >',
    'XREADGROUP GROUP streams c STREAMS a >',
    'ZUNIONSTORE d 2 a b WEIGHTS 1 2',
    'BITOP NOT d a',
    'EVAL return 2 a b c',
    'FCALL f 1 a b',
    'LMPOP 2 a b LEFT COUNT 2',
    'OBJECT ENCODING k',
    'MEMORY USAGE k SAMPLES 1',
    'XINFO STREAM k FULL',
    'XGROUP CREATE k g $ MKSTREAM',
    'SET k v EX 5 NX GET',
    'COPY a b DB 0 REPLACE',
  ].map((text) => text.split(' '));

  it('is the first that COMMAND GETKEYS names', async () => {
    const wrong: unknown[] = [];
    let compared = 0;
    for (const args of [...lists, ...more]) {
      const reply = await connection.call('COMMAND', 'GETKEYS', ...args).catch((error: Error) => error);
      // The table knows commands of newer servers, too.
      if (!Array.isArray(reply)) continue;
      compared++;
      const bytes = encodeCommandText(args);
      const frame = new RequestFrame();
      frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS);
      const command = catalog.find(bytes, frame.starts[0] as number, frame.ends[0] as number);
      const entry = command?.container
        ? catalog.findSubcommand(command, bytes, frame.starts[1] as number, frame.ends[1] as number)
        : command;
      const at = entry?.firstKey(bytes, frame) ?? -1;
      if (at <= 0 || args[at] !== reply[0]) wrong.push({ command: args.join(' '), at, server: reply });
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(800);
  });
});

describe('the slot of a key', () => {
  it('is the one that CLUSTER KEYSLOT gives', async () => {
    const keys = [
      '',
      '{}',
      '{}}',
      '{}{a}',
      'a{}b',
      '{{}}',
      '{a',
      'a}',
      'foo{bar}{zap}',
      ...['foo', 'bar', '123456789'],
    ];
    const braces = fc.string({ unit: fc.constantFrom('{', '}', 'a', 'b'), maxLength: 8 });
    for (const key of [...keys, ...fc.sample(braces, { numRuns: 300, seed: 7 })]) {
      const bytes = Buffer.from(key);
      expect(keySlot(bytes, 0, bytes.length), key).toBe(await connection.call('CLUSTER', 'KEYSLOT', key));
    }
  });
});

describe('malformed commands', () => {
  /** Besides these, the proxy takes fewer arguments than Redis, and looks at the two bytes behind each one. */
  const texts = [
    '*x\r\n',
    '*\r\n',
    '*--1\r\n',
    '*-\r\n',
    '*1x\r\n',
    '*01\r\n',
    '*-1\r\n',
    '*0\r\n',
    '*2147483648\r\n',
    '*99999999999999999999\r\n',
    '*1\r\n:1\r\n',
    '*1\r\nPING\r\n',
    '*1\r\n$\r\n',
    '*1\r\n$-1\r\n',
    '*1\r\n$x\r\n',
    '*1\r\n$1x\r\n',
    '*1\r\n$01\r\n',
    '*1\r\n$00\r\n\r\n',
    '*1\r\n$536870913\r\n',
    '*1\r\n$99999999999999999999\r\n',
    'PING "a\r\n',
    "PING 'a'b\r\n",
    '\r\n',
    '\n\n',
  ];

  it.each(texts)('are refused, or skipped, with the words of Redis: %j', async (text) => {
    const bytes = Buffer.from(text);
    const frame = new RequestFrame();
    const ours: string[] = [];
    for (let at = 0; at < bytes.length; at = frame.end) {
      const verdict = frameRequest(bytes, at, bytes.length, frame, DEFAULT_LIMITS);
      if (verdict === FRAME_EMPTY) continue;
      if (verdict === FRAME_MALFORMED) ours.push(`-ERR ${frame.error}`);
      else if (splitInline(bytes, frame.starts[0] as number, frame.ends[0] as number) === null) {
        ours.push('-ERR Protocol error: unbalanced quotes in request');
      } else expect(verdict).toBe(FRAME_COMPLETE);
      if (ours.length > 0) break;
    }
    expect(ours).toEqual(await tell(bytes));
  });

  it('of random bytes are refused when Redis refuses them', async () => {
    const unit = fc.constantFrom('*', '$', '-', '0', '1', '2', '3', '\r\n', '\r', '\n', 'x');
    const samples = fc.sample(fc.string({ unit, minLength: 1, maxLength: 12 }), { numRuns: 300, seed: 11 });
    const disagreements: unknown[] = [];
    for (const text of samples) {
      const bytes = Buffer.from(`*${text}`);
      const frame = new RequestFrame();
      const verdict = frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS);
      if (verdict !== FRAME_MALFORMED) continue;
      const [reply] = await tell(bytes);
      // Redis looks for a CR only, passes over the byte behind it, and trusts the two bytes after an argument.
      if (!reply?.startsWith('-ERR Protocol error: ') && !/ bulk length/.test(frame.error)) {
        disagreements.push({ text, ours: frame.error, theirs: reply });
      }
    }
    expect(disagreements).toEqual([]);
  });
});

/** Fills a server with a key of each type in each encoding that it has, small and large, that expire and that do not. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NodeConnection } from '../../../../src/cluster/node-connection.js';

type Command = readonly [string, ...(string | number | Buffer)[]];

/** The shared object of `module.c`, in a directory that the caller removes (`path.dirname`). */
export function buildRdbModule(): string {
  const source = fileURLToPath(new URL('./module.c', import.meta.url));
  const target = path.join(mkdtempSync(path.join(os.tmpdir(), 'forge-rdb-module-')), 'rdb.so');
  const { status, error, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-o', target, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`a C compiler is needed for this test: ${error?.message ?? stderr}`);
  return target;
}

/** Bytes that look random, always the same. */
function noise(count: number, seed: number): Buffer {
  const bytes = Buffer.alloc(count);
  let state = seed + 1;
  for (let at = 0; at < count; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}
const many = <T>(count: number, make: (i: number) => T[]): T[] =>
  Array.from({ length: count }, (_, i) => make(i)).flat();
const long = (name: string) => `${name} `.repeat(200);

/** The year 2100 and a little, and one that needs more than 32 bits of seconds. */
const LATER_MS = 4_102_444_800_123;
const MUCH_LATER_MS = 9_000_000_000_000_001;

const STRINGS: Command[] = [
  ...['', '0', '-1', '127', '128', '-32768', '32768', '-2147483648', '2147483648', '007', '1.5', 'x'.repeat(63)].map(
    (text, i): Command => ['SET', `string ${i}`, text],
  ),
  ...[64, 16_383, 16_384, 70_000, 200_000].flatMap((size): Command[] => [
    ['SET', `noise ${size}`, noise(size, size)],
    ['SET', `text ${size}`, 'all the same '.repeat(size / 13)],
  ]),
  // Keys that are numbers, compressed, or bytes of any kind.
  ...['7', '-129', '40000', '-2147483648', '99999999999', '+7', '{tag}key', 'a{}b', '{', ''].map(
    (key): Command => ['SET', key, `of ${key}`],
  ),
  ['SET', 'key '.repeat(100), 'a compressed key'],
  ['SET', 'k'.repeat(20_000), 'a long key'],
  ['SET', noise(300, 1), noise(10, 2)],
  ['PFADD', 'hyperloglog', ...many(500, (i) => [`member ${i}`])],
  ['SETBIT', 'bits', 100_000, 1],
];

const COLLECTIONS: Command[] = [
  ['RPUSH', 'list', 'a', '12', '70000', 'b'.repeat(60)],
  ['RPUSH', 'long list', ...many(3000, (i) => [`element number ${i}`])],
  ['RPUSH', 'list of large elements', noise(20_000, 3), 'small', 'large '.repeat(5_000), 'small again'],
  ['SADD', 'numbers', ...many(100, (i) => [i * 1000])],
  ['SADD', 'large numbers', ...many(100, (i) => [i * 100_000_000_000])],
  ['SADD', 'set', 'a', 'b', '12'],
  ['SADD', 'large set', ...many(700, (i) => [`member ${i}`])],
  ['SADD', 'set of large members', noise(100, 4), long('member'), '12'],
  ['ZADD', 'sorted', 1, 'one', '2.5', 'two and a half', '-inf', 'lowest'],
  ['ZADD', 'large sorted', ...many(300, (i) => [i / 3, `member ${i}`]), '+inf', 'highest'],
  ['HSET', 'hash', 'field', 'value', 'number', '12'],
  ['HSET', 'large hash', ...many(700, (i) => [`field ${i}`, i])],
  ['HSET', 'hash of large values', 'field', long('value'), long('field'), noise(100, 5)],
  ['GEOADD', 'places', 13.4, 52.5, 'Berlin', 2.35, 48.85, 'Paris'],
];

const STREAMS: Command[] = [
  ['XGROUP', 'CREATE', 'empty stream', 'group', '$', 'MKSTREAM'],
  ...many(400, (i): Command[] => [['XADD', 'stream', `${1_700_000_000_000 + i}-${i}`, 'field', `value ${i}`]]),
  ['XADD', 'stream', '1800000000000-18446744073709551615', 'another', 'x'.repeat(3_000)],
  ['XDEL', 'stream', '1700000000003-3'],
  ['XGROUP', 'CREATE', 'stream', 'first', '0'],
  ['XGROUP', 'CREATE', 'stream', 'second', '1700000000100-100'],
  ['XGROUP', 'CREATECONSUMER', 'stream', 'first', 'idle'],
  ['XREADGROUP', 'GROUP', 'first', 'one', 'COUNT', 150, 'STREAMS', 'stream', '>'],
  ['XREADGROUP', 'GROUP', 'first', 'two', 'COUNT', 20, 'STREAMS', 'stream', '>'],
  ['XREADGROUP', 'GROUP', 'second', 'one', 'COUNT', 3, 'STREAMS', 'stream', '>'],
  ['XACK', 'stream', 'first', '1700000000000-0', '1700000000007-7'],
];

const MODULE: Command[] = many(5, (i): Command[] => [['RDB.PUT', `module ${i}`, (i - 1) * 70_000]]);

/** Redis 8: values of a module that is part of it. */
const VECTORS: Command[] = [
  ['VADD', 'vector', 'VALUES', 3, 1, 2, 3, 'one', 'NOQUANT', 'SETATTR', '{"year":1984}'],
  ...['Q8', 'BIN'].flatMap((quantised) =>
    many(60, (i): Command[] => [
      ['VADD', `vectors ${quantised}`, 'VALUES', 4, i, i * i, 60 - i, i / 7, `element ${i}`, quantised],
    ]),
  ),
];

/** Of Redis 7.4 and Valkey 9. */
const FIELDS_THAT_EXPIRE: Command[] = [
  ['HSET', 'mortal', 'a', '1', 'b', '2', 'c', '3'],
  ['HPEXPIREAT', 'mortal', LATER_MS, 'FIELDS', 2, 'a', 'c'],
  ['HSET', 'large mortal', ...many(700, (i) => [`field ${i}`, i])],
  ...many(50, (i): Command[] => [
    ['HPEXPIREAT', 'large mortal', LATER_MS + i * 1_000_000, 'FIELDS', 1, `field ${i * 7}`],
  ]),
];

/** Redis 8.6: who has sent what into a stream. */
const PRODUCERS: Command[] = many(30, (i): Command[] => [
  ['XADD', 'stream of producers', 'IDMP', `producer ${i % 3}`, `message ${i % 20}`, '*', 'field', i],
]);
const NOTES: Command[] = [
  ['RDB.NOTE', 'hash', 70_000],
  ['RDB.NOTE', 'string 1', 5],
  ['RDB.NOTE', 'stream', 6],
];

const EXPIRY: Command[] = [
  ['PEXPIREAT', 'string 1', LATER_MS],
  ['PEXPIREAT', 'list', MUCH_LATER_MS],
  ['PEXPIREAT', 'large hash', LATER_MS + 1],
  ['PEXPIREAT', 'stream', LATER_MS],
];

const library = (name: string, comment: string) =>
  `#!lua name=${name}\n-- ${comment}\nredis.register_function('${name}', function() return '${name}' end)`;
/** Sources of the functions that {@link fill} loads, one of them long. */
export const LIBRARIES = [library('one', 'short'), library('two', long('a comment'))].sort();

/** What a server can have beyond what Redis 7.0 has. */
export interface Abilities {
  readonly fieldsThatExpire?: boolean;
  readonly vectors?: boolean;
  readonly producers?: boolean;
  readonly notes?: boolean;
  /** A server that is no cluster's. */
  readonly databases?: boolean;
}

/** @throws Error for what the server refuses */
export async function fill(node: NodeConnection, abilities: Abilities): Promise<void> {
  const commands: Command[] = [
    ...STRINGS,
    ...COLLECTIONS,
    ['CONFIG', 'SET', 'list-compress-depth', '1'],
    ['RPUSH', 'compressed list', ...many(3000, (i) => [`element number ${i}`])],
    ...STREAMS,
    ...MODULE,
    ...(abilities.fieldsThatExpire ? FIELDS_THAT_EXPIRE : []),
    ...(abilities.vectors ? VECTORS : []),
    ...(abilities.producers ? PRODUCERS : []),
    ...(abilities.notes ? NOTES : []),
    ...EXPIRY,
    ...LIBRARIES.map((source): Command => ['FUNCTION', 'LOAD', source]),
    ...(abilities.databases
      ? ([
          ['SELECT', '9'],
          ['SET', 'elsewhere', '1'],
          ['SELECT', '0'],
        ] as Command[])
      : []),
  ];
  const outcomes = await node.callAll(commands);
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'rejected') throw new Error(`${String(commands[i])?.slice(0, 80)}: ${outcome.reason}`);
  }
}

import { describe, expect, it } from 'vitest';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { Catalog, type CommandEntry } from '../../../../../src/proxy/engine/commands/catalog.js';
import { CommandFlag, KeyFlag } from '../../../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { Core } from '../../../../../src/proxy/engine/core/core.js';
import { DEFAULT_LIMITS, frameRequest, RequestFrame } from '../../../../../src/proxy/engine/resp/request-framer.js';
import { findKeys, KEYS } from '../../../../../src/proxy/engine/routing/keys.js';
import { REWRITTEN, rewriteKeys } from '../../../../../src/proxy/engine/routing/rewrite.js';
import type { Way } from '../../../../../src/proxy/engine/routing/routing.js';
import { argumentLists, keysByTable } from '../../../../support/key-specs.js';
import { command } from '../../../../support/resp.js';

const catalog = new Catalog(COMMANDS);

function frameOf(args: readonly string[]): { bytes: Buffer; frame: RequestFrame } {
  const bytes = Buffer.concat([Buffer.from('junk'), command(...args)]);
  const frame = new RequestFrame();
  frameRequest(bytes, 4, bytes.length, frame, DEFAULT_LIMITS);
  return { bytes, frame };
}

function keysOf(entry: CommandEntry, args: readonly string[]): string[] {
  const { bytes, frame } = frameOf(args);
  const count = findKeys(entry, bytes, frame);
  return Array.from(KEYS.at.slice(0, count)).map((at) => bytes.toString('latin1', frame.starts[at], frame.ends[at]));
}

const entryOf = (name: string) => catalog.entries.find((entry) => entry.name === name)!;

describe('all keys of a command', () => {
  it('are those that its specifications name, for every command of the table', () => {
    let checked = 0;
    for (const entry of catalog.entries) {
      for (const args of argumentLists(entry.spec, entry.arity)) {
        expect(keysOf(entry, args), args.join(' ')).toEqual(keysByTable(entry.spec, args));
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(500);
  });

  it.each([
    [
      ['SORT', 'a', 'BY', 'store', 'GET', 'store', 'LIMIT', '0', '1', 'ALPHA', 'STORE', 'b'],
      ['a', 'b'],
    ],
    [['SORT', 'a', 'STORE'], ['a']],
    [
      ['XREAD', 'COUNT', '1', 'STREAMS', 'a', 'b', '0', '0'],
      ['a', 'b'],
    ],
    [
      ['EVAL', 'return', '2', 'a', 'b', 'c'],
      ['a', 'b'],
    ],
    [['EVAL', 'return', '-1', 'a'], []],
    [['EVAL', 'return', 'x', 'a'], []],
    [
      ['EVAL', 'return', '9', 'a', 'b'],
      ['a', 'b'],
    ],
    [
      ['ZUNIONSTORE', 'd', '2', 'a', 'b', 'WEIGHTS', '1', '2'],
      ['d', 'a', 'b'],
    ],
    [
      ['MSET', 'a', '1', 'b', '2'],
      ['a', 'b'],
    ],
  ])('of %j are %j', (args, expected) => {
    expect(keysOf(entryOf(args[0]!.toLowerCase()), args).sort()).toEqual(expected.sort());
  });
});

describe('what a replica may serve', () => {
  it('reads, changes no key and does not wait', () => {
    for (const entry of catalog.entries.filter((each) => each.replicaSafe)) {
      expect(entry.spec.flags & CommandFlag.readonly, entry.name).toBeTruthy();
      expect(entry.spec.flags & (CommandFlag.write | CommandFlag.blocking), entry.name).toBe(0);
      for (const key of entry.spec.keys) expect(key.flags & (KeyFlag.RW | KeyFlag.OW | KeyFlag.RM)).toBe(0);
    }
    const safe = (name: string) => entryOf(name).replicaSafe;
    for (const name of ['get', 'mget', 'hgetall', 'zrange', 'sort_ro', 'eval_ro', 'fcall_ro', 'georadius_ro', 'ttl'])
      expect(safe(name), name).toBe(true);
    for (const name of [
      'set',
      'getex',
      'getdel',
      'sort',
      'pfcount',
      'eval',
      'fcall',
      'xread',
      'xreadgroup',
      'blpop',
      'georadius',
    ])
      expect(safe(name), name).toBe(false);
  });
});

describe('a command with other keys', () => {
  const core = { runtime: { allocate: (size: number) => Buffer.alloc(size) as Bytes } } as Core;
  /** Keys become longer or shorter. */
  const way = (change: (key: string) => string): Way =>
    ({
      lengthOf: (length: number) => change('x'.repeat(length)).length,
      write: (bytes: Buffer, start: number, end: number, out: Buffer, at: number) => {
        const text = change(bytes.toString('latin1', start, end));
        return at + out.write(text, at, 'latin1');
      },
    }) as unknown as Way;

  it.each([
    [(key: string) => `prefix:${key}`],
    [(key: string) => key.slice(1)],
    [(key: string) => key],
    [() => ''],
    [(key: string) => key.padEnd(100, '.')],
  ])('is that command, byte for byte', (change) => {
    for (const args of [
      ['GET', 'key'],
      ['ZUNIONSTORE', 'dest', '2', 'aa', 'bb', 'WEIGHTS', '1', '2'],
      ['MSET', 'a', '1', 'bbbbbbbbb', '', 'c', '\r\n'],
      ['OBJECT', 'ENCODING', 'k'],
      ['EVAL', 'script', '2', 'aa', 'bb', 'aa'],
    ]) {
      const { bytes, frame } = frameOf(args);
      const [name, sub] = args as [string, string];
      const entry = name === 'OBJECT' ? entryOf(`object|${sub.toLowerCase()}`) : entryOf(name.toLowerCase());
      const keys = KEYS.at.slice(0, findKeys(entry, bytes, frame)).sort();
      const out = rewriteKeys(
        core,
        bytes,
        4,
        frame,
        keys,
        Array.from(keys, () => way(change)),
      );
      const expected = args.map((arg, i) => (keys.includes(i) ? change(arg) : arg));
      expect(Buffer.from(out).toString('latin1')).toBe(command(...expected).toString('latin1'));
      expect(REWRITTEN.end).toBe(out.length);
      for (let i = 0; i < args.length; i++) {
        expect(Buffer.from(out).toString('latin1', REWRITTEN.starts[i], REWRITTEN.ends[i])).toBe(expected[i]);
      }
    }
  });
});

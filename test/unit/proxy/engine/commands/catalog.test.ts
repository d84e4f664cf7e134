import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../../../src/proxy/engine/commands/catalog.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  frameRequest,
  RequestFrame,
} from '../../../../../src/proxy/engine/resp/request-framer.js';
import { encodeCommandText } from '../support/resp.js';

const catalog = new Catalog(COMMANDS);
const names = COMMANDS.map(({ name }) => name);
const commands = names.filter((name) => !name.includes('|'));
const subcommands = names.filter((name) => name.includes('|'));

function find(name: string) {
  const bytes = Buffer.from(`..${name}..`, 'latin1');
  return catalog.find(bytes, 2, 2 + name.length);
}

function findSubcommand(container: string, name: string) {
  const entry = find(container);
  if (entry === null) throw new Error(`no ${container}`);
  const bytes = Buffer.from(`..${name}..`, 'latin1');
  return catalog.findSubcommand(entry, bytes, 2, 2 + name.length);
}

/** A word with its letters in any case. */
const anyCase = (word: string) =>
  fc
    .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
    .map((upper) => [...word].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join(''));

describe('the catalogue of commands', () => {
  it('finds every command by its name', () => {
    for (const name of commands) expect(find(name)?.name, name).toBe(name);
  });

  it('finds every subcommand of its container', () => {
    for (const name of subcommands) {
      const [container, sub] = name.split('|') as [string, string];
      expect(findSubcommand(container, sub)?.name, name).toBe(name);
    }
  });

  it('finds them in any case', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...commands).chain((name) => fc.tuple(fc.constant(name), anyCase(name))),
        ([name, written]) => {
          expect(find(written)?.name).toBe(name);
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...subcommands).chain((name) => fc.tuple(fc.constant(name), anyCase(name))),
        ([name, written]) => {
          const [container, sub] = written.split('|') as [string, string];
          expect(findSubcommand(container, sub)?.name).toBe(name);
        },
      ),
    );
  });

  it('finds nothing else', () => {
    const known = new Set(commands);
    const near = fc
      .tuple(
        fc.constantFrom(...names),
        fc.nat({ max: 20 }),
        fc.constantFrom('', 'x', '\0', ' ', '|', '\xe7', '@'),
        fc.nat({ max: 2 }),
      )
      .map(([name, at, insert, cut]) => name.slice(0, at) + insert + name.slice(at + cut));
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ unit: 'binary-ascii', maxLength: 200 })), (name) => {
        expect(find(name)?.name ?? null).toBe(known.has(name.toLowerCase()) ? name.toLowerCase() : null);
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no subcommand for a command of its own', () => {
    for (const name of subcommands) expect(find(name), name).toBeNull();
    expect(findSubcommand('client', 'no such')).toBeNull();
    expect(findSubcommand('client', 'x'.repeat(1000))).toBeNull();
    expect(findSubcommand('client', '')).toBeNull();
  });

  it('numbers its entries densely', () => {
    expect(catalog.entries.map(({ id }) => id)).toEqual(catalog.entries.map((_, i) => i));
  });

  it('repeats reads only', () => {
    const repeatable = (name: string) => find(name)?.repeatable;
    for (const name of ['get', 'mget', 'lrange', 'eval_ro', 'exists', 'touch'])
      expect(repeatable(name), name).toBe(true);
    for (const name of ['set', 'incr', 'eval', 'evalsha', 'fcall', 'getdel', 'getex', 'spop', 'del', 'xreadgroup']) {
      expect(repeatable(name), name).toBe(false);
    }
  });
});

describe('the first key', () => {
  function firstKey(...args: string[]): number | undefined {
    const bytes = encodeCommandText(args);
    const frame = new RequestFrame();
    expect(frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS)).toBe(FRAME_COMPLETE);
    const entry = find(args[0] as string);
    return (entry?.container ? findSubcommand(args[0] as string, args[1] as string) : entry)?.firstKey(bytes, frame);
  }

  it.each<[string, number]>([
    ['GET k', 1],
    ['BITOP AND dest a b', 2],
    ['OBJECT ENCODING k', 2],
    ['MEMORY USAGE k SAMPLES 5', 2],
    ['XINFO STREAM k', 2],
    ['XGROUP CREATE k g $', 2],
    ['EVAL script 2 a b arg', 3],
    ['EVAL script 0 arg', 0],
    ['EVAL script x arg', 0],
    ['EVAL script -1 arg', 0],
    ['FCALL f 1 k', 3],
    ['ZUNION 2 a b', 2],
    ['ZUNIONSTORE dest 2 a b', 1],
    ['LMPOP 1 k LEFT', 2],
    ['SINTERCARD 2 a b', 2],
    ['XREAD COUNT 2 STREAMS a b 0 0', 4],
    ['XREADGROUP GROUP g c STREAMS a >', 5],
    ['XREADGROUP GROUP streams c COUNT 1 STREAMS a >', 7],
    ['XREAD COUNT 2', 0],
    ['SORT k BY nosort', 1],
    ['GEORADIUS k 1 2 3 m STORE d', 1],
  ])('of %s is argument %i', (command, at) => {
    expect(firstKey(...command.split(' '))).toBe(at);
  });

  it('is never outside of the command, and never looked for with a throw', () => {
    const word = fc.constantFrom(
      'a',
      '1',
      '2',
      '-1',
      '99999999999999999999',
      '',
      'STREAMS',
      'COUNT',
      'GROUP',
      'STORE',
      'KEYS',
    );
    fc.assert(
      fc.property(fc.constantFrom(...catalog.entries), fc.array(word, { maxLength: 8 }), (entry, words) => {
        const args = [...entry.name.split('|'), ...words];
        const bytes = encodeCommandText(args);
        const frame = new RequestFrame();
        frameRequest(bytes, 0, bytes.length, frame, DEFAULT_LIMITS);
        const at = entry.firstKey(bytes, frame);
        expect(at).toBeGreaterThanOrEqual(-1);
        expect(at).toBeLessThan(args.length);
      }),
      { numRuns: 3000 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import {
  keyPositions,
  loosestArity,
  mergeCommands,
  parseCommands,
  renderTable,
} from '../../scripts/command-metadata.js';
import {
  ACL_CATEGORIES,
  CommandFlag,
  type CommandSpec,
  KeyFlag,
  Server,
} from '../../src/proxy/engine/commands/spec.js';
import { COMMANDS, GENERATED_FROM } from '../../src/proxy/engine/commands/table.generated.js';

const byName = new Map(COMMANDS.map((command) => [command.name, command]));

function command(name: string): CommandSpec {
  const found = byName.get(name);
  if (found === undefined) throw new Error(`${name} is not in the table`);
  return found;
}

const all = (values: Record<string, number>) => Object.values(values).reduce((set, bit) => set | bit, 0);

describe('the command table', () => {
  it('names every command once, in lower case, sorted', () => {
    const names = COMMANDS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual([...names].sort());
    expect(names.filter((name) => !/^[a-z0-9_-]+(\|[a-z0-9-]+)?$/.test(name))).toEqual([]);
    expect(names.length).toBeGreaterThan(400);
  });

  it('has an entry for the container of every subcommand, and a subcommand for every container', () => {
    const subcommands = COMMANDS.map(({ name }) => name.split('|')).filter((words) => words.length === 2);
    const containers = COMMANDS.filter(({ container }) => container).map(({ name }) => name);
    expect(new Set(subcommands.map(([name]) => name))).toEqual(new Set(containers));
  });

  it('uses only the bits that its types name', () => {
    for (const { name, flags, acl, keys, servers, arity } of COMMANDS) {
      expect(flags & ~all(CommandFlag), name).toBe(0);
      expect(acl & ~(2 ** ACL_CATEGORIES.length - 1), name).toBe(0);
      expect(servers & ~all(Server), name).toBe(0);
      expect(servers, name).not.toBe(0);
      expect(arity, name).not.toBe(0);
      for (const key of keys) expect(key.flags & ~all(KeyFlag), name).toBe(0);
    }
  });

  it('never calls a command both a write and a read', () => {
    const both = CommandFlag.write | CommandFlag.readonly;
    expect(COMMANDS.filter(({ flags }) => (flags & both) === both)).toEqual([]);
  });

  it('places keys after the command words, and the first one inside what the arity guarantees', () => {
    for (const { name, keys, arity } of COMMANDS) {
      const words = name.includes('|') ? 2 : 1;
      keys.forEach(({ begin }, i) => {
        if (begin.type !== 'index') return;
        expect(begin.index, name).toBeGreaterThanOrEqual(words);
        // Vector sets are registered by a module, which checks its arity itself.
        if (i === 0 && Math.abs(arity) > 1) expect(begin.index, name).toBeLessThan(Math.abs(arity));
      });
    }
  });

  it('knows the commands that a proxy gets wrong most easily', () => {
    expect(command('bitop').keys.map(({ begin }) => begin)).toEqual([
      { type: 'index', index: 2 },
      { type: 'index', index: 3 },
    ]);
    expect(command('zunionstore').keys[1]!.find).toEqual({ type: 'keynum', keynumidx: 0, firstkey: 1, keystep: 1 });
    expect(command('xread').keys[0]).toMatchObject({
      begin: { type: 'keyword', keyword: 'STREAMS', startfrom: 1 },
      find: { type: 'range', lastkey: -1, keystep: 1, limit: 2 },
    });
    for (const name of ['getset', 'getex', 'xadd', 'xdel', 'xtrim', 'xack', 'xclaim']) {
      expect(command(name).flags & CommandFlag.write, name).not.toBe(0);
    }
    expect(command('mget').request).toBe('multi_shard');
    expect(command('del')).toMatchObject({ request: 'multi_shard', response: 'agg_sum' });
  });

  it('lets through the arguments that only the newer servers accept', () => {
    expect(command('zrank').arity).toBe(-3);
    expect(command('script|debug').arity).toBe(-3);
  });

  it('says which servers know a command', () => {
    expect(command('get').servers).toBe(Server.redis7 | Server.redis8 | Server.valkey9);
    expect(command('hexpire').servers).toBe(Server.redis8 | Server.valkey9);
    expect(command('vadd').servers).toBe(Server.redis8);
    expect(command('cluster|migrateslots').servers).toBe(Server.valkey9);
    expect(Object.keys(GENERATED_FROM)).toEqual(Object.keys(Server));
  });
});

const range = { type: 'range', spec: { lastkey: 0, keystep: 1, limit: 0 } };
const keyAt = (index: number, flags = ['RO']) => ({
  flags,
  begin_search: { type: 'index', spec: { index } },
  find_keys: range,
});
const described = (name: string, arity: number, flags: string[], keys: unknown[] = [], tips: string[] = []) => [
  name,
  arity,
  flags,
  0,
  0,
  0,
  ['@fast'],
  tips,
  keys,
  [],
];

describe('merging the servers’ metadata', () => {
  it('reads RESP2 and RESP3 replies alike', () => {
    const flat = [
      'flags',
      ['RO'],
      'begin_search',
      ['type', 'index', 'spec', ['index', 1]],
      'find_keys',
      ['type', 'range', 'spec', ['lastkey', 0, 'keystep', 1, 'limit', 0]],
    ];
    const resp2 = parseCommands([described('GET', 2, ['readonly'], [flat])]);
    const resp3 = parseCommands([described('get', 2, ['readonly'], [keyAt(1)])]);
    expect(resp2).toEqual(resp3);
    expect(resp2.get('get')!.keys).toEqual([
      { flags: ['RO'], begin: { type: 'index', index: 1 }, find: { type: 'range', lastkey: 0, keystep: 1, limit: 0 } },
    ]);
  });

  it('takes the newest Redis’s word, then Valkey’s, and the loosest arity of all', () => {
    const [merged] = mergeCommands({
      redis7: parseCommands([described('x', 3, ['noscript'], [keyAt(1)], ['request_policy:all_nodes'])]),
      valkey9: parseCommands([described('x', -3, ['stale'], [keyAt(1, ['RW'])])]),
      redis8: parseCommands([described('x', 4, ['fast'], [keyAt(1, ['OW'])])]),
    });
    expect(merged).toMatchObject({ arity: -3, flags: ['fast'], request: '', servers: ['redis7', 'redis8', 'valkey9'] });
    expect(merged!.keys[0]!.flags).toEqual(['OW']);
  });

  it('refuses key positions that differ between servers', () => {
    const at = (index: number) => parseCommands([described('x', -3, [], [keyAt(index)])]);
    expect(() => mergeCommands({ redis7: at(1), redis8: at(2) })).toThrow(/x: key positions differ/);
  });

  it('finds the loosest arity', () => {
    expect(loosestArity([2, 2])).toBe(2);
    expect(loosestArity([-4, -3])).toBe(-3);
    expect(loosestArity([3, -4])).toBe(-3);
    expect(loosestArity([2, 3])).toBe(-2);
  });

  it('compares key positions whatever the order of their fields', () => {
    const a = [{ begin: { type: 'index', index: 1 }, find: { type: 'unknown' } }];
    const b = [{ begin: { index: 1, type: 'index' }, find: { type: 'unknown' } }];
    expect(keyPositions(a)).toBe(keyPositions(b));
  });

  it('renders one line per command', () => {
    const commands = mergeCommands({ redis7: parseCommands([described('get', 2, ['readonly'], [keyAt(1)])]) });
    expect(renderTable(commands, { redis7: '7.0.15' })).toContain(
      "\n  c('r7', 'get', 2, 'readonly', 'fast', { keys: [k('RO', 1)] }),\n",
    );
  });
});

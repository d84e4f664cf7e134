import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../../../src/proxy/engine/commands/catalog.js';
import { readCommands } from '../../../../../src/proxy/engine/commands/command-reply.js';
import { Route } from '../../../../../src/proxy/engine/commands/routes.js';
import { CommandFlag, KeyFlag } from '../../../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import type { Reply } from '../../../../../src/proxy/engine/resp/decode.js';
import { FakeCore } from '../support/fake-core.js';
import { encodeCommandText } from '../support/resp.js';

const keySpec: Reply = [
  'flags',
  ['RW', 'update'],
  'begin_search',
  ['type', 'index', 'spec', ['index', 2]],
  'find_keys',
  ['type', 'range', 'spec', ['lastkey', -1, 'keystep', 2, 'limit', 0]],
];
const entry = (name: string, more: Partial<Record<number, Reply>> = {}): Reply => {
  const fields: Reply[] = [
    name,
    -3,
    ['write', 'denyoom', 'unheard-of'],
    1,
    1,
    1,
    ['@write', '@slow'],
    [],
    [keySpec],
    [],
  ];
  for (const [at, value] of Object.entries(more)) fields[Number(at)] = value as Reply;
  return fields;
};
const find = (catalog: Catalog, name: string) => catalog.find(Buffer.from(name), 0, name.length);

describe('a reply to COMMAND', () => {
  it('becomes specifications', () => {
    const tips = ['request_policy:all_shards', 'response_policy:agg_sum', 'nondeterministic_output'];
    const [spec] = readCommands([entry('JSON.Set', { 7: tips })]);
    expect(spec).toMatchObject({
      name: 'json.set',
      arity: -3,
      flags: CommandFlag.write | CommandFlag.denyoom,
      request: 'all_shards',
      response: 'agg_sum',
      servers: 0,
      container: false,
      keys: [
        {
          flags: KeyFlag.RW | KeyFlag.update,
          begin: { type: 'index', index: 2 },
          find: { type: 'range', lastkey: -1, keystep: 2 },
        },
      ],
    });
  });

  it('has subcommands as commands of their own', () => {
    const below = [entry('box|get'), entry('box|set')];
    const specs = readCommands([entry('box', { 8: [], 9: below })]);
    expect(specs.map(({ name, container }) => [name, container])).toEqual([
      ['box', true],
      ['box|get', false],
      ['box|set', false],
    ]);
  });

  it('has first key, last key and step where a server gives no key specifications', () => {
    const [spec] = readCommands([['bf.mexists', -3, ['readonly'], 1, -2, 1]]);
    expect(spec?.keys).toEqual([
      {
        flags: KeyFlag.RO | KeyFlag.access,
        begin: { type: 'index', index: 1 },
        find: { type: 'range', lastkey: -2, keystep: 1, limit: 0 },
      },
    ]);
  });

  it('may be anything without harm', () => {
    const reply: fc.Arbitrary<Reply> = fc.letrec<{ reply: Reply }>((tie) => ({
      reply: fc.oneof(
        { maxDepth: 6 },
        fc.constant(null),
        fc.string({ maxLength: 8 }),
        fc.integer(),
        fc.constant(keySpec),
        fc.array(tie('reply'), { maxLength: 10 }),
      ),
    })).reply;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string(), reply, reply, reply, reply, reply, reply, reply, reply)),
        (entries) => {
          for (const spec of readCommands(entries as Reply)) expect(spec.arity).not.toBe(0);
        },
      ),
    );
  });
});

describe('the catalog', () => {
  it('learns what it does not have, up to its bound, with numbers behind the others', () => {
    const catalog = new Catalog(COMMANDS, 2);
    catalog.learn(readCommands([entry('get'), entry('json.set'), entry('bf.add'), entry('cms.query')]));
    expect(find(catalog, 'JSON.SET')?.id).toBe(COMMANDS.length);
    expect(find(catalog, 'bf.add')?.id).toBe(COMMANDS.length + 1);
    expect(find(catalog, 'cms.query')).toBeNull();
    expect(find(catalog, 'GET')?.id).toBeLessThan(COMMANDS.length);
  });

  it('routes by key what has keys, and refuses what administers', () => {
    const catalog = new Catalog([], 10);
    catalog.learn(
      readCommands([
        entry('a'),
        entry('b', { 8: [], 3: 0, 2: ['readonly'] }),
        entry('c', { 8: [], 3: 0, 2: ['admin'] }),
      ]),
    );
    expect(['a', 'b', 'c'].map((name) => find(catalog, name)?.route)).toEqual([
      Route.keyed,
      Route.broadcast,
      Route.admin,
    ]);
  });

  it('serves what it has learned while clients are connected', () => {
    const fake = new FakeCore(1);
    fake.turn();
    const { say } = fake.client();
    const bytes = encodeCommandText(['JSON.SET', '$', 'key', '1']);
    expect(say(bytes)).toMatch(/^-ERR unknown command 'JSON.SET'/);
    fake.core.catalog.learn(readCommands([entry('json.set')]));
    expect(say(bytes)).toBe('');
    expect(fake.upstream('node0:7000').socket.take()).toBe(bytes.toString('latin1'));
  });
});

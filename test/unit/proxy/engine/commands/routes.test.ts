import { describe, expect, it } from 'vitest';
import { Route, type RouteKind, routeOf } from '../../../../../src/proxy/engine/commands/routes.js';
import { ACL_CATEGORIES, CommandFlag, KeyFlag } from '../../../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';

const kinds = new Map(COMMANDS.map((spec) => [spec.name, routeOf(spec)]));
const named = (kind: RouteKind) => [...kinds].filter(([, route]) => route.kind === kind).map(([name]) => name);

/** These reach an upstream connection that all clients share. */
const SHARED: ReadonlySet<RouteKind> = new Set([
  Route.keyed,
  Route.splitValues,
  Route.splitOk,
  Route.splitSum,
  Route.anyMaster,
]);
const shared = COMMANDS.filter(({ name }) => SHARED.has(kinds.get(name)?.kind as RouteKind));

describe('the routes of commands', () => {
  it('give every command of the table one way, and a reason when it is refused', () => {
    const all = new Set<number>(Object.values(Route));
    for (const [name, { kind, refusal }] of kinds) {
      expect(all.has(kind), name).toBe(true);
      if (kind === Route.refused) expect(refusal, name).toMatch(/^\S.*\S$/);
    }
    expect(kinds.size).toBe(COMMANDS.length);
  });

  it('split exactly these over slots', () => {
    expect(named(Route.splitValues)).toEqual(['mget']);
    expect(named(Route.splitOk)).toEqual(['mset']);
    expect(named(Route.splitSum)).toEqual(['del', 'exists', 'touch', 'unlink']);
  });

  it('serve exactly these in the proxy', () => {
    const local = new Set(named(Route.local).map((name) => name.split('|')[0]));
    expect([...local].sort()).toEqual([
      'auth',
      'client',
      'echo',
      'hello',
      'monitor',
      'ping',
      'quit',
      'reset',
      'select',
      'time',
    ]);
  });

  it('send to any master only what names no key and changes nothing', () => {
    const only = named(Route.anyMaster);
    const words = only.filter(
      (name) => !name.endsWith('|help') && !COMMANDS.find((spec) => spec.name === name)?.container,
    );
    expect(words).toEqual([
      'acl|cat',
      'acl|genpass',
      'command|count',
      'command|docs',
      'command|getkeys',
      'command|getkeysandflags',
      'command|info',
      'command|list',
      'lolwut',
    ]);
    for (const spec of COMMANDS)
      if (only.includes(spec.name)) expect(spec.flags & CommandFlag.write, spec.name).toBe(0);
  });

  it('let nothing that blocks reach a shared connection', () => {
    expect(shared.filter(({ flags }) => flags & CommandFlag.blocking)).toEqual([]);
    const names = [
      'blpop',
      'brpop',
      'blmove',
      'brpoplpush',
      'blmpop',
      'bzpopmin',
      'bzpopmax',
      'bzmpop',
      'wait',
      'waitaof',
    ];
    for (const name of [...names, 'xread', 'xreadgroup']) expect(kinds.get(name)?.kind, name).toBe(Route.blocking);
  });

  it('let nothing that subscribes reach one', () => {
    const pubsub = 1 << ACL_CATEGORIES.indexOf('pubsub');
    expect(shared.filter(({ flags, acl }) => flags & CommandFlag.pubsub || acl & pubsub)).toEqual([]);
    for (const name of ['subscribe', 'psubscribe', 'ssubscribe', 'unsubscribe', 'punsubscribe', 'sunsubscribe']) {
      expect(kinds.get(name)?.kind, name).toBe(Route.pubsub);
    }
  });

  it('let nothing that changes a connection or a transaction reach one', () => {
    const names = shared.map(({ name }) => name);
    const state = ['auth', 'hello', 'select', 'quit', 'reset', 'asking', 'readonly', 'readwrite', 'monitor'];
    const transaction = ['multi', 'exec', 'discard', 'watch', 'unwatch'];
    const client = COMMANDS.map(({ name }) => name).filter((name) => name.startsWith('client'));
    for (const name of [...state, ...transaction, ...client, 'sync', 'psync', 'replconf'])
      expect(names, name).not.toContain(name);
    const bits = (1 << ACL_CATEGORIES.indexOf('transaction')) | (1 << ACL_CATEGORIES.indexOf('connection'));
    const of = shared.filter(({ acl, name }) => acl & bits && !name.startsWith('command'));
    expect(of.map(({ name }) => name)).toEqual([]);
  });

  it('let nothing that administers a node reach one', () => {
    expect(shared.filter(({ flags }) => flags & CommandFlag.admin).map(({ name }) => name)).toEqual([]);
    for (const name of ['shutdown', 'debug', 'cluster|reset', 'replicaof', 'migrate', 'acl|setuser', 'acl|list']) {
      expect(kinds.get(name)?.kind, name).toBe(Route.admin);
    }
    for (const name of ['flushall', 'flushdb', 'config|set', 'swapdb', 'info', 'dbsize']) {
      expect(kinds.get(name)?.kind, name).toBe(Route.broadcast);
    }
  });

  it('send by key only what names one', () => {
    for (const spec of shared) {
      if (kinds.get(spec.name)?.kind === Route.anyMaster) continue;
      expect(
        spec.keys.some(({ flags }) => (flags & KeyFlag.not_key) === 0),
        spec.name,
      ).toBe(true);
    }
  });
});

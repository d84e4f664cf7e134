import { describe, expect, it } from 'vitest';
import { Catalog } from '../../../../../src/proxy/engine/commands/catalog.js';
import { COMMANDS } from '../../../../../src/proxy/engine/commands/table.generated.js';
import { Core } from '../../../../../src/proxy/engine/core/core.js';
import { DEFAULT_WORKER_LIMITS } from '../../../../../src/proxy/engine/core/limits.js';
import { SlotMap } from '../../../../../src/proxy/engine/core/slot-map.js';
import { HOST_SLOTS, HostKeySpace, NO_HOST_SLOT, NoHosts } from '../../../../../src/proxy/engine/routing/host-table.js';
import { statsLength } from '../../../../../src/proxy/engine/stats.js';
import { command } from '../../../../support/resp.js';
import { FakeCore, PlainSocket } from '../support/fake-core.js';

/** A Maglev table of one entry: everything to one host. */
function only(host: number, slots: number): HostKeySpace {
  return new HostKeySpace(table([host]), slots);
}

/** A table of two entries or more: the key's hash decides. */
function table(hosts: readonly number[]) {
  const memory = new SharedArrayBuffer(hosts.length * 2);
  new Uint16Array(memory).set(hosts);
  return { type: 'maglev' as const, hashTags: true, hosts: memory };
}

function sharded() {
  const runtime = new FakeCore();
  const map = new SlotMap(SlotMap.create(HOST_SLOTS));
  const core = new Core(
    runtime,
    runtime.core.settings,
    DEFAULT_WORKER_LIMITS,
    [{ settings: runtime.core.router.settings, keySpace: new NoHosts(), slotMap: map }],
    new Float64Array(statsLength(COMMANDS.length)),
  );
  const socket = new PlainSocket();
  const client = core.accept(socket, '192.0.2.1:1');
  const say = (...args: string[]) => {
    core.beginEvent();
    client.received(command(...args) as never);
    runtime.turn();
    return socket.take();
  };
  const nodes = (...names: string[]) => names.map((host, index) => ({ index, host, port: 1 }));
  return { runtime, core, map, client, socket, say, nodes };
}

describe('a table of hosts', () => {
  it('has the hosts as its slots', () => {
    const space = new HostKeySpace(table([7, 2, 7]), 8);
    const seen = new Set(Array.from({ length: 50 }, (_, i) => space.slotOf(Buffer.from(`key${i}`), 0, 5)));
    expect([...seen].sort()).toEqual([2, 7]);
    expect(new NoHosts().slotOf()).toBe(NO_HOST_SLOT);
    expect(new SlotMap(SlotMap.create(HOST_SLOTS)).nodeOf(NO_HOST_SLOT)).toBe(0xffff);
  });

  it('lets commands that came before it wait, and routes them by their keys then', () => {
    const { runtime, core, map, socket, say, nodes } = sharded();
    expect(say('GET', 'a')).toBe('');
    map.replace(Uint16Array.of(0, 1));
    core.router.applyTable(only(1, 2), nodes('one', 'two'));
    runtime.turn();
    expect(runtime.upstream('two:1').socket.take()).toContain('GET');
    runtime.answer('two:1', '$1\r\nv\r\n');
    expect(socket.take()).toBe('$1\r\nv\r\n');
  });

  it('does not send what waited for a host that is gone to where only some of its keys are', () => {
    const { runtime, core, map, say, socket, nodes } = sharded();
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    expect(say('DEL', ...keys)).toBe('');
    map.replace(Uint16Array.of(0, 1));
    core.router.applyTable(new HostKeySpace(table([0, 1]), 2), nodes('one', 'two'));
    runtime.turn();
    expect(socket.take()).toBe('-no upstream host\r\n');
  });

  it('changes only when what was routed by the last one is answered', () => {
    const { runtime, core, map, say, socket, nodes } = sharded();
    map.replace(Uint16Array.of(0, 1));
    core.router.applyTable(only(0, 2), nodes('one', 'two'));
    runtime.turn();
    expect(say('SET', 'a', '1')).toBe('');
    expect(runtime.upstream('one:1').socket.take()).toContain('SET');
    core.router.applyTable(only(1, 2), nodes('one', 'two'));
    expect(say('SET', 'a', '2')).toBe('');
    expect(runtime.upstream('two:1').socket.take()).toBe('');
    runtime.answer('one:1', '+OK\r\n');
    expect(socket.take()).toBe('+OK\r\n');
    expect(runtime.upstream('two:1').socket.take()).toContain('SET');
  });

  it('shows the client an error of a server that thinks of slots', () => {
    const { runtime, core, map, say, socket, nodes } = sharded();
    map.replace(Uint16Array.of(0));
    core.router.applyTable(only(0, 1), nodes('one'));
    runtime.turn();
    say('GET', 'a');
    runtime.answer('one:1', '-MOVED 15495 elsewhere:1\r\n');
    expect(socket.take()).toBe('-MOVED 15495 elsewhere:1\r\n');
  });

  it('is asked for all keys only of commands that may have several', () => {
    const catalog = new Catalog(COMMANDS);
    expect(catalog.entries.find(({ name }) => name === 'rename')!.manyKeys).toBe(true);
    expect(catalog.entries.find(({ name }) => name === 'get')!.manyKeys).toBe(false);
    expect(catalog.entries.find(({ name }) => name === 'eval')!.manyKeys).toBe(true);
  });
});

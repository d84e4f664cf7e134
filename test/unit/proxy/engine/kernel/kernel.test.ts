import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keySlot } from '../../../../../src/proxy/engine/hash/crc16.js';
import { MURMUR2, murmur2 } from '../../../../../src/proxy/engine/hash/murmur2-64.js';
import { hashMany } from '../../../../../src/proxy/engine/kernel/hash-many.js';
import { KERNEL_SOURCE_SHA256 } from '../../../../../src/proxy/engine/kernel/kernel.generated.js';
import { KERNEL_KEYS_MAX, KERNEL_KEYS_MIN, kernelFor } from '../../../../../src/proxy/engine/kernel/kernel.js';
import { readText } from '../../../../support/repository.js';
import type { FakeCore } from '../support/fake-core.js';

const NODES = ['node0:7000', 'node1:7000', 'node2:7000'];

const command = (...args: string[]) =>
  `*${args.length}\r\n${args.map((arg) => `$${Buffer.byteLength(arg, 'latin1')}\r\n${arg}\r\n`).join('')}`;
const bulk = (value: string) => `$${value.length}\r\n${value}\r\n`;
const arrayOf = (values: readonly string[]) => `*${values.length}\r\n${values.join('')}`;
const slotOf = (key: string) => keySlot(Buffer.from(key, 'latin1'), 0, key.length);

/** The commands in bytes that hold nothing else, whatever their arguments hold. */
function commands(text: string): string[][] {
  const found: string[][] = [];
  let at = 0;
  const number = () => {
    const end = text.indexOf('\r\n', at);
    const value = Number(text.slice(at + 1, end));
    at = end + 2;
    return value;
  };
  while (at < text.length) {
    const args: string[] = [];
    for (let left = number(); left > 0; left--) {
      const size = number();
      args.push(text.slice(at, at + size));
      at += size + 2;
    }
    found.push(args);
  }
  return found;
}

describe('the kernel', () => {
  it('was generated from its source; if it was not, node scripts/generate-kernel.js brings it up to date', () => {
    const source = readText('scripts/kernel/kernel.ts');
    expect(KERNEL_SOURCE_SHA256).toBe(createHash('sha256').update(source).digest('hex'));
  });

  it('is there for many keys, and not for few or for more than it has room for', () => {
    expect(kernelFor(KERNEL_KEYS_MIN - 1)).toBeNull();
    expect(kernelFor(KERNEL_KEYS_MIN)).not.toBeNull();
    expect(kernelFor(KERNEL_KEYS_MAX)).not.toBeNull();
    expect(kernelFor(KERNEL_KEYS_MAX + 1)).toBeNull();
  });

  it('has a memory that holds all of its tables and windows, none of them in another', () => {
    const kernel = kernelFor(KERNEL_KEYS_MAX);
    if (kernel === null) throw new Error('there is none');
    expect(kernel.run.KEYS_MAX.value).toBe(KERNEL_KEYS_MAX);
    const { memory, INPUT, OUTPUT, STARTS, ENDS, HASHES, ...rest } = kernel.run as unknown as Record<string, object>;
    const address = (global: object | undefined) => (global as { value: number }).value;
    const tables = Object.entries(rest).filter(([name, it]) => 'value' in it && !/_(MAX|BYTES)$/.test(name));
    const ranges = [
      ...tables.map(([, table]) => [address(table), (KERNEL_KEYS_MAX + 1) * 4] as const),
      ...[STARTS, ENDS].map((table) => [address(table), (2 * KERNEL_KEYS_MAX + 1) * 4] as const),
      [address(HASHES), KERNEL_KEYS_MAX * 8] as const,
      ...[INPUT, OUTPUT].map((window) => [address(window), kernel.windowBytes] as const),
    ].sort(([a], [b]) => a - b);
    expect(tables.length).toBeGreaterThan(15);
    for (const [i, [start, size]] of ranges.entries()) {
      expect(start + size).toBeLessThanOrEqual(ranges[i + 1]?.[0] ?? kernel.memory.length);
    }
    expect((memory as unknown as { buffer: ArrayBuffer }).buffer.byteLength).toBe(kernel.memory.length);
  });

  it('hashes arguments as murmur2 does, wherever they stand', () => {
    const argument = fc.uint8Array({ minLength: 0, maxLength: 40 });
    const lists = fc.array(argument, { minLength: 3 * KERNEL_KEYS_MIN, maxLength: 400 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 2 }), fc.integer({ min: 0, max: 5 }), (list, step, first) => {
        const bytes = Buffer.concat(list.flatMap((each) => [Buffer.from('$1\r\n'), each]));
        const [starts, ends] = [new Int32Array(list.length), new Int32Array(list.length)];
        let at = 0;
        for (const [i, each] of list.entries()) {
          starts[i] = at + 4;
          at = ends[i] = at + 4 + each.length;
        }
        const count = Math.floor((list.length - first) / step);
        const hashes = hashMany(bytes, starts, ends, first, step, count) as Uint32Array;
        for (let i = 0; i < count; i++) {
          murmur2(bytes, starts[first + i * step] as number, ends[first + i * step] as number);
          expect([hashes[2 * i + 1], hashes[2 * i]]).toEqual([...MURMUR2]);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe.each([
  ['with the kernel', true],
  ['where there is no WebAssembly', false],
])('a command of many keys, %s', (_, there) => {
  let makeCore: (nodes: number) => FakeCore;
  let kernelLoads: () => boolean;

  beforeEach(async () => {
    vi.resetModules();
    if (!there) vi.stubGlobal('WebAssembly', undefined);
    const support = await import('../support/fake-core.js');
    const kernel = await import('../../../../../src/proxy/engine/kernel/kernel.js');
    makeCore = (nodes) => new support.FakeCore(nodes);
    kernelLoads = () => kernel.kernelFor(KERNEL_KEYS_MIN) !== null;
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  /** Keys of any bytes, some of them often, some with hash tags. */
  const key = fc.oneof(
    fc.integer({ min: 0, max: 3000 }).map((number) => `key:${number}`),
    fc.integer({ min: 0, max: 5 }).map((number) => `{tag${number}}`),
    fc.uint8Array({ minLength: 0, maxLength: 70 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  const keysOf = (least: number, most: number) => fc.array(key, { minLength: least, maxLength: most });

  it('goes to the nodes of its keys, in their order, and the values come back in theirs', () => {
    expect(kernelLoads()).toBe(there);
    const fake = makeCore(3);
    const { client, socket } = fake.client();
    fake.turn();
    const value = (name: string) => (name.length % 5 === 4 ? '$-1\r\n' : bulk(`${name}.`.repeat(name.length % 4)));
    fc.assert(
      fc.property(keysOf(60, 700), (keys) => {
        fake.core.beginEvent();
        client.received(Buffer.from(command('mGet', ...keys), 'latin1'));
        fake.turn();
        const asked: string[] = [];
        for (const node of NODES) {
          const parts = commands(fake.upstream(node).socket.take());
          for (const [name, ...some] of parts) {
            expect(name).toBe('mGet');
            expect(new Set(some.map(slotOf)).size).toBe(1);
            expect(some).toEqual(keys.filter((each) => slotOf(each) === slotOf(some[0] as string)));
            asked.push(...some);
          }
          fake.answer(node, parts.map(([, ...some]) => arrayOf(some.map(value))).join(''));
        }
        expect(asked.length).toBe(keys.length);
        expect(socket.take() === arrayOf(keys.map(value))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('takes values with their keys, the last one for each last', () => {
    const fake = makeCore(3);
    const { client, socket } = fake.client();
    fake.turn();
    fc.assert(
      fc.property(keysOf(70, 300), (keys) => {
        fake.core.beginEvent();
        const pairs = keys.flatMap((name, i) => [name, `${i}`.repeat(i % 30)]);
        client.received(Buffer.from(command('MSET', ...pairs), 'latin1'));
        fake.turn();
        const stored: [string, string][] = [];
        for (const node of NODES) {
          const parts = commands(fake.upstream(node).socket.take());
          for (const [, ...some] of parts) {
            for (let i = 0; i < some.length; i += 2) stored.push([some[i] as string, some[i + 1] as string]);
          }
          fake.answer(node, '+OK\r\n'.repeat(parts.length));
        }
        expect(new Map(stored)).toEqual(new Map(keys.map((name, i) => [name, `${i}`.repeat(i % 30)])));
        expect(stored.length).toBe(keys.length);
        expect(socket.take()).toBe('+OK\r\n');
      }),
      { numRuns: 40 },
    );
  });

  const names = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`);

  /** Asks for keys; `answer` says what a node says to one command. Returns what the client gets. */
  function ask(keys: readonly string[], answer: (asked: readonly string[], node: number) => string): string {
    const fake = makeCore(3);
    const { client, socket } = fake.client();
    fake.turn();
    fake.core.beginEvent();
    client.received(Buffer.from(command('MGET', ...keys)));
    fake.turn();
    for (const [number, node] of NODES.entries()) {
      const parts = commands(fake.upstream(node).socket.take());
      fake.answer(node, parts.map(([, ...some]) => answer(some, number)).join(''));
    }
    return socket.take();
  }

  it('serves more keys than the kernel has room for', () => {
    const keys = names(KERNEL_KEYS_MAX + 500);
    const got = ask(keys, (some) => arrayOf(some.map(bulk)));
    expect(got === arrayOf(keys.map(bulk))).toBe(true);
  });

  it('serves keys and values that are larger than the kernel has room for', () => {
    const keys = names(100).map((name) => name.padEnd(5000, '.'));
    const got = ask(keys, (some) => arrayOf(some.map((name) => bulk(name.slice(0, 3000)))));
    expect(got === arrayOf(keys.map((name) => bulk(name.slice(0, 3000))))).toBe(true);
  });

  it('passes on nulls of RESP3 and values of all sizes', () => {
    const keys = [...names(600), ...names(600).map((name) => `${name}{same}`)];
    const value = (name: string) => (name.startsWith('k5') ? '_\r\n' : bulk('v'.repeat(Number(/\d+/.exec(name)?.[0]))));
    const got = ask(keys, (some) => arrayOf(some.map(value)));
    expect(got === arrayOf(keys.map(value))).toBe(true);
  });

  it('tells the errors of some slots in the places of their keys', () => {
    const keys = names(500);
    const broken = (some: readonly string[]) => some.some((name) => name.endsWith('7'));
    const slots = new Set(keys.filter((name) => broken([name])).map(slotOf));
    const got = ask(keys, (some) => (broken(some) ? '-ERR no\r\n' : arrayOf(some.map(bulk))));
    expect(got === arrayOf(keys.map((name) => (slots.has(slotOf(name)) ? '-ERR no\r\n' : bulk(name))))).toBe(true);
  });

  it.each([
    ['fewer values than it was asked for', (some: readonly string[]) => arrayOf(some.slice(1).map(bulk))],
    ['more values', (some: readonly string[]) => arrayOf([...some, 'x'].map(bulk))],
    ['no array', () => '+OK\r\n'],
  ])('refuses what a node says with %s', (_, wrong) => {
    const got = ask(names(300), (some, node) => (node === 1 ? wrong(some) : arrayOf(some.map(bulk))));
    expect(got).toBe('-upstream protocol error\r\n');
  });
});

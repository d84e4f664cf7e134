import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ForgeError } from '../../../../src/errors.js';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { rollbackOperation } from '../../../../src/operations/run.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { failureOf, tablesOf } from '../../cluster/formed.js';
import { expectKeys, expectOwned, fill, type Home, idOf, moveSlots, slotOf, textOf } from './moving.js';

const KEYS = 3_000;
const RANGES = [{ start: 0, end: 999 }];

let cluster: RedisCluster;
let home: Home;
let from: RedisServer;
let to: RedisServer;

beforeEach(async () => {
  home = await temporaryHome();
  cluster = await startCluster({ masters: 3 });
  [from, to] = cluster.masters as [RedisServer, RedisServer];
  await fill(cluster.masters, KEYS);
});
afterEach(async () => {
  await Promise.all([cluster?.stop(), home?.remove()]);
});

type Options = Parameters<typeof moveSlots>[1];
const move = (options: Options = {}, setting: Partial<Parameters<typeof moveSlots>[0]> = {}) =>
  moveSlots(
    { seeds: cluster.addresses, home, from, to, ranges: RANGES, ...setting },
    { move: new MoveControl({ method: 'migrate' }), ...options },
  );

/** Keys of `key:N` in this slot. */
function someKey(first = 0, last = 999): { key: string; slot: number; i: number } {
  for (let i = 0; i < KEYS; i++) {
    const slot = slotOf(`key:${i}`);
    if (slot >= first && slot <= last) return { key: `key:${i}`, slot, i };
  }
  throw new Error('no key in these slots');
}

/** As a run that was killed leaves it. */
async function open(slot: number, source = from, target = to): Promise<void> {
  await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(source));
  await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(target));
}

async function setAsking(server: RedisServer, key: string, value: string): Promise<void> {
  const connection = await server.connect();
  await connection.callAll([['ASKING'], ['SET', key, value]]);
  connection.close();
}

async function expectNothingOpen(): Promise<void> {
  for (const table of await tablesOf(cluster.nodes)) {
    expect(table.openSlots).toEqual([]);
    expect(table.uncovered).toEqual([]);
  }
}

/** Calls `act` once, when the move has sent `count` MIGRATEs. */
function atBatch(count: number, act: () => unknown) {
  let batches = 0;
  return {
    mutation: async ({ command }: { command: readonly string[] }) => {
      if (command[0] === 'MIGRATE' && ++batches === count) await act();
    },
  };
}

describe('a move by MIGRATE', () => {
  it('takes over keys that the target has already with the same value', async () => {
    const { key, slot, i } = someKey();
    await open(slot);
    await setAsking(to, key, textOf(i));
    await move();
    await expectOwned(cluster.nodes, to, RANGES);
    await expectKeys(cluster.masters, KEYS);
  });

  it('stops at a key with two values, names it, and leaves its slot where it was', async () => {
    const { key, slot } = someKey();
    await open(slot);
    await setAsking(to, key, 'another value');
    const failure = await failureOf(move());
    expect(failure.message).toContain(JSON.stringify(key));
    expect(failure.message).toContain('different values');
    expect(failure.next.join(' ')).toContain('forge resume');
    await expectNothingOpen();
    expect((await tablesOf([cluster.masters[2] as RedisServer]))[0]?.ownerOf(slot)?.id).toBe(await idOf(from));
    const connection = await from.connect();
    expect(await connection.call('GET', key)).not.toBe('another value');
    connection.close();
  });

  it.each([
    ['owner', 'the one that clients see'],
    ['other', 'the one that they do not see'],
  ] as const)('keeps one of two values when it is told which: %s, %s', async (keep, _seen) => {
    const { key, slot, i } = someKey();
    await open(slot);
    await setAsking(to, key, 'another value');
    const refusal = await failureOf(move());
    expect(refusal.next.join(' ')).toContain(`--keep ${keep}`);
    // Now the slot is back at its owner, and the target holds the key unseen: first that has to be told.
    const again = await failureOf(move());
    expect(again.message).toContain('holds keys of slots');
    expect(again.next.join(' ')).toContain(`--keep ${keep}`);
    const result = await move({ move: new MoveControl({ method: 'migrate', keep }) });
    expect(result.status).toBe('done');
    await expectOwned(cluster.nodes, to, RANGES);
    expect(await to.call('GET', key)).toBe(keep === 'owner' ? textOf(i) : 'another value');
    expect(await from.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);
    if (keep === 'other') await to.call('SET', key, textOf(i));
    await expectKeys(cluster.masters, KEYS);
  });

  it.each(['owner', 'other'] as const)('keeps one of two values of a slot that is open: %s', async (keep) => {
    const { key, slot, i } = someKey();
    await open(slot);
    await setAsking(to, key, 'another value');
    expect((await move({ move: new MoveControl({ method: 'migrate', keep }) })).status).toBe('done');
    await expectOwned(cluster.nodes, to, RANGES);
    expect(await to.call('GET', key)).toBe(keep === 'owner' ? textOf(i) : 'another value');
  });

  it('refuses, before it opens anything, when the target holds keys of such slots', async () => {
    const { key, slot } = someKey();
    await to.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(from));
    await setAsking(to, key, 'stray');
    await to.call('CLUSTER', 'SETSLOT', slot, 'STABLE');
    const failure = await failureOf(move());
    expect(failure).toMatchObject({ kind: 'refused' });
    expect(failure.message).toContain(`holds keys of slots that ${from.address} serves: ${JSON.stringify(key)}`);
    await expectNothingOpen();
  });

  it('takes the slots in hand back when the target is full, and goes on when it has room', async () => {
    const info = String(await to.call('INFO', 'memory'));
    const used = Number(/used_memory:(\d+)/.exec(info)?.[1]);
    await to.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    const observer = atBatch(20, () => to.call('CONFIG', 'SET', 'maxmemory', used));
    const failure = await failureOf(move({ observer }));
    expect(failure.message).toContain('is full');
    await expectNothingOpen();
    await to.call('CONFIG', 'SET', 'maxmemory', 0);
    await expectKeys(cluster.masters, KEYS);
    expect((await move()).status).toBe('done');
    await expectOwned(cluster.nodes, to, RANGES);
    await expectKeys(cluster.masters, KEYS);
  });

  it('waits for a target that hangs for a moment, and finds out what had arrived', async () => {
    const observer = atBatch(10, async () => {
      await to.kill('SIGSTOP');
      setTimeout(() => void to.kill('SIGCONT'), 1_800);
    });
    expect((await move({ observer })).status).toBe('done');
    await expectOwned(cluster.nodes, to, RANGES);
    await expectKeys(cluster.masters, KEYS);
  });

  it('closes what a dead target has not touched, says what is open, and finishes when it is back', async () => {
    const observer = atBatch(10, () => to.kill('SIGSTOP'));
    const failure = await failureOf(move({ observer, waitMs: 1_500 }));
    expect(['partial', 'unreachable']).toContain(failure.kind);
    expect(failure.message).toContain('Still open');
    const open = (failure.details?.['open'] ?? []) as number[];
    const left = (await tablesOf([from]))[0]?.openSlots.map(({ slot }) => slot) ?? [];
    expect(left.sort()).toEqual([...open].sort());
    expect(open.length).toBeLessThan(64);
    await to.kill('SIGCONT');
    expect((await move()).status).toBe('done');
    await expectOwned(cluster.nodes, to, RANGES);
    await expectKeys(cluster.masters, KEYS);
  }, 60_000);

  it('finishes the slots in hand when it is interrupted, and the same command does the rest', async () => {
    const controller = new AbortController();
    const reason = Object.assign(new Error('stop'), { name: 'AbortError' });
    const observer = atBatch(15, () => controller.abort(reason));
    await expect(move({ observer, signal: controller.signal })).rejects.toBe(reason);
    await expectNothingOpen();
    const moved = (await tablesOf([to]))[0]?.myself?.slots ?? [];
    expect(moved[0]?.start).toBe(0);
    expect(moved[0]?.end).toBeLessThan(999);
    await expectKeys(cluster.masters, KEYS);
    expect((await move()).resumed).toBe(true);
    await expectOwned(cluster.nodes, to, RANGES);
    await expectKeys(cluster.masters, KEYS);
  });

  it('is undone from the middle: slots that are half on their way arrive first, then all go back', async () => {
    const observer = atBatch(15, () => {
      throw new Error('killed');
    });
    await expect(move({ observer })).rejects.toThrow('killed');
    const opened = (await tablesOf([from, to])).flatMap(({ openSlots }) => openSlots);
    expect(opened.length).toBeGreaterThan(0);
    const session = await openSession(cluster.addresses);
    const { listOperations } = await import('../../../../src/operations/journal/journal.js');
    const [operation] = await listOperations(home.paths.journals);
    const result = await rollbackOperation(
      { session, paths: home.paths, waitMs: 10_000 },
      operation?.operationId ?? '',
    );
    session.close();
    expect(result.status).toBe('rolled-back');
    await expectOwned(cluster.nodes, from, RANGES);
    await expectKeys(cluster.masters, KEYS);
  });

  it('tells of big keys before it moves them, and of its pace', async () => {
    const { slot } = someKey();
    const connection = await from.connect();
    const big = `{key:${someKey().i}}big`;
    expect(slotOf(big)).toBe(slot);
    await connection.call('SET', big, 'x'.repeat(300_000));
    connection.close();
    const events: { type: string; text?: string; slotsDone?: number; keys?: number }[] = [];
    const result = await move({
      move: new MoveControl({ method: 'migrate', bigKeyBytes: 200_000, keysPerSecond: 400 }),
      observer: { event: (_, event) => void events.push(event) },
    });
    const warning = events.find(({ type }) => type === 'warning');
    expect(warning?.text).toContain(JSON.stringify(big));
    const last = events.filter(({ type }) => type === 'progress').at(-1);
    expect(last).toMatchObject({ slotsDone: 1_000 });
    // 180 keys or so at 400 a second, the first batch for nothing.
    expect(result.elapsedMs).toBeGreaterThan(((last?.keys ?? 0) / 400) * 1_000 * 0.6);
    await to.call('DEL', big);
    await expectKeys(cluster.masters, KEYS);
  });

  it('reports a password that the target does not take', async () => {
    await to.call('CONFIG', 'SET', 'requirepass', 'only here');
    const failure: ForgeError = await failureOf(move());
    expect(['denied', 'unreachable']).toContain(failure.kind);
    for (const table of await tablesOf([from])) expect(table.openSlots).toEqual([]);
  });
});

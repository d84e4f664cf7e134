/** Shared by the tests of moving slots: real masters, keys in them, a plan of one move, and what a good end looks like. */
import { expect } from 'vitest';
import { eachSlot, formatSlots, hasSlot, type SlotRange } from '../../../../src/cluster/slots.js';
import type { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { createPlan, type Plan } from '../../../../src/operations/plan.js';
import { runPlan } from '../../../../src/operations/run.js';
import { keySlot } from '../../../../src/proxy/engine/hash/crc16.js';
import { openSession, type temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisServer } from '../../../support/redis.js';
import { tablesOf } from '../../cluster/formed.js';

const AGREE_MS = 10_000;
const CHUNK = 500;

export type Home = Awaited<ReturnType<typeof temporaryHome>>;

export async function idOf(server: RedisServer): Promise<string> {
  return String(await server.call('CLUSTER', 'MYID'));
}

/** A plan that moves these slots, and nothing else. */
export function movePlan(snapshot: ClusterSnapshot, sourceId: string, targetId: string, ranges: SlotRange[]): Plan {
  const ref = (id: string) => ({ id, address: snapshot.addressOf(id) });
  return createPlan(snapshot, {
    operation: 'test move',
    request: { ranges: formatSlots(ranges), source: sourceId, target: targetId },
    title: 'Move slots',
    tolerates: ['open-slots', 'disagreement'],
    steps: [{ action: { kind: 'migrate-slots', source: ref(sourceId), target: ref(targetId), ranges } }],
  });
}

export interface MoveTest {
  readonly seeds: string;
  readonly home: Home;
  readonly from: RedisServer;
  readonly to: RedisServer;
  readonly ranges: SlotRange[];
  readonly password?: string;
  /** Ids of source and target, for when one of them does not answer. */
  readonly ids?: readonly [string, string];
}

/** Runs the move as one operation, or goes on with it. */
export async function moveSlots(
  { seeds, home, from, to, ranges, password, ids }: MoveTest,
  options: Partial<Parameters<typeof runPlan>[0]> & Pick<Parameters<typeof openSession>[1] & object, 'connect'> = {},
) {
  const { connect, ...run } = options;
  const session = await openSession(seeds, { password, ...(connect === undefined ? {} : { connect }) });
  try {
    const [source, target] = ids ?? [await idOf(from), await idOf(to)];
    const plan = movePlan(session.snapshot, source, target, ranges);
    return await runPlan({ session, plan, paths: home.paths, waitMs: 10_000, confirm: async () => true, ...run });
  } finally {
    session.close();
  }
}

/** The slot of a key without a hash tag. */
export function slotOf(key: string): number {
  const bytes = Buffer.from(key);
  return keySlot(bytes, 0, bytes.length);
}

/** `count` keys with values that are told by their names, spread over all slots; each at the master that serves it. */
export async function fill(masters: readonly RedisServer[], count: number, bytes = 64): Promise<void> {
  const tables = await tablesOf(masters);
  await Promise.all(
    masters.map(async (master, index) => {
      const slots = tables[index]?.myself?.slots ?? [];
      const connection = await master.connect();
      let commands: [string, ...string[]][] = [];
      for (let i = 0; i < count; i++) {
        if (!hasSlot(slots, slotOf(`key:${i}`))) continue;
        commands.push(['SET', `key:${i}`, textOf(i, bytes)]);
        if (commands.length === CHUNK) await send();
      }
      await send();
      connection.close();
      async function send() {
        const outcomes = await connection.callAll(commands);
        expect(outcomes.every(({ status }) => status === 'fulfilled')).toBe(true);
        commands = [];
      }
    }),
  );
}

export const textOf = (i: number, bytes = 64) => `value of ${i} `.padEnd(bytes, 'x');

/** All keys are where the cluster says, once, and have their values. */
export async function expectKeys(masters: readonly RedisServer[], count: number, bytes = 64): Promise<void> {
  const tables = await tablesOf(masters);
  let found = 0;
  await Promise.all(
    masters.map(async (master, index) => {
      const slots = tables[index]?.myself?.slots ?? [];
      const connection = await master.connect();
      const mine = Array.from({ length: count }, (_, i) => i).filter((i) => hasSlot(slots, slotOf(`key:${i}`)));
      const outcomes = await connection.callAll(mine.map((i) => ['GET', `key:${i}`]));
      for (const [place, outcome] of outcomes.entries()) {
        expect(outcome).toEqual({ status: 'fulfilled', value: textOf(mine[place] as number, bytes) });
      }
      found += mine.length;
      connection.close();
    }),
  );
  expect(found).toBe(count);
  const sizes = await Promise.all(masters.map((master) => master.call('DBSIZE')));
  expect(sizes.reduce((sum: number, size) => sum + Number(size), 0)).toBe(count);
}

/** Every node says that `owner` serves the ranges, all slots are served, and none is open. */
export async function expectOwned(
  nodes: readonly RedisServer[],
  owner: RedisServer,
  ranges: readonly SlotRange[],
): Promise<void> {
  const id = await idOf(owner);
  await poll('the nodes agree', AGREE_MS, async () => {
    const tables = await tablesOf(nodes);
    return new Set(tables.map(({ signature }) => signature)).size === 1;
  });
  for (const table of await tablesOf(nodes)) {
    expect(table.uncovered).toEqual([]);
    expect(table.openSlots).toEqual([]);
    for (const slot of eachSlot(ranges)) expect(table.ownerOf(slot)?.id).toBe(id);
  }
}

/** What must hold whatever was killed: every slot is owned, none is open, every key is there once and has its value. */
import { expect } from 'vitest';
import { hasSlot } from '../../../src/cluster/slots.js';
import type { Topology } from '../../../src/cluster/topology.js';
import type { Traffic } from '../../support/operations/traffic.js';
import { poll, type RedisServer } from '../../support/redis.js';
import { tablesOf } from '../cluster/formed.js';
import { slotOf, textOf } from '../operations/move/moving.js';

const AGREE_MS = 20_000;
const READ_AT_ONCE = 500;

export interface Sound {
  /** All members. */
  readonly nodes: readonly RedisServer[];
  /** How many keys `fill` has made. */
  readonly keys: number;
  /** Of each of their values; what `fill` takes when not told. */
  readonly bytes?: number;
  readonly traffic?: Traffic;
  readonly name?: string;
}

/** All members agree, 16,384 slots are owned, none is open, and each master holds exactly the keys of its slots. */
export async function expectSound({ nodes, keys, bytes, traffic, name }: Sound): Promise<void> {
  const tables = await agreed(nodes, name);
  const masters = nodes.flatMap((server, index) => {
    const slots = tables[index]?.myself?.role === 'master' ? (tables[index]?.myself?.slots ?? []) : [];
    return slots.length > 0 ? [{ server, slots }] : [];
  });
  const names = [...Array.from({ length: keys }, (_, index) => `key:${index}`), ...(traffic?.names ?? [])];
  const found = await Promise.all(
    masters.map(async ({ server, slots }) => {
      const mine = names.filter((key) => hasSlot(slots, slotOf(key)));
      const lowest = new Map(mine.map((key) => [key, traffic?.lowest(key) ?? 0]));
      const connection = await server.connect();
      const values: PromiseSettledResult<unknown>[] = [];
      for (let start = 0; start < mine.length; start += READ_AT_ONCE) {
        values.push(...(await connection.callAll(mine.slice(start, start + READ_AT_ONCE).map((key) => ['GET', key]))));
      }
      connection.close();
      for (const [index, outcome] of values.entries()) {
        const key = mine[index] as string;
        const value = outcome.status === 'fulfilled' ? outcome.value : outcome.reason;
        if (key.startsWith('key:')) {
          expect(value, `${name}: ${key}`).toBe(textOf(Number(key.slice('key:'.length)), bytes));
        } else {
          const least = lowest.get(key) as number;
          expect(Number(value), `${name}: ${key} lost what was acknowledged`).toBeGreaterThanOrEqual(least);
          expect(Number(value), name).toBeLessThanOrEqual(traffic?.highest(key) ?? 0);
        }
      }
      return { mine: mine.length, size: Number(await server.call('DBSIZE')) };
    }),
  );
  const total = (of: (one: (typeof found)[number]) => number) => found.reduce((sum, one) => sum + of(one), 0);
  expect(
    total(({ mine }) => mine),
    name,
  ).toBe(names.length);
  // More would be keys that were left behind where nobody looks for them.
  expect(
    total(({ size }) => size),
    `${name}: keys on masters`,
  ).toBe(names.length);
}

async function agreed(nodes: readonly RedisServer[], name = ''): Promise<Topology[]> {
  let tables: Topology[] = [];
  const faults = () =>
    tables.flatMap((table, index) => [
      ...(table.uncovered.length > 0 ? [`${nodes[index]?.address}: slots without an owner`] : []),
      ...(table.openSlots.length > 0 ? [`${nodes[index]?.address}: ${table.openSlots.length} open slots`] : []),
      ...(table.nodes.length === nodes.length ? [] : [`${nodes[index]?.address}: knows ${table.nodes.length} nodes`]),
      ...(table.signature === tables[0]?.signature ? [] : [`${nodes[index]?.address}: disagrees`]),
    ]);
  try {
    return await poll('sound', AGREE_MS, async () => {
      tables = await tablesOf(nodes);
      return faults().length === 0 && tables;
    });
  } catch (cause) {
    throw new Error(`${name}: ${faults().join('; ')}`, { cause });
  }
}

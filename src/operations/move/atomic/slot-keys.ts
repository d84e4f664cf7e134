/** How much is in slots, by the word of one node. */
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { infoNumber, parseInfo } from '../../../cluster/parse-info.js';
import { eachSlot, type SlotSet } from '../../../cluster/slots.js';

/** Commands in one write; each takes a microsecond. */
const TOGETHER_MAX = 1_024;

/** Keys of each slot. @throws ForgeError what `NodeConnection.call` throws */
export async function countKeys(connection: NodeConnection, slots: SlotSet): Promise<Map<number, number>> {
  const all = [...eachSlot(slots)];
  const counts = new Map<number, number>();
  for (let first = 0; first < all.length; first += TOGETHER_MAX) {
    const part = all.slice(first, first + TOGETHER_MAX);
    const outcomes = await connection.callAll(part.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]));
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') throw outcome.reason;
      counts.set(part[index] as number, Number(outcome.value) || 0);
    }
  }
  return counts;
}

export interface Load {
  readonly keys: number;
  /** Average over all keys of the node, of what a key and its value take in memory. */
  readonly bytesPerKey: number;
}

/** What the node holds altogether. @throws ForgeError what `NodeConnection.call` throws */
export async function loadOf(connection: NodeConnection): Promise<Load> {
  const [memory, keyspace] = await Promise.all([
    connection.callText('INFO', 'memory'),
    connection.callText('INFO', 'keyspace'),
  ]);
  const info = parseInfo(memory);
  const bytes = infoNumber(info, 'used_memory_dataset') || infoNumber(info, 'used_memory') || 0;
  // Valkey 9 has several databases in a cluster, too.
  const keys = sum([...keyspace.matchAll(/^db\d+:keys=(\d+)/gm)].map(([, count]) => Number(count)));
  return { keys, bytesPerKey: keys > 0 ? bytes / keys : 0 };
}

/** At most `max` of them, evenly spread, the first and the last among them. */
export function spreadOver(slots: readonly number[], max: number): number[] {
  if (slots.length <= max) return [...slots];
  const step = (slots.length - 1) / (max - 1);
  return Array.from({ length: max }, (_, index) => slots[Math.round(index * step)] as number);
}

export function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

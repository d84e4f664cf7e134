/** How much is in slots, by the word of one node. */
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { commandFailure } from '../../../cluster/node-failure.js';
import { infoNumber, parseInfo } from '../../../cluster/parse-info.js';
import { eachSlot, type SlotSet } from '../../../cluster/slots.js';

/** Commands in one pipeline; each takes a microsecond. */
const PIPELINE_MAX = 1_024;

/** Keys of each slot. @throws ForgeError what `NodeConnection.call` throws */
export async function countKeys(connection: NodeConnection, slots: SlotSet): Promise<Map<number, number>> {
  const all = [...eachSlot(slots)];
  const counts = new Map<number, number>();
  for (let first = 0; first < all.length; first += PIPELINE_MAX) {
    const part = all.slice(first, first + PIPELINE_MAX);
    const pipeline = connection.client.pipeline();
    for (const slot of part) pipeline.call('CLUSTER', 'COUNTKEYSINSLOT', slot);
    const replies = await pipeline.exec().catch((error: unknown) => {
      throw commandFailure(error, connection.label, 'CLUSTER');
    });
    for (const [index, slot] of part.entries()) {
      const [error, count] = replies?.[index] ?? [];
      if (error) throw commandFailure(error, connection.label, 'CLUSTER');
      counts.set(slot, Number(count) || 0);
    }
  }
  return counts;
}

/** Average over all keys of the node, of what its keys and values take in memory. */
export async function bytesPerKey(connection: NodeConnection): Promise<number> {
  const [memory, keys] = await Promise.all([
    connection.callText('INFO', 'memory'),
    connection.call('DBSIZE').then(Number),
  ]);
  const info = parseInfo(memory);
  const bytes = infoNumber(info, 'used_memory_dataset') || infoNumber(info, 'used_memory') || 0;
  return keys > 0 ? bytes / keys : 0;
}

export function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

/** Keys of each slot, by the masters' word: 16,384 questions, which a plain connection takes a tenth of the time for. */
import { mapBounded } from '../../cluster/bounded.js';
import { BulkConnection } from '../../cluster/bulk/bulk-connection.js';
import type { Command } from '../../cluster/node-connection.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { eachSlot, SLOT_COUNT } from '../../cluster/slots.js';
import type { Topology } from '../../cluster/topology.js';

const PARALLEL_MAX = 16;
const COMMAND_MS = 30_000;
/** A server answers so many in some milliseconds. */
const BATCH = 2_048;

/** By slot; 0 for those that nobody serves. @throws ForgeError of a master that does not answer */
export async function countSlotKeys(pool: NodePool, { masters, openSlots }: Topology): Promise<Float64Array> {
  const keys = new Float64Array(SLOT_COUNT);
  await mapBounded(masters, PARALLEL_MAX, async ({ id, slots }) => {
    // A slot that is on its way has keys at both.
    const coming = openSlots.filter(({ nodeId, direction }) => nodeId === id && direction === 'importing');
    const own = [...eachSlot(slots), ...coming.map(({ slot }) => slot)];
    if (own.length === 0) return;
    const connection = new BulkConnection(await pool.dedicated(id), COMMAND_MS);
    try {
      for (let from = 0; from < own.length; from += BATCH) {
        const batch = own.slice(from, from + BATCH);
        const commands = batch.map((slot): Command => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
        for (const [index, outcome] of (await connection.callAll(commands)).entries()) {
          if (outcome.status === 'rejected') throw outcome.reason;
          const slot = batch[index] as number;
          keys[slot] = (keys[slot] as number) + Number(outcome.value);
        }
      }
    } finally {
      connection.close();
    }
  });
  return keys;
}

/** How many keys every slot has, by the word of the masters that serve them. */
import { mapBounded } from '../bounded.js';
import type { Command } from '../node-connection.js';
import type { NodePool } from '../node-pool.js';
import { eachSlot, SLOT_COUNT } from '../slots.js';
import type { ClusterSnapshot } from './snapshot.js';

const PARALLEL_MAX = 16;
/** Slots that are asked for in one write: the answer takes a server well below a millisecond. */
const BATCH = 512;

/**
 * Keys by slot; 0 for slots that nobody serves, or whose master did not answer when the snapshot was made. Changes nothing.
 * @throws ForgeError what `NodeConnection.callAll` gives for a node that does not answer any more
 */
export async function readSlotKeys(pool: NodePool, snapshot: ClusterSnapshot): Promise<Float64Array> {
  const keys = new Float64Array(SLOT_COUNT);
  const masters = snapshot.topology.masters.filter(({ id }) => snapshot.report(id) !== undefined);
  await mapBounded(masters, PARALLEL_MAX, async ({ id, slots }) => {
    const connection = await pool.get(id);
    const own = [...eachSlot(slots)];
    for (let start = 0; start < own.length; start += BATCH) {
      const batch = own.slice(start, start + BATCH);
      const commands = batch.map((slot): Command => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
      for (const [index, result] of (await connection.callAll(commands)).entries()) {
        if (result.status === 'rejected') throw result.reason;
        keys[batch[index] as number] = Number(result.value);
      }
    }
  });
  return keys;
}

/**
 * Bytes by slot, estimated: the keys of a master are taken to be of the same size, for Redis tells the memory of a node
 * and not of a slot.
 */
export function slotBytes(snapshot: ClusterSnapshot, keys: Float64Array): Float64Array {
  const bytes = new Float64Array(SLOT_COUNT);
  for (const { id, slots } of snapshot.topology.masters) {
    const report = snapshot.report(id);
    const perKey = report === undefined || report.keys === 0 ? 0 : report.memory.datasetBytes / report.keys;
    for (const slot of eachSlot(slots)) bytes[slot] = (keys[slot] as number) * perKey;
  }
  return bytes;
}

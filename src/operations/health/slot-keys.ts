/** How many keys of some slots each master holds: what a snapshot does not tell, and a repair must know. */
import { mapBounded } from '../../cluster/bounded.js';
import type { SlotSet } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { countKeys } from '../move/atomic/slot-keys.js';
import type { ClusterSession } from '../session.js';

const PARALLEL_MAX = 16;

/**
 * Asks every master that answers and holds keys.
 * @throws ForgeError what `NodeConnection.call` throws: without the count of one, nothing can be decided
 */
export async function readSlotKeys(
  { pool }: Pick<ClusterSession, 'pool'>,
  snapshot: ClusterSnapshot,
  slots: SlotSet,
): Promise<Map<string, Map<number, number>>> {
  if (slots.length === 0) return new Map();
  const masters = snapshot.reports.filter(({ myself, keys }) => myself.role === 'master' && keys > 0);
  const counts = await mapBounded(masters, PARALLEL_MAX, async ({ id }) => countKeys(await pool.get(id), slots));
  return new Map(masters.map(({ id }, index) => [id, counts[index] as Map<number, number>]));
}

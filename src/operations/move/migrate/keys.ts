/** Which keys a slot holds, and how large they are. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import type { SizedKey } from './batches.js';

/** Keys of one slot that are read at once. */
export const KEYS_READ_MAX = 250;

/** Up to 250 keys of each slot, with their sizes in bytes; empty for a slot without keys. */
export async function readKeys(connection: NodeConnection, slots: readonly number[]): Promise<SizedKey[][]> {
  const lists = await requireAll<Buffer[]>(
    connection,
    slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, KEYS_READ_MAX]),
    true,
  );
  const sizes = await requireAll<number | null>(
    connection,
    lists.flat().map((key) => ['MEMORY', 'USAGE', key]),
  );
  let place = 0;
  // A key that has expired meanwhile has no size.
  return lists.map((keys) => keys.map((key) => ({ key, bytes: sizes[place++] ?? 0 })));
}

/** How many keys each slot holds. */
export function countKeys(connection: NodeConnection, slots: readonly number[]): Promise<number[]> {
  return requireAll<number>(
    connection,
    slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]),
  );
}

async function requireAll<Reply>(
  connection: NodeConnection,
  commands: readonly Command[],
  binary = false,
): Promise<Reply[]> {
  const outcomes = await connection.callAll(commands, { binary });
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value as Reply;
  });
}

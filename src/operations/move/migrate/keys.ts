/** Which keys a slot holds, and how large they are. */
import type { Command, NodeConnection } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import type { SizedKey } from './batches.js';

/** Keys of one slot that are read at once. */
export const KEYS_READ_MAX = 250;
/** Slots whose keys are counted in one write: the node's clients have their turn in between. */
const COUNTED_AT_ONCE = 512;
/** Keys whose sizes are asked for in one write. */
const SIZED_AT_ONCE = 500;
const ASKING: Command = ['ASKING'];

/** Up to 250 keys of each slot; empty for a slot without keys. */
export function listKeys(connection: NodeConnection, slots: readonly number[]): Promise<Buffer[][]> {
  return requireAll(
    connection,
    slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, KEYS_READ_MAX]),
    { binary: true },
  );
}

/** Like `listKeys`, with the sizes in bytes; 0 for a key that has expired meanwhile, or where MEMORY is not allowed. */
export async function readKeys(
  connection: NodeConnection,
  slots: readonly number[],
  { importing = false }: { importing?: boolean } = {},
): Promise<SizedKey[][]> {
  const lists = await listKeys(connection, slots);
  const all = lists.flat();
  const sizes: number[] = [];
  for (let at = 0; at < all.length; at += SIZED_AT_ONCE) {
    const some = all.slice(at, at + SIZED_AT_ONCE);
    const commands = some.flatMap((key): Command[] => [...(importing ? [ASKING] : []), ['MEMORY', 'USAGE', key]]);
    const outcomes = await connection.callAll(commands);
    for (const outcome of importing ? outcomes.filter((_, index) => index % 2 === 1) : outcomes) {
      if (outcome.status === 'rejected' && replyErrorOf(outcome.reason) === undefined) throw outcome.reason;
      sizes.push(outcome.status === 'fulfilled' ? Number(outcome.value ?? 0) : 0);
    }
  }
  let place = 0;
  return lists.map((keys) => keys.map((key) => ({ key, bytes: sizes[place++] ?? 0 })));
}

/** How many keys each slot holds. */
export async function countKeys(connection: NodeConnection, slots: readonly number[]): Promise<number[]> {
  const counts: number[] = [];
  for (let at = 0; at < slots.length; at += COUNTED_AT_ONCE) {
    const some = slots.slice(at, at + COUNTED_AT_ONCE);
    const commands = some.map((slot): Command => ['CLUSTER', 'COUNTKEYSINSLOT', slot]);
    counts.push(...(await requireAll<number>(connection, commands)));
  }
  return counts;
}

/** The replies to all; throws the first failure. */
export async function requireAll<Reply>(
  connection: NodeConnection,
  commands: readonly Command[],
  options: { binary?: boolean } = {},
): Promise<Reply[]> {
  const outcomes = await connection.callAll(commands, options);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value as Reply;
  });
}

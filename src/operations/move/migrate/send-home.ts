/** Keys that a node holds of slots that another master serves: they go to that master, or away. */
import type { Command } from '../../../cluster/node-connection.js';
import { BatchSize } from './batches.js';
import { listKeys } from './keys.js';
import type { Pair } from './pair.js';
import { dropKeys, transferKeys } from './transfer.js';

/** Keys of one slot that are taken away in one write. */
const DROPPED_AT_ONCE = 500;

/**
 * The target must not have the slots marked as leaving: then it takes no keys of them. The source needs a mark that they
 * are coming, to be allowed to send keys of slots that are not its own; it is set here, and taken away at the end.
 * Keys that both have with the same value are taken over; of others `MoveControl.keep` says which stays.
 * @throws what `transferKeys` throws
 */
export async function carryHome(pair: Pair, slots: readonly number[]): Promise<void> {
  await mark(pair, slots, 'IMPORTING', pair.target.id);
  await transferKeys(pair, slots, {
    size: new BatchSize(pair.pace.batch),
    bigKeyBytes: Number.POSITIVE_INFINITY,
    importing: true,
    moved: () => undefined,
    sending: () => undefined,
  });
  await mark(pair, slots, 'STABLE');
}

/** Takes away what the source holds of slots that the target serves: nobody sees it. */
export async function dropStrays(pair: Pair, slots: readonly number[]): Promise<void> {
  await mark(pair, slots, 'IMPORTING', pair.target.id);
  for (const slot of slots) {
    const next = async () => (await listKeys(await pair.worker(), [slot], DROPPED_AT_ONCE)).flat();
    // Nobody but a mover sends a node keys of slots that are not its own.
    for (let keys = await next(); keys.length > 0; keys = await next()) {
      await dropKeys(pair, keys, { importing: true });
    }
  }
  await mark(pair, slots, 'STABLE');
}

async function mark({ context, source }: Pair, slots: readonly number[], ...words: string[]): Promise<void> {
  const commands = slots.map((slot): Command => ['CLUSTER', 'SETSLOT', slot, ...words]);
  for (const outcome of await context.mutateAll(source.id, commands, { finishing: true })) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

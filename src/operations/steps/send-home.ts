/** Keys that a master holds of slots that are another's are sent to their owner. */

import { ForgeError } from '../../errors.js';
import { BatchSize } from '../move/migrate/batches.js';
import { ConflictError, showKeys } from '../move/migrate/failures.js';
import { Pair } from '../move/migrate/pair.js';
import { transferKeys } from '../move/migrate/transfer.js';
import type { NodeRef, StepContext } from '../step.js';

const BIG_KEY_BYTES = 8 * 1024 * 1024;

/**
 * A node sends keys of slots that it does not serve only while it holds them for importing: so they are marked so first,
 * and the marks are left to the caller. Keys that both have are compared; equal ones are taken over.
 * @throws ForgeError `refused` for a key with two values, naming it, unless `MoveControl.keep` says which one stays
 */
export async function sendHome(
  context: StepContext,
  { source, target }: { readonly source: NodeRef; readonly target: NodeRef },
  slots: readonly number[],
): Promise<void> {
  const marks = slots.map((slot) => ['CLUSTER', 'SETSLOT', slot, 'IMPORTING', target.id] as const);
  for (const outcome of await context.mutateAll(source.id, marks)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
  const pair = new Pair(context, { source, target });
  const moved = { keys: 0, bytes: 0 };
  try {
    await transferKeys(pair, slots, {
      size: new BatchSize(pair.pace.batch),
      bigKeyBytes: BIG_KEY_BYTES,
      importing: true,
      sending: () => undefined,
      moved: (batch) => {
        moved.keys += batch.keys.length;
        moved.bytes += batch.bytes;
      },
    });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const [from, to] = [source.address, target.address];
    throw new ForgeError(
      'refused',
      `${from} and ${to} have different values of ${showKeys(error.keys)} (slot ${error.slot}).`,
      {
        host: source.address,
        next: `Compare them: clients see those of ${to}. The same command with --keep owner keeps these, with --keep other those of ${from}.`,
        details: { slot: error.slot, keys: error.keys.map((key) => key.toString('utf8')) },
        cause: error,
      },
    );
  } finally {
    pair.close();
  }
  context.report({ type: 'note', text: `${moved.keys} keys went home` });
}

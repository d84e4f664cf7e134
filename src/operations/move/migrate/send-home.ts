/** Keys that a node holds of slots that another master serves go to that master. */
import type { Command } from '../../../cluster/node-connection.js';
import type { NodeRef, StepContext } from '../../step.js';
import { BatchSize } from './batches.js';
import { explain } from './explain.js';
import { ConflictError, kindOfFailure } from './failures.js';
import { Pair } from './pair.js';
import { transferKeys } from './transfer.js';

/**
 * The master must not have the slots marked as leaving: then it takes no keys of them. The holder needs a mark that they
 * are coming, to be allowed to send keys of slots that are not its own; it is set here, and taken away at the end.
 * Keys that both have with the same value are taken over; of others the master's stays, and so does the holder's.
 * @throws ForgeError `refused` that names keys with two values, or what keeps the keys from moving
 */
export async function sendHome(
  context: StepContext,
  { source, target }: { source: NodeRef; target: NodeRef },
  slots: readonly number[],
): Promise<void> {
  const pair = new Pair(context, { source, target });
  try {
    await carryHome(pair, slots);
  } catch (error) {
    if (kindOfFailure(error) === undefined && !(error instanceof ConflictError)) throw error;
    throw explain(pair, error, { moved: [], back: [], open: [], stuck: [], kept: [] });
  } finally {
    pair.close();
  }
}

/** The same for two that are known already. @throws what `transferKeys` throws */
export async function carryHome(pair: Pair, slots: readonly number[]): Promise<void> {
  const { context, source, target } = pair;
  const mark = async (...words: string[]) => {
    const commands = slots.map((slot): Command => ['CLUSTER', 'SETSLOT', slot, ...words]);
    for (const outcome of await context.mutateAll(source.id, commands, { finishing: true })) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  };
  await mark('IMPORTING', target.id);
  await transferKeys(pair, slots, {
    size: new BatchSize(pair.pace.batch),
    bigKeyBytes: Number.POSITIVE_INFINITY,
    importing: true,
    moved: () => undefined,
    sending: () => undefined,
  });
  await mark('STABLE');
}

/** The marks by which masters know that a slot is on its way, and who serves it: set for many slots in one write. */

import type { Command } from '../../../cluster/node-connection.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import type { Pair } from './pair.js';

const setSlot = (slot: number, ...words: string[]): Command => ['CLUSTER', 'SETSLOT', slot, ...words];

/** Throws the first failure; all commands were sent. */
async function requireDone(
  pair: Pair,
  nodeId: string,
  commands: readonly Command[],
  tolerated?: (text: string) => boolean,
): Promise<void> {
  if (commands.length === 0) return;
  const connection = await pair.marker(nodeId);
  const outcomes = await pair.context.mutateAll(nodeId, commands, { connection, finishing: true });
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    if (tolerated?.(replyErrorOf(outcome.reason) ?? '')) continue;
    throw outcome.reason;
  }
}

/** The target first: a client that the source sends there must be served. */
export async function openSlots(pair: Pair, slots: readonly number[]): Promise<void> {
  const { source, target } = pair;
  await requireDone(
    pair,
    target.id,
    slots.map((slot) => setSlot(slot, 'IMPORTING', source.id)),
  );
  await requireDone(
    pair,
    source.id,
    slots.map((slot) => setSlot(slot, 'MIGRATING', target.id)),
  );
}

/** Where the target is marked already: the source sends clients on for keys that it does not have. */
export async function markLeaving(pair: Pair, slots: readonly number[]): Promise<void> {
  const { source, target } = pair;
  await requireDone(
    pair,
    source.id,
    slots.map((slot) => setSlot(slot, 'MIGRATING', target.id)),
  );
}

/**
 * A node does not hear of a new owner of slots that it imports: when the source was failed over in the middle, the target
 * believes that a dead node has them, and answers CLUSTERDOWN to everything. So it is told.
 */
export async function tellNewSource(pair: Pair, slots: readonly number[]): Promise<void> {
  const { source, target } = pair;
  const commands = slots.flatMap((slot) => [setSlot(slot, 'NODE', source.id), setSlot(slot, 'IMPORTING', source.id)]);
  await requireDone(pair, target.id, commands);
}

/** A master that has given its last slot away may have become a replica of the one that has it now. */
const noMaster = (text: string) => /only with masters/i.test(text);

/**
 * The slots, which hold no key at the source any more, are the target's. The target is told first: from then on it serves
 * them whatever happens, and says so to all nodes in the same moment.
 */
export async function closeSlots(pair: Pair, slots: readonly number[]): Promise<void> {
  const { source, target } = pair;
  const commands = slots.map((slot) => setSlot(slot, 'NODE', target.id));
  await requireDone(pair, target.id, commands);
  await requireDone(pair, source.id, commands, noMaster);
}

/** Takes the marks away from both, the source first; who serves the slots stays as it is. */
export async function clearMarks(
  pair: Pair,
  slots: readonly number[],
  options: { sourceOnly?: boolean } = {},
): Promise<void> {
  const commands = slots.map((slot) => setSlot(slot, 'STABLE'));
  await requireDone(pair, pair.source.id, commands, noMaster);
  if (options.sourceOnly) return;
  await requireDone(pair, pair.target.id, commands, noMaster);
}

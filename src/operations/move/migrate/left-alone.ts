/** The end of a move whose other master does not answer, where one of both serves all the slots already. */
import { formatSlots, hasSlot, type SlotSet, slotsFrom, subtractSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { viewOf } from '../../steps/views.js';
import type { SlotMove } from '../mover.js';

const RANGES_SHOWN_MAX = 8;

/**
 * Takes the marks away, so that the node serves its slots alone, when it serves all of them by its own word: so a move to
 * a node that has died can be undone. Keys that only the dead node has are not there until it is back: that is told.
 * @returns false when the target does not serve all of them: then the other master is needed
 */
export async function closeAlone(context: StepContext, { source, target, slots }: SlotMove): Promise<boolean> {
  const { topology } = await viewOf(context, target.id);
  const { myself } = topology;
  if (myself === undefined || subtractSlots(slots, myself.slots).length > 0) return false;
  const leaving = myself.migrating.filter(({ slot }) => hasSlot(slots, slot)).map(({ slot }) => slot);
  const coming = myself.importing.filter(({ slot }) => hasSlot(slots, slot)).map(({ slot }) => slot);
  const commands = [...leaving, ...coming].map((slot) => ['CLUSTER', 'SETSLOT', slot, 'STABLE'] as const);
  for (const outcome of await context.mutateAll(target.id, commands, { finishing: true })) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
  if (leaving.length > 0) context.report({ type: 'warning', text: lost(source, target, slotsFrom(leaving)) });
  return true;
}

const lost = (source: NodeRef, target: NodeRef, slots: SlotSet) =>
  `${target.address} serves the slots ${formatSlots(slots, RANGES_SHOWN_MAX)} alone again. Keys of them that had gone to ${source.address} are missing until that runs again and forge cluster fix has brought them home.`;

/** @throws ForgeError `unreachable` */
export function unanswered({ address }: NodeRef): ForgeError {
  return new ForgeError('unreachable', `${address} does not answer: slots can be moved neither to nor from it.`, {
    host: address,
    next: [
      'Check that it runs, then run the same command again.',
      'If it is gone for good: forge rollback takes back what can be taken back.',
    ],
  });
}

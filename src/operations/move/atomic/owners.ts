/** Whose slots they are, by the word of the two nodes between which they move. */
import { countSlots, formatSlots, intersectSlots, type SlotSet, subtractSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { StepContext } from '../../step.js';
import { type View, viewOf } from '../../steps/views.js';
import type { SlotMove } from '../mover.js';

const RANGES_SHOWN_MAX = 4;

export interface Owners {
  /** Both nodes say that the source has them. */
  readonly left: SlotSet;
  /** Both nodes say that the target has them. */
  readonly moved: SlotSet;
  /** The nodes do not say the same, yet. */
  readonly unsettled: SlotSet;
  /** Both nodes say that they are neither's. */
  readonly elsewhere: SlotSet;
  /** A node that was to be a master and is a replica. */
  readonly demoted?: string;
}

function slotsBy(view: View, id: string): SlotSet {
  return view.topology.node(id)?.slots ?? [];
}

/** @throws ForgeError what `viewOf` throws */
export async function ownersOf(context: StepContext, { source, target, slots }: SlotMove): Promise<Owners> {
  const [from, to] = await Promise.all([viewOf(context, source.id), viewOf(context, target.id)]);
  const both = (id: string) => intersectSlots(intersectSlots(slots, slotsBy(from, id)), slotsBy(to, id));
  const [left, moved] = [both(source.id), both(target.id)];
  const rest = subtractSlots(subtractSlots(slots, left), moved);
  const named = [source.id, target.id].flatMap((id) => [slotsBy(from, id), slotsBy(to, id)]);
  const elsewhere = named.reduce((others, own) => subtractSlots(others, own), rest);
  const demoted = [
    { view: from, address: source.address },
    { view: to, address: target.address },
  ].find(({ view }) => view.topology.myself?.role === 'replica')?.address;
  return { left, moved, elsewhere, unsettled: subtractSlots(rest, elsewhere), demoted };
}

/** @throws ForgeError `refused` when the slots cannot be moved between these two any more */
export function requirePair({ source, target }: SlotMove, { demoted, elsewhere, left, unsettled }: Owners): void {
  // A master that has given its last slot away may well become a replica.
  if (left.length === 0 && unsettled.length === 0 && elsewhere.length === 0) return;
  if (demoted !== undefined) {
    throw new ForgeError('refused', `${demoted} has become a replica: its slots are with its new master.`, {
      host: demoted,
      next: 'Look at forge cluster status, then make the plan anew.',
    });
  }
  if (elsewhere.length === 0) return;
  throw new ForgeError(
    'refused',
    `${countSlots(elsewhere)} slots (${formatSlots(elsewhere, RANGES_SHOWN_MAX)}) are neither ${source.address}'s nor ${target.address}'s.`,
    { host: source.address, next: 'Look at forge cluster check, then make the plan anew.' },
  );
}

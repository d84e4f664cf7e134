/** In what one node's picture of another differs from that node's own word. Pure. */
import { type ClusterNode, isFailing } from '../../cluster/cluster-node.js';
import { countSlots, formatSlots, type SlotSet, subtractSlots } from '../../cluster/slots.js';

const RANGES_SHOWN_MAX = 4;

/**
 * @param seen the node in the other's table; undefined when it is not in it
 * @param own the same node in its own
 * @param label names a node for people
 */
export function differenceOf(seen: ClusterNode | undefined, own: ClusterNode, label: (id: string) => string): string {
  if (seen === undefined) return 'does not know it';
  if (isFailing(seen)) return 'holds it for dead';
  const role = ({ role: word, masterId }: ClusterNode) =>
    masterId === undefined ? word : `${word} of ${label(masterId)}`;
  if (role(seen) !== role(own)) return `sees a ${role(seen)}, it says ${role(own)}`;
  const [more, fewer] = [subtractSlots(seen.slots, own.slots), subtractSlots(own.slots, seen.slots)];
  const words = [
    ...slotWords('sees', more, 'that it does not have'),
    ...slotWords('does not see', fewer, 'that it has'),
  ];
  return words.length > 0 ? words.join(', ') : 'has no link to it';
}

function slotWords(verb: string, slots: SlotSet, which: string): string[] {
  const count = countSlots(slots);
  if (count === 0) return [];
  return [`${verb} ${count} ${count === 1 ? 'slot' : 'slots'} ${which} (${formatSlots(slots, RANGES_SHOWN_MAX)})`];
}

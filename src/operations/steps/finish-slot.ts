/** A move that somebody began is finished: the slots' remaining keys go where the others are. */
import * as z from 'zod';
import type { ClusterNode } from '../../cluster/cluster-node.js';
import type { Command } from '../../cluster/node-connection.js';
import {
  countSlots,
  eachSlot,
  formatSlots,
  hasSlot,
  intersectSlots,
  normalizeSlots,
  type SlotSet,
  subtractSlots,
} from '../../cluster/slots.js';
import { moveSlots } from '../move/move-slots.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext, slotRangeSchema } from '../step.js';
import { viewOf } from './views.js';

const RANGES_SHOWN_MAX = 4;
const RANGES_MAX = 8_192;

const schema = z.strictObject({
  kind: z.literal('finish-slot'),
  source: nodeRefSchema,
  target: nodeRefSchema,
  ranges: z.array(slotRangeSchema).min(1).max(RANGES_MAX),
});

export const finishSlotStep = defineStep({
  schema,
  title: ({ source, target, ranges }) => {
    const slots = normalizeSlots(ranges);
    const what = `${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
    return `Finish moving ${what} from ${source.address} to ${target.address}`;
  },
  nodes: ({ source, target }) => [source.id, target.id],

  async isDone(context, { source, target, ranges }) {
    const slots = normalizeSlots(ranges);
    const { from, to } = await look(context, source, target);
    const open = [from, to].some((node) => opened(node).some(({ slot }) => hasSlot(slots, slot)));
    if (open || from === undefined) return false;
    return intersectSlots(slots, from.slots).length === 0 && subtractSlots(slots, to?.slots ?? []).length === 0;
  },

  async apply(context, { source, target, ranges }) {
    const slots = normalizeSlots(ranges);
    const { from, to } = await look(context, source, target);
    await pairUp(context, source, intersectSlots(slots, from?.slots ?? []), from, ['MIGRATING', target.id]);
    await pairUp(context, target, subtractSlots(slots, to?.slots ?? []), to, ['IMPORTING', source.id]);
    await moveSlots(context, { source, target, slots });
  },

  // Which half of an unfinished move was meant to be undone, nobody knows: what has moved stays where it is served.
  undo: async () => undefined,
});

const opened = (node: ClusterNode | undefined) => [...(node?.migrating ?? []), ...(node?.importing ?? [])];

async function look(context: StepContext, source: NodeRef, target: NodeRef) {
  const [from, to] = await Promise.all([viewOf(context, source.id), viewOf(context, target.id)]);
  return { from: from.topology.myself, to: to.topology.myself };
}

/** A mark that leads elsewhere is replaced; who moves slots refuses marks that are not its own. */
async function pairUp(
  context: StepContext,
  node: NodeRef,
  slots: SlotSet,
  seen: ClusterNode | undefined,
  [word, peer]: ['MIGRATING' | 'IMPORTING', string],
): Promise<void> {
  const expected = word === 'MIGRATING' ? seen?.migrating : seen?.importing;
  const other = word === 'MIGRATING' ? seen?.importing : seen?.migrating;
  const right = new Set(expected?.filter(({ peerId }) => peerId === peer).map(({ slot }) => slot));
  const wrong = new Set(other?.map(({ slot }) => slot));
  const commands: Command[] = [];
  for (const slot of eachSlot(slots)) {
    if (right.has(slot) && !wrong.has(slot)) continue;
    if (wrong.has(slot)) commands.push(['CLUSTER', 'SETSLOT', slot, 'STABLE']);
    commands.push(['CLUSTER', 'SETSLOT', slot, word, peer]);
  }
  for (const outcome of await context.mutateAll(node.id, commands)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

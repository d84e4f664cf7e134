/** Marks of moves that will not be finished are taken away, after the keys have gone to the owner of their slots. */
import * as z from 'zod';
import {
  countSlots,
  formatSlots,
  hasSlot,
  normalizeSlots,
  type SlotSet,
  slotsFrom,
  subtractSlots,
} from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import { countKeys } from '../move/atomic/slot-keys.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext, slotRangeSchema } from '../step.js';
import { sendHome } from './send-home.js';
import { viewOf } from './views.js';

const RANGES_SHOWN_MAX = 4;
const RANGES_MAX = 8_192;

const schema = z.strictObject({
  kind: z.literal('set-slot-stable'),
  /** Who has the marks, or keys of slots that are not its own. */
  node: nodeRefSchema,
  /** Whose the slots are; the same where only its own marks are to go. */
  owner: nodeRefSchema,
  ranges: z.array(slotRangeSchema).min(1).max(RANGES_MAX),
});

export const setSlotStableStep = defineStep({
  schema,
  title: ({ node, owner, ranges }) => {
    const slots = normalizeSlots(ranges);
    const what = `${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
    if (node.id === owner.id) return `Close ${what} at ${node.address}, which keeps them`;
    return `Close ${what} at ${node.address}; keys that it has of them go to ${owner.address}`;
  },
  nodes: ({ node, owner }) => [...new Set([node.id, owner.id])],

  async isDone(context, { node, owner, ranges }) {
    const slots = normalizeSlots(ranges);
    if ((await marked(context, node, slots)).length > 0) return false;
    return node.id === owner.id || (await held(context, node, slots)).length === 0;
  },

  async apply(context, { node, owner, ranges }) {
    const slots = normalizeSlots(ranges);
    await requireOwner(context, owner, slots);
    if (node.id === owner.id) await requireNoOthers(context, owner, slots);
    else {
      const left = await held(context, node, slots);
      if (left.length > 0) await sendHome(context, { source: node, target: owner }, left);
    }
    const open = await marked(context, node, slots);
    const commands = open.map((slot) => ['CLUSTER', 'SETSLOT', slot, 'STABLE'] as const);
    for (const outcome of await context.mutateAll(node.id, commands, { finishing: true })) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  },

  // The marks helped nobody, and the keys are where they are served.
  undo: async () => undefined,
});

/** Slots that the node has open; Valkey's replicas have the marks of their master, and lose them with it. */
async function marked(context: StepContext, node: NodeRef, slots: SlotSet): Promise<number[]> {
  const snapshot = await context.look();
  const open = snapshot.openSlots.filter(({ nodeId, slot }) => {
    const holder = snapshot.report(nodeId)?.myself;
    return hasSlot(slots, slot) && (nodeId === node.id || holder?.masterId === node.id);
  });
  return [...new Set(open.map(({ slot }) => slot))];
}

/** Slots of which the node holds keys. */
async function held(context: StepContext, node: NodeRef, slots: SlotSet): Promise<number[]> {
  const counts = await countKeys(await context.pool.get(node.id), slots);
  return [...counts].filter(([, keys]) => keys > 0).map(([slot]) => slot);
}

async function requireOwner(context: StepContext, owner: NodeRef, slots: SlotSet): Promise<void> {
  const { topology } = await viewOf(context, owner.id);
  const missing = subtractSlots(slots, topology.myself?.slots ?? []);
  if (missing.length > 0) {
    throw changed(owner, `${owner.address} does not have the slots ${formatSlots(missing, RANGES_SHOWN_MAX)} any more`);
  }
}

/** The owner's mark leads clients to the slot's other keys: it goes only when there are none. */
async function requireNoOthers(context: StepContext, owner: NodeRef, slots: SlotSet): Promise<void> {
  const { topology } = await viewOf(context, owner.id);
  const open = (topology.myself?.migrating ?? []).filter(({ slot }) => hasSlot(slots, slot));
  for (const peer of new Set(open.map(({ peerId }) => peerId))) {
    // A peer that was forgotten cannot be asked, and a replica holds what its master holds.
    if (topology.node(peer)?.role !== 'master') continue;
    const towards = slotsFrom(open.filter(({ peerId }) => peerId === peer).map(({ slot }) => slot));
    const counts = await countKeys(await context.pool.get(peer), towards);
    const [slot] = [...counts].find(([, keys]) => keys > 0) ?? [];
    if (slot !== undefined) throw changed(owner, `${context.pool.label(peer)} has got keys of slot ${slot} meanwhile`);
  }
}

function changed(node: NodeRef, why: string): ForgeError {
  return new ForgeError('refused', `${node.address}: ${why}.`, {
    host: node.address,
    next: 'Go back with forge rollback, then make a new plan: forge cluster fix.',
  });
}

/** A master becomes the owner of slots that nobody has, and every node hears it. */
import * as z from 'zod';
import type { Command } from '../../cluster/node-connection.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import {
  countSlots,
  eachSlot,
  formatSlots,
  intersectSlots,
  normalizeSlots,
  type SlotSet,
  slotsFrom,
  subtractSlots,
} from '../../cluster/slots.js';
import type { NodeReport } from '../../cluster/snapshot/node-report.js';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext, slotRangeSchema } from '../step.js';
import { introduce, waitUntil } from './views.js';

const RANGES_SHOWN_MAX = 4;
const RANGES_MAX = 8_192;
const TELL_AGAIN_MS = 400;

const schema = z.strictObject({
  kind: z.literal('assign-slots'),
  node: nodeRefSchema,
  ranges: z.array(slotRangeSchema).min(1).max(RANGES_MAX),
});

export const assignSlotsStep = defineStep({
  schema,
  title: ({ node, ranges }) => {
    const slots = normalizeSlots(ranges);
    return `Make ${node.address} the owner of ${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
  },
  nodes: ({ node }) => [node.id],

  async isDone(context, { node, ranges }) {
    const { missing, deaf } = await look(context, node, normalizeSlots(ranges));
    return missing.length === 0 && deaf.length === 0;
  },

  async apply(context, { node, ranges }) {
    const slots = normalizeSlots(ranges);
    let deaf: NodeReport[] = [];
    let raised = false;
    let toldAt = Number.NEGATIVE_INFINITY;
    await waitUntil(
      context,
      async () => {
        const found = await look(context, node, slots);
        deaf = found.deaf;
        if (found.missing.length > 0) {
          await take(context, found.owner, found.missing);
          raised = false;
        } else if (deaf.length === 0) return true;
        if (!raised) {
          // Whoever believes an older claim of somebody else is convinced by a newer epoch, and by nothing else.
          await context.mutate(node.id, 'CLUSTER', 'BUMPEPOCH');
          raised = true;
        }
        if (performance.now() - toldAt > TELL_AGAIN_MS) {
          for (const { id } of deaf) await introduce(context, id, node.id);
          toldAt = performance.now();
        }
        return false;
      },
      () =>
        new ForgeError('timeout', `${deaf.length} nodes do not see ${node.address} as the owner of its slots.`, {
          host: deaf[0]?.address,
          next: 'Check that it reaches the cluster bus port of that node, then run the same command again.',
        }),
    );
  },

  // A slot without an owner helps nobody: who undoes a repair leaves what is repaired.
  undo: async () => undefined,
});

interface Found {
  readonly owner: NodeReport;
  /** What the owner has not yet, by its own word. */
  readonly missing: SlotSet;
  /** Nodes that see another owner, and listen. */
  readonly deaf: NodeReport[];
}

async function look(context: StepContext, node: NodeRef, slots: SlotSet): Promise<Found> {
  const snapshot = await context.look();
  const owner = snapshot.report(node.id);
  if (owner === undefined || owner.myself.role !== 'master') {
    const why = owner === undefined ? 'does not answer' : 'is not a master now';
    throw new ForgeError('refused', `${node.address} ${why}: it cannot become the owner of slots.`, {
      host: node.address,
      next: 'Go back with forge rollback, then make a new plan: forge cluster fix.',
    });
  }
  const missing = subtractSlots(slots, owner.myself.slots);
  for (const { id, address, myself } of snapshot.reports) {
    const claimed = myself.role === 'master' && id !== node.id ? intersectSlots(missing, myself.slots) : [];
    if (claimed.length === 0) continue;
    throw new ForgeError(
      'refused',
      `${address} has got slots that nobody had: ${formatSlots(claimed, RANGES_SHOWN_MAX)}.`,
      {
        host: address,
        next: 'Go back with forge rollback, then make a new plan: forge cluster fix.',
      },
    );
  }
  const deaf = snapshot.reports.filter(({ view, myself }) => {
    const seen = view.node(node.id);
    const importing = slotsFrom(myself.importing.map(({ slot }) => slot));
    return seen !== undefined && subtractSlots(subtractSlots(slots, seen.slots), importing).length > 0;
  });
  return { owner, missing, deaf };
}

async function take(context: StepContext, { id, view }: NodeReport, missing: SlotSet): Promise<void> {
  const free: number[] = [];
  const commands: Command[] = [];
  for (const slot of eachSlot(missing)) {
    // ADDSLOTS refuses a slot that the node believes to be another's.
    if (view.ownerOf(slot) === undefined) free.push(slot);
    else commands.push(['CLUSTER', 'SETSLOT', slot, 'NODE', id]);
  }
  if (free.length > 0) commands.push(['CLUSTER', 'ADDSLOTS', ...free]);
  for (const outcome of await context.mutateAll(id, commands)) {
    // Busy: gossip was quicker, and the next look tells what is left.
    if (outcome.status === 'rejected' && !/busy/i.test(replyErrorOf(outcome.reason) ?? '')) throw outcome.reason;
  }
}

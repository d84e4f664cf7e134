/** Slots move from one master to another, with their keys. */
import * as z from 'zod';
import { pause } from '../../cluster/bounded.js';
import {
  countSlots,
  formatSlots,
  hasSlot,
  intersectSlots,
  normalizeSlots,
  slotsFrom,
  subtractSlots,
} from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import { jobsUnderWay } from '../move/atomic/under-way.js';
import { hasLostRole } from '../move/migrate/pair.js';
import { moveSlots } from '../move/move-slots.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext, slotRangeSchema } from '../step.js';
import { viewOf, viewsOf } from './views.js';

const RANGES_SHOWN_MAX = 4;
const RANGES_MAX = 8_192;
/** A node that has become a replica knows it first; until the others know, nobody can say whose its slots are. */
const ROLE_MS = 5_000;
const ROLE_LOOK_MS = 200;
/** Looks that may go wrong in one move, each within `ROLE_MS` after one that went well. */
const FAILOVERS_MAX = 100;

const schema = z.strictObject({
  kind: z.literal('migrate-slots'),
  source: nodeRefSchema,
  target: nodeRefSchema,
  ranges: z.array(slotRangeSchema).min(1).max(RANGES_MAX),
});
type MigrateSlots = z.infer<typeof schema>;

export const migrateSlotsStep = defineStep({
  schema,
  title: ({ source, target, ranges }) => {
    const slots = normalizeSlots(ranges);
    return `Move ${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)}) from ${source.address} to ${target.address}`;
  },
  nodes: ({ source }) => [source.id],
  // `MoveControl.into` bounds how many move into one target at once.
  shares: ({ target }) => [target.id],
  isDone: (context, action) => isMoved(context, action),
  apply: (context, { source, target, ranges }) => move(context, source, target, ranges),
  async undo(context, { source, target, ranges }) {
    await finishOthers(context, target, ranges);
    await move(context, target, source, ranges);
  },
});

/**
 * A master that gives its last slot away becomes a replica, which throws away what it holds: also keys of slots that other
 * masters had begun to move to it. Those arrive first; then they are its own, until their own move is undone. Where they
 * cannot arrive, they have to be back.
 */
async function finishOthers(context: StepContext, node: NodeRef, ranges: MigrateSlots['ranges']): Promise<void> {
  const slots = normalizeSlots(ranges);
  const myself = (await viewsOf(context, [node.id])).get(node.id)?.topology.myself;
  // One that does not answer, or has become a replica, has handed what it held to another, or nothing is lost here.
  if (myself?.role !== 'master' || subtractSlots(myself.slots, slots).length > 0) return;
  const coming = new Map<string, number[]>();
  for (const { slot, peerId } of myself.importing) {
    if (!hasSlot(slots, slot)) coming.set(peerId, [...(coming.get(peerId) ?? []), slot]);
  }
  for (const [id, open] of coming) {
    const source = { id, address: context.pool.label(id) };
    try {
      await moveSlots(context, { source, target: node, slots: slotsFrom(open) });
    } catch (error) {
      if (!(error instanceof ForgeError) || (await isComing(context, node, open))) throw error;
      context.report({ type: 'note', text: error.message });
    }
  }
}

async function isComing(context: StepContext, node: NodeRef, slots: readonly number[]): Promise<boolean> {
  const { myself } = (await viewOf(context, node.id)).topology;
  return myself === undefined || myself.importing.some(({ slot }) => slots.includes(slot));
}

async function isMoved(context: StepContext, { source, target, ranges }: MigrateSlots): Promise<boolean> {
  const slots = normalizeSlots(ranges);
  const views = await viewsOf(context, [source.id, target.id]);
  const [from, to] = [views.get(source.id), views.get(target.id)];
  // What is so where one of both does not answer is found out when the work begins.
  if (from === undefined || to === undefined) return false;
  const here = to.topology.myself;
  const there = from.topology.myself;
  if (here === undefined || there === undefined) return false;
  const wanted = new Set(
    slots.flatMap(({ start, end }) => Array.from({ length: end - start + 1 }, (_, i) => start + i)),
  );
  const open = [...here.importing, ...here.migrating, ...there.migrating, ...there.importing];
  const owned = subtractSlots(slots, here.slots).length === 0 && intersectSlots(slots, there.slots).length === 0;
  if (!owned || open.some(({ slot }) => wanted.has(slot))) return false;
  const underWay = await Promise.all([source, target].map(({ id }) => jobsUnderWay(context, id, slots)));
  return underWay.every((jobs) => jobs.length === 0);
}

async function move(
  context: StepContext,
  source: NodeRef,
  target: NodeRef,
  ranges: MigrateSlots['ranges'],
): Promise<void> {
  let failingSince = Number.NaN;
  for (let failovers = 0; ; failovers++) {
    const begun = performance.now();
    try {
      await moveSlots(context, { source, target, slots: normalizeSlots(ranges) });
      return;
    } catch (error) {
      const now = performance.now();
      // One that went on for a while had got the roles right.
      if (!(now - begun < ROLE_MS) || Number.isNaN(failingSince)) failingSince = now;
      // Between the look and the work, or in the middle: it gave its last slot away, or was failed over.
      if (!hasLostRole(error) || now - failingSince > ROLE_MS || failovers >= FAILOVERS_MAX) throw error;
      await pause(ROLE_LOOK_MS, context.signal);
    }
  }
}

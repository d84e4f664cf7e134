/**
 * A target that is failed over in the very moment in which it takes slots may stay their master, with a newer epoch than
 * its successor's, which has the rest. Keys that it had passed on to that successor before are of no use there.
 */
import { formatSlots, type SlotSet, slotsFrom } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { viewOf } from '../../steps/views.js';
import { countKeys } from '../atomic/slot-keys.js';

const RANGES_SHOWN_MAX = 8;

/** Ids of the node's replicas, by its own word. */
export async function replicasOf(context: StepContext, { id }: NodeRef): Promise<string[]> {
  const { topology } = await viewOf(context, id);
  return topology.nodes.filter(({ role, masterId }) => role === 'replica' && masterId === id).map((node) => node.id);
}

/**
 * Warns of keys of the slots that a former replica of the target holds, when that has become a master meanwhile.
 * @param replicas those that the target had when the move began
 */
export async function warnOfSplit(
  context: StepContext,
  { target, slots }: { readonly target: NodeRef; readonly slots: SlotSet },
  replicas: readonly string[],
): Promise<void> {
  if (replicas.length === 0) return;
  const { topology } = await viewOf(context, target.id);
  for (const id of replicas) {
    if (topology.node(id)?.role !== 'master') continue;
    const held = await heldBy(context, id, slots);
    if (held.length === 0) continue;
    const [heir, ranges] = [context.pool.label(id), formatSlots(slotsFrom(held), RANGES_SHOWN_MAX)];
    context.report({
      type: 'warning',
      text: `${heir} took over from ${target.address} meanwhile, which kept the slots that moved: ${heir} holds copies of keys of the slots ${ranges} that nobody sees. forge cluster fix --strays puts that right.`,
    });
  }
}

/** None when it does not answer: the cluster fix tells of them as well. */
async function heldBy(context: StepContext, id: string, slots: SlotSet): Promise<number[]> {
  try {
    const counts = await countKeys(await context.pool.get(id), slots);
    return [...counts].filter(([, keys]) => keys > 0).map(([slot]) => slot);
  } catch (error) {
    if (error instanceof ForgeError) return [];
    throw error;
  }
}

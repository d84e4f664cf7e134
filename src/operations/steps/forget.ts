/** A node without slots leaves the cluster: nobody knows it any more, and it knows nobody. */
import * as z from 'zod';
import { ForgeError } from '../../errors.js';
import { defineStep, nodeIdSchema, nodeRefSchema, type StepContext } from '../step.js';
import { forgetEverywhere } from './forget-everywhere.js';
import { whileHeard } from './subscribers.js';
import { viewOf, viewsOf } from './views.js';

const schema = z.strictObject({
  kind: z.literal('forget'),
  node: nodeRefSchema,
  /** All other members that are to stay. */
  members: z.array(nodeIdSchema).min(1).max(20_000),
  /** It answers, and is reset (CLUSTER RESET SOFT): else it would go on talking to the others. */
  reset: z.boolean(),
});

/** Nothing brings a node back that was reset: there is no undo, so that a rollback is refused and not half done. */
export const forgetStep = defineStep({
  schema,
  title: ({ node, reset }) => `Remove ${node.address} from the cluster${reset ? ' and reset it' : ''}`,
  nodes: ({ node }) => [node.id],

  async isDone(context, { node, members, reset }) {
    for (const { topology } of (await viewsOf(context, members)).values()) {
      if (topology.node(node.id) !== undefined || topology.handshakes.length > 0) return false;
    }
    if (!reset) return true;
    const { topology } = await viewOf(context, node.id);
    return topology.nodes.length === 1 && topology.handshakes.length === 0;
  },

  async apply(context, { node, members, reset }) {
    await requireNoSlots(context, node.id, members);
    // Reset, it hears nothing of what is published at the others.
    if (reset) await whileHeard(context, node.id);
    await forgetEverywhere(context, node, members, { reset });
  },
});

/** Somebody may have given it slots since: forgotten, they would be served by nobody. */
async function requireNoSlots(context: StepContext, id: string, members: readonly string[]): Promise<void> {
  for (const { topology } of (await viewsOf(context, [id, ...members])).values()) {
    const node = topology.node(id);
    const replicas = topology.nodes.filter(({ masterId }) => masterId === id);
    if ((node?.slots.length ?? 0) === 0 && replicas.length === 0) continue;
    const address = context.pool.label(id);
    const what = node?.slots.length ? 'slots' : 'replicas';
    throw new ForgeError('refused', `${address} has ${what}: it cannot be removed.`, {
      host: address,
      next: 'Look at it with forge cluster status.',
    });
  }
}

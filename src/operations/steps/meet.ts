/** A node joins the cluster. */
import * as z from 'zod';
import { isHandshake } from '../../cluster/cluster-node.js';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';
import { forgetEverywhere } from './forget-everywhere.js';
import { introduce, viewOf, waitUntil } from './views.js';

/** A node is not introduced again before this; a handshake takes up to 200 ms (clusterCron runs ten times a second). */
const MEET_AGAIN_MS = 400;

const schema = z.strictObject({
  kind: z.literal('meet'),
  /** Who joins. */
  node: nodeRefSchema,
  /** A member. */
  via: nodeRefSchema,
});

export const meetStep = defineStep({
  schema,
  title: ({ node }) => `Join ${node.address}`,
  nodes: ({ node }) => [node.id],
  isDone: (context, { node, via }) => knowEachOther(context, node, via),

  async apply(context, { node, via }) {
    let metAt = Number.NEGATIVE_INFINITY;
    await waitUntil(
      context,
      async () => {
        if (await knowEachOther(context, node, via)) return true;
        if (performance.now() - metAt < MEET_AGAIN_MS) return false;
        await introduce(context, via.id, node.id);
        metAt = performance.now();
        return false;
      },
      async () => {
        const { topology } = await viewOf(context, node.id);
        const busPort = topology.myself?.busPort;
        return new ForgeError('timeout', `${node.address} did not join within ${context.waitMs} ms.`, {
          host: node.address,
          next: `Check that ${via.address} and ${node.address} reach each other's cluster bus ports (${node.address}: ${busPort}).`,
        });
      },
    );
  },

  async undo(context, { node, via }) {
    const { topology } = await viewOf(context, node.id);
    if ((topology.myself?.slots.length ?? 0) > 0) {
      throw new ForgeError('refused', `${node.address} serves slots: it cannot be taken out of the cluster.`, {
        host: node.address,
        next: 'Move its slots away first.',
      });
    }
    const members = (await context.look()).topology.nodes.map(({ id }) => id);
    await forgetEverywhere(context, node, [...new Set([via.id, ...members])], { reset: true });
  },
});

async function knowEachOther(context: StepContext, node: NodeRef, via: NodeRef): Promise<boolean> {
  const [joined, member] = await Promise.all([viewOf(context, node.id), viewOf(context, via.id)]);
  const seen = member.topology.node(node.id);
  return seen !== undefined && !isHandshake(seen) && joined.topology.node(via.id) !== undefined;
}

/** A node becomes the replica of a master, and gets its data. */
import * as z from 'zod';
import { ForgeError } from '../../errors.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext } from '../step.js';
import { isSynced, waitForSync } from './synchronise.js';
import { introduce, viewOf, waitUntil } from './views.js';

const schema = z.strictObject({
  kind: z.literal('replicate'),
  node: nodeRefSchema,
  master: nodeRefSchema,
  /** Whose replica it is now; null for a master without slots. */
  previousMaster: z.nullable(nodeRefSchema),
});

export const replicateStep = defineStep({
  schema,
  title: ({ node, master }) => `Attach ${node.address} to ${master.address}`,
  nodes: ({ node }) => [node.id],

  async isDone(context, { node, master }) {
    return (await isReplicaOf(context, node, master.id)) && (await isSynced(context, node));
  },

  apply: (context, { node, master }) => attach(context, node, master),

  async undo(context, { node, master, previousMaster }) {
    if (previousMaster !== null) return attach(context, node, previousMaster);
    if (!(await isReplicaOf(context, node, master.id))) return;
    // Only a reset makes a replica a master without a vote; it forgets everybody, so somebody must introduce it again.
    await context.mutate(node.id, 'CLUSTER', 'RESET', 'SOFT');
    await waitUntil(
      context,
      async () => {
        const { topology } = await viewOf(context, node.id);
        if (topology.node(master.id) !== undefined) return true;
        await introduce(context, master.id, node.id);
        return false;
      },
      () => new ForgeError('timeout', `${node.address} did not come back as a master.`, { host: node.address }),
    );
  },
});

async function isReplicaOf(context: StepContext, node: NodeRef, masterId: string): Promise<boolean> {
  const { myself } = (await viewOf(context, node.id)).topology;
  return myself?.role === 'replica' && myself.masterId === masterId;
}

async function attach(context: StepContext, node: NodeRef, master: NodeRef): Promise<void> {
  if (!(await isReplicaOf(context, node, master.id))) {
    await waitUntil(
      context,
      async () => (await viewOf(context, node.id)).topology.node(master.id)?.role === 'master',
      () =>
        new ForgeError('timeout', `${node.address} does not know ${master.address} as a master.`, {
          host: node.address,
          next: 'Check that both reach each other’s cluster bus ports.',
        }),
    );
    await context.mutate(node.id, 'CLUSTER', 'REPLICATE', master.id);
  }
  await waitForSync(context, node, master.address);
}

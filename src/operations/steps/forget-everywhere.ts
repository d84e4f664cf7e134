/** Makes every node that answers forget a node. */
import { mapBounded } from '../../cluster/bounded.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef, StepContext } from '../step.js';
import { viewsOf, waitUntil } from './views.js';

const PARALLEL_MAX = 64;

/**
 * FORGET at all members until nobody has the node in its table. Redis bans a forgotten node for 60 seconds; as long as
 * all are told within that time, gossip does not bring it back.
 * @throws ForgeError `timeout` naming who still knows it
 */
export async function forgetEverywhere(context: StepContext, node: NodeRef, members: readonly string[]): Promise<void> {
  const others = members.filter((id) => id !== node.id);
  let knowing: string[] = [];
  await waitUntil(
    context,
    async () => {
      const views = await viewsOf(context, others);
      knowing = [...views].filter(([, { topology }]) => topology.node(node.id) !== undefined).map(([id]) => id);
      if (knowing.length === 0) return true;
      await mapBounded(knowing, PARALLEL_MAX, (id) => forget(context, id, node.id));
      return false;
    },
    () =>
      new ForgeError('timeout', `${knowing.length} nodes still know ${node.address} after ${context.waitMs} ms.`, {
        host: knowing[0] === undefined ? undefined : context.pool.label(knowing[0]),
        next: 'Run the same command again.',
      }),
  );
}

async function forget(context: StepContext, viewerId: string, id: string): Promise<void> {
  try {
    await context.mutate(viewerId, 'CLUSTER', 'FORGET', id);
  } catch (error) {
    // It was forgotten meanwhile.
    if (!/unknown node/i.test(replyErrorOf(error) ?? '')) throw error;
  }
}

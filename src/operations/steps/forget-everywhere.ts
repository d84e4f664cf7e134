/** Makes every node that answers forget a node. */
import { mapBounded } from '../../cluster/bounded.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef, StepContext } from '../step.js';
import { viewOf, viewsOf, waitUntil } from './views.js';

const PARALLEL_MAX = 64;

/**
 * FORGET at all members until nobody has the node in its table. Redis bans a forgotten node for 60 seconds; as long as
 * all are told within that time, gossip does not bring it back. A handshake that is under way would; so it is waited for.
 * @param options.reset the node itself answers, and is made to forget the others (CLUSTER RESET SOFT)
 * @throws ForgeError `timeout` naming who still knows it
 */
export async function forgetEverywhere(
  context: StepContext,
  node: NodeRef,
  members: readonly string[],
  options: { reset?: boolean } = {},
): Promise<void> {
  const others = members.filter((id) => id !== node.id);
  let left: string[] = [];
  await waitUntil(
    context,
    async () => {
      const reset = options.reset === true && !(await isAlone(context, node.id));
      if (reset) await context.mutate(node.id, 'CLUSTER', 'RESET', 'SOFT');
      const views = [...(await viewsOf(context, others))];
      const knowing = views.filter(([, { topology }]) => topology.node(node.id) !== undefined).map(([id]) => id);
      const meeting = views.filter(([, { topology }]) => topology.handshakes.length > 0).map(([id]) => id);
      left = [...new Set([...knowing, ...meeting])];
      await mapBounded(knowing, PARALLEL_MAX, (id) => forget(context, id, node.id));
      return left.length === 0 && !reset;
    },
    () =>
      new ForgeError('timeout', `${left.length} nodes still know ${node.address} after ${context.waitMs} ms.`, {
        host: left[0] === undefined ? undefined : context.pool.label(left[0]),
        next: 'Run the same command again.',
      }),
  );
}

async function isAlone(context: StepContext, id: string): Promise<boolean> {
  const { topology } = await viewOf(context, id);
  return topology.nodes.length === 1 && topology.handshakes.length === 0;
}

async function forget(context: StepContext, viewerId: string, id: string): Promise<void> {
  try {
    await context.mutate(viewerId, 'CLUSTER', 'FORGET', id);
  } catch (error) {
    // It was forgotten meanwhile.
    if (!/unknown node/i.test(replyErrorOf(error) ?? '')) throw error;
  }
}

/** A node that forge has not started: it can only be asked, and DEBUG SLEEP is what it can be asked for. */
import { connectNode } from '../../../cluster/node-connection.js';
import type { NodePool } from '../../../cluster/node-pool.js';
import { ForgeError } from '../../../errors.js';
import type { Reach, Reached } from './reach.js';

const SECOND_MS = 1_000;
/** What a server that has slept may need until its answer is here. */
const ANSWER_MS = 10_000;

/**
 * DEBUG SLEEP stops the whole server, cluster bus and all, and ends by itself: so it hangs and can always go on. Servers
 * take the command only where `enable-debug-command` says so.
 */
export async function debugReach(pool: NodePool, node: Reached): Promise<Reach> {
  const connection = await pool.get(node.id);
  const refusal = await connection.call('DEBUG', 'SLEEP', '0').then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof ForgeError) return error;
      throw error;
    },
  );
  const notOurs = 'forge has neither started nor deployed it';
  if (refusal !== undefined) return { words: `${notOurs}, and it takes no DEBUG` };
  return {
    words: notOurs,
    hang: async (forMs) => {
      const { host, port } = node;
      const own = await connectNode({ host, port, ...pool.settings, commandTimeoutMs: forMs + ANSWER_MS });
      // Answered when it is over; then nobody listens any more.
      own
        .call('DEBUG', 'SLEEP', String(forMs / SECOND_MS))
        .catch(() => undefined)
        .finally(() => own.close());
    },
    wake: async () => false,
  };
}

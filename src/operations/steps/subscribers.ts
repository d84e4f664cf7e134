/** Subscribers of a node that is about to leave. */
import { pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import type { StepContext } from '../step.js';

/** The proxy needs a second and a half from the moment that it knows the new roles. */
const SUBSCRIBERS_MS = 3_000;
const LOOK_MS = 100;

/**
 * Clients that follow the roles, such as the proxy, take their subscriptions away from a master that serves no slots any
 * more, without losing a message: they are given the time for it. Others stay, and are not waited for.
 */
export async function whileHeard(context: StepContext, id: string): Promise<void> {
  const begun = performance.now();
  while (performance.now() - begun < SUBSCRIBERS_MS) {
    const connection = await context.pool.get(id);
    const clients = await connection.callText('CLIENT', 'LIST', 'TYPE', 'pubsub').catch((error: unknown) => {
      // Its user may not ask; what is wrong with the node is told by the next command.
      if (error instanceof ForgeError) return '';
      throw error;
    });
    if (clients.trim() === '') return;
    await pause(LOOK_MS, context.signal);
  }
}

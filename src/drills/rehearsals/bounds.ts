/** What rehearsals must show. */
import type { Bounds } from '../verdict.js';

/** Of what is planned clients see nothing but a pause. */
export const PLANNED: Bounds = { errors: 0, losses: 0, longestPauseMs: 1_000 };

/** What the proxy and its clients may need beyond the cluster's own time to notice a loss. */
const NOTICE_MS = 2_000;
/** How much longer than for a client that knows the cluster itself. */
export const BEYOND_MS = 300;

/**
 * Of what is sudden: errors of what was in flight, and what asynchronous replication may lose; the service is back soon.
 * @param nodeTimeoutMs `cluster-node-timeout`
 * @param replicas writes are acknowledged by so many: then none may be lost
 */
export function sudden(nodeTimeoutMs: number, replicas: number): Bounds {
  const bounds = { longestPauseMs: nodeTimeoutMs + NOTICE_MS, pauseBeyondMs: BEYOND_MS };
  return replicas > 0 ? { ...bounds, losses: 0 } : bounds;
}

/**
 * Whether a master that gives its last slot away becomes a replica of whoever got it, with its replicas after it:
 * `cluster-allow-replica-migration`, which came with Redis 7 and is on by default.
 */
import { settleBounded } from '../bounded.js';
import type { NodePool } from '../node-pool.js';
import type { ClusterSnapshot } from './snapshot.js';

export const FOLLOW_SETTING = 'cluster-allow-replica-migration';
const PARALLEL_MAX = 64;

/** The reply of CONFIG GET says that nodes follow their slots. */
export function followsSlots(reply: unknown): boolean {
  return Array.isArray(reply) && reply[1] === 'yes';
}

/** Ids of the members that follow their slots; without those where CONFIG is not allowed, which cannot be changed either. */
export async function readFollowing(pool: NodePool, snapshot: ClusterSnapshot): Promise<ReadonlySet<string>> {
  const ids = snapshot.reports.map(({ id }) => id);
  const results = await settleBounded(ids, PARALLEL_MAX, async (id) =>
    followsSlots(await (await pool.get(id)).call('CONFIG', 'GET', FOLLOW_SETTING)),
  );
  return new Set(ids.filter((_, index) => results[index]?.status === 'fulfilled' && results[index]?.value));
}

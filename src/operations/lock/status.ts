/** Who holds the lock of a cluster, and its release by force. */
import type { NodeConnection } from '../../cluster/node-connection.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { expirySecondsOf } from './judge.js';
import { killOwners, listClaims, openLockConnections } from './lock-nodes.js';
import { type LockOwner, workName } from './name.js';

export interface LockStatus {
  readonly owner: LockOwner;
  readonly phase: 'asking' | 'holding';
  /** Ids of the nodes that know of it. */
  readonly nodeIds: readonly string[];
  /** The shortest silence that any node tells. */
  readonly idleSeconds: number;
  readonly expired: boolean;
}

/** Everybody who holds the lock or asks for it; nobody is the usual answer. */
export async function lockStatus(pool: NodePool, nodeIds: readonly string[]): Promise<LockStatus[]> {
  return withConnections(pool, nodeIds, async (connections) => {
    const found = new Map<string, LockStatus>();
    const all = await listClaims(connections);
    for (const [nodeId, claims] of all) {
      for (const { owner, phase, idleSeconds } of claims) {
        const before = found.get(owner.token);
        const idle = Math.min(idleSeconds, before?.idleSeconds ?? idleSeconds);
        found.set(owner.token, {
          owner,
          phase: before?.phase === 'holding' ? 'holding' : phase,
          nodeIds: [...(before?.nodeIds ?? []), nodeId],
          idleSeconds: idle,
          expired: idle >= expirySecondsOf(all, owner.token),
        });
      }
    }
    return [...found.values()];
  });
}

/**
 * Takes the lock from its owner, whatever it does at the moment: all its connections are closed at the servers.
 * @returns how many connections were closed; 0 when there was no such owner any more
 */
export async function releaseLock(pool: NodePool, nodeIds: readonly string[], token: string): Promise<number> {
  return withConnections(pool, nodeIds, (connections) => killOwners(connections, [token]));
}

async function withConnections<Result>(
  pool: NodePool,
  nodeIds: readonly string[],
  work: (connections: Map<string, NodeConnection>) => Promise<Result>,
): Promise<Result> {
  const connections = await openLockConnections(pool, nodeIds, workName('status'));
  try {
    return await work(connections);
  } finally {
    for (const connection of connections.values()) connection.close();
  }
}

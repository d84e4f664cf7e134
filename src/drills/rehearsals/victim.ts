/** The nodes that something is done to. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Shard } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { chooseNode } from '../../operations/planners/node-choice.js';
import type { ClusterSession } from '../../operations/session.js';
import type { Reached } from './reach/reach.js';

/** As forge reaches it. @throws ForgeError `unreachable` for a node that does not answer */
export function reachedOf(snapshot: ClusterSnapshot, id: string): Reached {
  const report = snapshot.report(id);
  if (report === undefined) {
    throw new ForgeError('unreachable', `${snapshot.addressOf(id)} does not answer.`, { host: snapshot.addressOf(id) });
  }
  return { id, address: report.address, host: report.ip, port: report.port };
}

/**
 * The master that is to be lost: the named one, else the first whose replica can take over.
 * @throws ForgeError `usage` for an unknown node, `refused` for one that is no master of slots or has no replica
 */
export function chooseMaster(snapshot: ClusterSnapshot, named?: string): Shard {
  const serving = snapshot.topology.shards.filter(({ master }) => master.slots.length > 0);
  const id = named === undefined ? undefined : chooseNode(snapshot, named);
  const shard = id === undefined ? serving.find(({ replicas }) => replicas.length > 0) : snapshot.topology.shardOf(id);
  if (shard === undefined || (id !== undefined && shard.master.id !== id) || shard.master.slots.length === 0) {
    throw new ForgeError('refused', id === undefined ? 'No master has a replica.' : `${named} is no master of slots.`, {
      next: 'Look at the roles: forge cluster status.',
    });
  }
  if (shard.replicas.length > 0) return shard;
  const address = snapshot.addressOf(shard.master.id);
  throw new ForgeError('refused', `${address} has no replica that could take over.`, {
    host: address,
    next: `Add one first: forge scale add HOST:PORT --role replica --replica-of ${address}`,
  });
}

/** Milliseconds after which the others hold a silent node for dead. */
export async function nodeTimeoutOf({ pool }: ClusterSession, id: string): Promise<number> {
  const reply = await (await pool.get(id)).call('CONFIG', 'GET', 'cluster-node-timeout');
  const value = Array.isArray(reply) ? Number(reply[1]) : Number.NaN;
  return Number.isFinite(value) && value > 0 ? value : NODE_TIMEOUT_MS;
}

/** Redis's own. */
const NODE_TIMEOUT_MS = 15_000;

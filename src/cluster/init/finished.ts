/** Whether the nodes are a finished cluster already, of the shape that is asked for. Pure. */
import { ForgeError } from '../../errors.js';
import { SLOT_COUNT, sameSlots } from '../slots.js';
import type { Topology } from '../topology.js';
import type { Member } from './member.js';
import type { InitPlan } from './plan.js';

/**
 * The agreed topology when exactly these nodes form one healthy cluster: all 16,384 slots served, everybody of the same
 * mind, every replica linked. Which node leads which shard does not matter; a failover may have changed it.
 */
export function agreedTopology(members: readonly Member[]): Topology | undefined {
  const [first] = members;
  if (first === undefined) return undefined;
  const { topology } = first.view;
  const ids = new Set(members.map(({ id }) => id));
  const healthy = members.every(
    ({ view: { topology: seen, cluster, replication } }) =>
      seen.signature === topology.signature &&
      seen.nodes.length === members.length &&
      seen.nodes.every((node) => ids.has(node.id)) &&
      cluster.state === 'ok' &&
      cluster.slotsOk === SLOT_COUNT &&
      (replication.role === 'master' || replication.synced),
  );
  return healthy && topology.uncovered.length === 0 && topology.orphans.length === 0 ? topology : undefined;
}

const sizes = (counts: readonly number[]) => [...counts].sort((left, right) => left - right).join();

/** Same number of masters, and the same numbers of replicas behind them; and the same slots, where these were given. */
export function hasShapeOf(topology: Topology, plan: InitPlan): boolean {
  return (
    topology.shards.every(({ master }) => master.slots.length > 0) &&
    sizes(topology.shards.map(({ replicas }) => replicas.length)) ===
      sizes(plan.shards.map(({ replicas }) => replicas.length)) &&
    (!plan.assigned ||
      plan.shards.every(({ slots }) => topology.shards.some(({ master }) => sameSlots(master.slots, slots))))
  );
}

/** The refusal of a healthy cluster that is not the planned one. */
export function otherShape({ shards }: Topology): ForgeError {
  const replicas = shards.map(({ replicas }) => replicas.length).join(', ');
  return new ForgeError(
    'refused',
    `These nodes already form a cluster, of another shape: ${shards.length} masters with ${replicas} replicas.`,
    { next: 'Give the --replicas-per-master that it was made with, or other nodes.' },
  );
}

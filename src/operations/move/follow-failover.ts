/** A move goes on when one of its two masters was failed over: with the master that has its slots now. Pure. */
import type { ClusterNode } from '../../cluster/cluster-node.js';
import { intersectSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { NodeRef } from '../step.js';
import type { SlotMove } from './mover.js';

/**
 * The same move between the masters of today. A node that is a replica now stands for its master. Of one that is dead, or is back
 * and has not heard yet that it is a master no more, the successor is the one that serves slots of this move and is not the other
 * of the two: while the cluster is locked, slots change hands by failovers only. Where there is no such one, the node
 * stays, and what needs it says so.
 */
export function followFailover(snapshot: ClusterSnapshot, move: SlotMove): SlotMove {
  const source = follow(snapshot, move.source, move.target, move);
  return { ...move, source, target: follow(snapshot, move.target, source, move) };
}

function follow(snapshot: ClusterSnapshot, node: NodeRef, other: NodeRef, { slots }: SlotMove): NodeRef {
  const { topology } = snapshot;
  const own = snapshot.report(node.id)?.myself;
  if (own?.role === 'master' && !isOutdated(snapshot, own, { slots, other })) return node;
  const refOf = (id: string) => ({ id, address: snapshot.addressOf(id) });
  const masterId = topology.node(node.id)?.masterId;
  if (masterId !== undefined && topology.node(masterId)?.role === 'master') return refOf(masterId);
  const owners = topology.masters.filter(
    (master) => master.id !== other.id && master.id !== node.id && intersectSlots(master.slots, slots).length > 0,
  );
  const [owner] = owners;
  return owners.length === 1 && owner !== undefined ? refOf(owner.id) : node;
}

/** Somebody else has slots of this move that it has by its own word, and by a newer claim. */
function isOutdated(
  snapshot: ClusterSnapshot,
  own: ClusterNode,
  { slots, other }: { slots: SlotMove['slots']; other: NodeRef },
): boolean {
  const claimed = intersectSlots(own.slots, slots);
  return snapshot.reports.some(
    ({ id, myself }) =>
      id !== own.id &&
      id !== other.id &&
      myself.role === 'master' &&
      myself.configEpoch > own.configEpoch &&
      intersectSlots(myself.slots, claimed).length > 0,
  );
}

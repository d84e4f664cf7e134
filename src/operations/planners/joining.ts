/** The nodes that an operator names to join: who answers at these addresses, and whether it is a member already. Pure. */
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import type { ClusterNode } from '../../cluster/cluster-node.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { type Place, placeOf } from './placement.js';

export interface Joining {
  readonly id: string;
  /** As it was typed, without the zone. */
  readonly address: string;
  readonly place: Place;
  /** As the cluster sees it; undefined for a node that is to join. */
  readonly member: ClusterNode | undefined;
  readonly hasReplicas: boolean;
}

/**
 * The nodes at these addresses, in their order.
 * @throws ForgeError `usage` for a node that was named twice; what the node answered for one that cannot be reached
 */
export function joiningNodes(snapshot: ClusterSnapshot, addresses: readonly NodeAddress[]): Joining[] {
  const found = new Map<string, Joining>();
  for (const address of addresses) {
    const label = formatAddress(address);
    const report = [...snapshot.strangers, ...snapshot.reports].find((each) => each.address === label);
    const member = report === undefined ? snapshot.topology.find(address.host, address.port) : undefined;
    const id = report?.id ?? member?.id;
    if (id === undefined || (report === undefined && snapshot.report(id) === undefined)) throw silent(snapshot, label);
    const twin = found.get(id);
    if (twin !== undefined) {
      throw new ForgeError('usage', `${twin.address} and ${label} are the same node.`, { next: 'Name it once.' });
    }
    const node = snapshot.topology.node(id);
    found.set(id, {
      id,
      address: label,
      place: placeOf(snapshot, node ?? { id, ip: '', zone: report?.myself.zone }, address.zone),
      member: node,
      hasReplicas: (snapshot.topology.shardOf(id)?.replicas.length ?? 0) > 0 && node?.role === 'master',
    });
  }
  return [...found.values()];
}

function silent(snapshot: ClusterSnapshot, label: string): ForgeError {
  const failure = snapshot.failures.find(({ address }) => address === label);
  return new ForgeError(failure?.kind ?? 'unreachable', failure?.message ?? `${label} does not answer.`, {
    host: label,
    next:
      failure?.kind === 'denied'
        ? 'A node that joins takes the same user and password as the members: set requirepass and masterauth, or the ACL user, on it first.'
        : 'A node must run in cluster mode, empty, and reachable from here and from all members before it can join.',
  });
}

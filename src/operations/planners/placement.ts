/** Which master an additional replica follows: where replicas are fewest, off the master's host and zone. Pure. */

import type { ClusterNode } from '../../cluster/cluster-node.js';
import { hostIdentity } from '../../cluster/init/admission.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { listed } from './node-choice.js';

export interface Place {
  readonly id: string;
  /** What fails together: equal for nodes on one host. */
  readonly host: string;
  /** Unknown zones are no reason against anything. */
  readonly zone?: string;
}

export interface PlacedMaster extends Place {
  /** Replicas that it has and keeps. */
  readonly replicas: readonly Place[];
}

/** Where a member or a node that is to join is. */
export function placeOf(
  snapshot: ClusterSnapshot,
  node: Pick<ClusterNode, 'id' | 'ip' | 'zone'>,
  zone?: string,
): Place {
  const found = snapshot.report(node.id) ?? snapshot.strangers.find(({ id }) => id === node.id);
  const known = zone ?? node.zone;
  return {
    id: node.id,
    host: hostIdentity(node.ip === '' ? (found?.ip ?? '') : node.ip),
    ...(known === undefined ? {} : { zone: known }),
  };
}

/** A member with its replicas, except those that are to go elsewhere. */
export function placedMaster(snapshot: ClusterSnapshot, id: string, without: ReadonlySet<string>): PlacedMaster {
  const shard = snapshot.topology.shardOf(id);
  const replicas = (shard?.replicas ?? []).filter((replica) => !without.has(replica.id));
  return {
    ...placeOf(snapshot, shard?.master ?? { id, ip: '' }),
    replicas: replicas.map((replica) => placeOf(snapshot, replica)),
  };
}

/** What could not be had, in words. */
export function placementNotes(
  snapshot: ClusterSnapshot,
  chosen: ReadonlyMap<string, string>,
  places: readonly Place[],
): string[] {
  const byId = new Map(places.map((place) => [place.id, place]));
  const sharing = (shares: (left: Place, right: Place) => boolean) =>
    [...chosen].flatMap(([node, master]) => {
      const [left, right] = [byId.get(node), byId.get(master)];
      return left !== undefined && right !== undefined && shares(left, right) ? [snapshot.addressOf(node)] : [];
    });
  const note = (what: string, names: readonly string[]) => {
    return names.length === 0
      ? []
      : [`In the same ${what} as their master, for want of another arrangement: ${listed(names)}.`];
  };
  const onHost = sharing(sharesHost);
  const inZone = sharing(sharesZone).filter((address) => !onHost.includes(address));
  return [
    ...note('host', onHost).map((text) => text.replace('In the same host', 'On the same host')),
    ...note('zone', inZone),
  ];
}

const sharesHost = (left: Place, right: Place) => left.host === right.host;
const sharesZone = (left: Place, right: Place) => left.zone !== undefined && left.zone === right.zone;

interface Group {
  readonly master: PlacedMaster;
  readonly placed: Place[];
}

const sizeOf = ({ master, placed }: Group) => master.replicas.length + placed.length;

/** Every exchange makes the sum of costs smaller or is the last; the bound only guards against a fault here. */
const PASSES_MAX = 100;

/**
 * Master by replica. In this order: no master has two replicas more than another that got none; as few replicas as
 * possible are on their master's host; then in its zone; then replicas of one master beside each other.
 *
 * The two in the middle are found by augmenting paths, so that "as few as possible" is true and not an attempt.
 * @throws RangeError without a master
 */
export function placeReplicas(masters: readonly PlacedMaster[], nodes: readonly Place[]): Map<string, string> {
  if (masters.length === 0) throw new RangeError('replicas need a master');
  const groups: Group[] = masters.map((master) => ({ master, placed: [] }));
  for (const node of nodes) bestFor(groups, node).placed.push(node);
  improve(groups, (master, node) => !sharesHost(master, node));
  improve(groups, (master, node) => !sharesHost(master, node) && !sharesZone(master, node));
  separateSiblings(groups);
  return new Map(groups.flatMap(({ master, placed }) => placed.map(({ id }) => [id, master.id])));
}

function bestFor(groups: readonly Group[], node: Place): Group {
  const least = groups.reduce((size, group) => Math.min(size, sizeOf(group)), Number.POSITIVE_INFINITY);
  let best = groups[0] as Group;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const group of groups) {
    if (sizeOf(group) > least) continue;
    const cost = costOf(group, node);
    if (cost < bestCost) [best, bestCost] = [group, cost];
    if (cost === 0) break;
  }
  return best;
}

/** A factor is larger than what all lower costs can be together. `leaving` is no sibling any more. */
function costOf({ master, placed }: Group, node: Place, leaving?: Place): number {
  let cost = 0;
  if (sharesHost(master, node)) cost += 1e9;
  if (sharesZone(master, node)) cost += 1e6;
  for (const siblings of [master.replicas, placed]) {
    for (const sibling of siblings) {
      if (sibling === node || sibling === leaving) continue;
      if (sharesHost(sibling, node)) cost += 1e3;
      if (sharesZone(sibling, node)) cost += 1;
    }
  }
  return cost;
}

type Fits = (master: Place, node: Place) => boolean;

/** Makes as many replicas as possible fit, without making another unfit, and without changing how many each master has. */
function improve(groups: readonly Group[], fits: Fits): void {
  for (const group of groups) {
    for (const node of [...group.placed]) if (!fits(group.master, node)) augment(groups, group, node, fits);
  }
}

/** How the chain came to a master. */
interface Hop {
  /** The replica that moves there from `from`; undefined when `from` gets one more than before, and this one less. */
  readonly node?: Place;
  readonly from: Group;
}

/** Finds the shortest chain of moves by which `node` gets to a master that it fits, and carries it out. */
function augment(groups: readonly Group[], start: Group, node: Place, fits: Fits): void {
  const reached = new Map<Group, Hop>();
  const queue: Group[] = [];
  const reach = (hop: Hop, accepts: (group: Group) => boolean) => {
    for (const group of groups) {
      if (group === start || reached.has(group) || !accepts(group)) continue;
      reached.set(group, hop);
      queue.push(group);
    }
  };
  reach({ node, from: start }, ({ master }) => fits(master, node));
  for (const group of queue) {
    const size = sizeOf(group);
    const gains = reached.get(group)?.node !== undefined;
    // The chain ends where there is room, or with a replica that takes the place that became free.
    if (gains && size < sizeOf(start)) {
      carryOut(reached, group, start);
      return;
    }
    const last = group.placed.find((other) => takesPlace(group, start, other, fits));
    if (last !== undefined) {
      move(last, group, start);
      carryOut(reached, group, start);
      return;
    }
    for (const other of group.placed) {
      if (fits(group.master, other)) reach({ node: other, from: group }, ({ master }) => fits(master, other));
    }
    // Who has one more than others may be another than before.
    if (gains) reach({ from: group }, (richer) => sizeOf(richer) === size + 1 && richer.placed.length > 0);
  }
}

/** A replica that does not fit where it is may as well not fit elsewhere. */
function takesPlace(from: Group, to: Group, node: Place, fits: Fits): boolean {
  if (fits(from.master, node)) return fits(to.master, node);
  return Number(sharesHost(to.master, node)) <= Number(sharesHost(from.master, node));
}

function carryOut(reached: ReadonlyMap<Group, Hop>, last: Group, start: Group): void {
  for (let to = last; to !== start; ) {
    const { node, from } = reached.get(to) as Hop;
    if (node !== undefined) move(node, from, to);
    to = from;
  }
}

function move(node: Place, from: Group, to: Group): void {
  from.placed.splice(from.placed.indexOf(node), 1);
  to.placed.push(node);
}

/** Exchanges two replicas as long as that lowers the sum of costs. */
function separateSiblings(groups: readonly Group[]): void {
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    let better = false;
    for (const group of groups) {
      for (const node of [...group.placed]) {
        if (costOf(group, node) > 0 && exchange(groups, group, node)) better = true;
      }
    }
    if (!better) return;
  }
}

function exchange(groups: readonly Group[], group: Group, node: Place): boolean {
  for (const other of groups) {
    if (other === group) continue;
    for (const partner of other.placed) {
      const before = costOf(group, node) + costOf(other, partner);
      const after = costOf(group, partner, node) + costOf(other, node, partner);
      if (after >= before) continue;
      move(node, group, other);
      move(partner, other, group);
      return true;
    }
  }
  return false;
}

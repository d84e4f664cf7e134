/** Which replica follows which master: greedy first, then exchanges of two replicas until none makes it better. */
import { type Places, tally } from './spread.js';

/**
 * Costs of one shard, the more important first. A factor is larger than the largest sum of the next lower cost, which
 * is the number of replicas of one shard.
 */
const COST = { host: 1e12, zone: 1e8, siblingHost: 1e4, siblingZone: 1 };

/** Every pass makes the sum of costs smaller or is the last; the bound only guards against a fault here. */
const PASSES_MAX = 1_000;

/**
 * How many replicas each master gets: all the same, and what is left over one each to the masters whose host and zone
 * have the most room for replicas elsewhere.
 */
export function placeExtraReplicas(places: Places, masters: readonly number[]): number[] {
  const replicas = places.host.length - masters.length;
  const base = Math.floor(replicas / masters.length);
  const quotas = masters.map(() => base);
  const room = (key: keyof Places) => {
    const nodes = tally(places[key]);
    const led = tally(masters.map((master) => places[key][master] as number));
    const left = new Map<number, number>();
    for (const [place, count] of nodes) {
      const x = led.get(place) ?? 0;
      left.set(place, replicas - (count - x) - base * x);
    }
    return left;
  };
  const hostRoom = room('host');
  const zoneRoom = room('zone');
  for (let extra = replicas - base * masters.length; extra > 0; extra--) {
    let best = -1;
    let bestRoom = Number.NEGATIVE_INFINITY;
    for (const [position, master] of masters.entries()) {
      if ((quotas[position] as number) > base) continue;
      // Room beyond one is equally good; hosts matter more than zones.
      const host = Math.min(1, hostRoom.get(places.host[master] as number) ?? 0);
      const zone = Math.min(1, zoneRoom.get(places.zone[master] as number) ?? 0);
      const score = host * places.host.length * 2 + zone;
      if (score > bestRoom) {
        best = position;
        bestRoom = score;
      }
    }
    quotas[best] = base + 1;
    const host = places.host[masters[best] as number] as number;
    const zone = places.zone[masters[best] as number] as number;
    hostRoom.set(host, (hostRoom.get(host) ?? 0) - 1);
    zoneRoom.set(zone, (zoneRoom.get(zone) ?? 0) - 1);
  }
  return quotas;
}

/** What adding `node` to a shard costs, given its master and the replicas that it has. */
function costOf(places: Places, master: number, siblings: readonly number[], node: number): number {
  const host = places.host[node];
  const zone = places.zone[node];
  let cost = 0;
  if (places.host[master] === host) cost += COST.host;
  if (places.zone[master] === zone) cost += COST.zone;
  if (siblings.some((sibling) => places.host[sibling] === host)) cost += COST.siblingHost;
  if (siblings.some((sibling) => places.zone[sibling] === zone)) cost += COST.siblingZone;
  return cost;
}

function shardCost(places: Places, master: number, replicas: readonly number[]): number {
  let cost = 0;
  for (const [position, node] of replicas.entries()) {
    cost += costOf(places, master, replicas.slice(0, position), node);
  }
  return cost;
}

/**
 * Replicas per master, in the order of `masters`; every node that is no master is used once.
 *
 * Exchanging two replicas is enough to keep all of them off their master's host (and zone) when the masters allow it:
 * if a replica shares the host `h` of its master, some replica that is not on `h` follows a master that is not on `h`,
 * for otherwise `h` would hold more replicas than there are places elsewhere; the two change places.
 */
export function pairReplicas(places: Places, masters: readonly number[], quotas: readonly number[]): number[][] {
  const groups = assignGreedily(places, masters, quotas);
  const costs = groups.map((replicas, position) => shardCost(places, masters[position] as number, replicas));
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    let better = false;
    for (const position of groups.keys()) {
      if (costs[position] !== 0 && improve(places, masters, groups, costs, position)) better = true;
    }
    if (!better) break;
  }
  return groups.map((replicas) => replicas.sort((left, right) => left - right));
}

function assignGreedily(places: Places, masters: readonly number[], quotas: readonly number[]): number[][] {
  const leads = new Set(masters);
  const free = new Set([...places.host.keys()].filter((node) => !leads.has(node)));
  const waiting = tally([...free].map((node) => places.host[node] as number));
  const groups: number[][] = masters.map(() => []);
  const rounds = quotas.reduce((most, quota) => Math.max(most, quota), 0);
  for (let round = 0; round < rounds; round++) {
    for (const [position, master] of masters.entries()) {
      if ((quotas[position] as number) <= round) continue;
      const group = groups[position] as number[];
      let best = -1;
      let bestCost = Number.POSITIVE_INFINITY;
      let bestWaiting = 0;
      for (const node of free) {
        const cost = costOf(places, master, group, node);
        // Among equals from the host with the most nodes left: they are the hardest to place later.
        const left = waiting.get(places.host[node] as number) ?? 0;
        if (cost < bestCost || (cost === bestCost && left > bestWaiting)) {
          best = node;
          bestCost = cost;
          bestWaiting = left;
        }
      }
      free.delete(best);
      waiting.set(places.host[best] as number, bestWaiting - 1);
      group.push(best);
    }
  }
  return groups;
}

/** Makes the first exchange between this shard and another that lowers the sum of their costs. */
function improve(
  places: Places,
  masters: readonly number[],
  groups: number[][],
  costs: number[],
  position: number,
): boolean {
  const mine = groups[position] as number[];
  for (const own of mine.keys()) {
    for (const [other, theirs] of groups.entries()) {
      if (other === position) continue;
      for (const their of theirs.keys()) {
        const before = (costs[position] as number) + (costs[other] as number);
        exchange(mine, own, theirs, their);
        const mineNow = shardCost(places, masters[position] as number, mine);
        const theirsNow = shardCost(places, masters[other] as number, theirs);
        if (mineNow + theirsNow < before) {
          costs[position] = mineNow;
          costs[other] = theirsNow;
          return true;
        }
        exchange(mine, own, theirs, their);
      }
    }
  }
  return false;
}

function exchange(left: number[], leftIndex: number, right: number[], rightIndex: number): void {
  const kept = left[leftIndex] as number;
  left[leftIndex] = right[rightIndex] as number;
  right[rightIndex] = kept;
}

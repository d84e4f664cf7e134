/** Which nodes become masters: evenly over zones and hosts, and so that their replicas find a place elsewhere. */

/** Per node, by index: the number of its host and of its zone. */
export interface Places {
  readonly host: readonly number[];
  readonly zone: readonly number[];
}

/** How often each number occurs. */
export function tally(values: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/**
 * How many masters a place (a host or a zone) may have so that no replica must share its master's place.
 *
 * A place with `n` nodes, `x` of them masters, has `n - x` replicas; they, and the `r·x` replicas that its masters want
 * from elsewhere, together must not exceed the `R` replicas there are: `n - x + r·x <= R`. By Hall's theorem that is
 * also enough, because two places never compete.
 */
function mastersMax(nodes: number, replicas: number, perMaster: number): number {
  if (perMaster <= 1) return Number.POSITIVE_INFINITY;
  return Math.floor((replicas - nodes) / (perMaster - 1));
}

/** Indexes of the masters, in the order in which they get their slots. `count` must not exceed the nodes. */
export function pickMasters(places: Places, count: number, zoned: boolean): number[] {
  const replicas = places.host.length - count;
  const perMaster = Math.floor(replicas / count);
  const limit = (nodes: number) => mastersMax(nodes, replicas, perMaster);
  const hostNodes = tally(places.host);
  const zoneNodes = tally(places.zone);
  const hostMasters = new Map<number, number>();
  const zoneMasters = new Map<number, number>();
  const free = new Set(places.host.keys());
  const masters: number[] = [];
  while (masters.length < count) {
    let best = -1;
    let bestCost = [Number.POSITIVE_INFINITY];
    for (const node of free) {
      const host = places.host[node] as number;
      const zone = places.zone[node] as number;
      const onHost = hostMasters.get(host) ?? 0;
      const inZone = zoned ? (zoneMasters.get(zone) ?? 0) : 0;
      const hostFull = onHost >= limit(hostNodes.get(host) ?? 0) ? 1 : 0;
      const zoneFull = zoned && inZone >= limit(zoneNodes.get(zone) ?? 0) ? 1 : 0;
      const cost = [hostFull, zoneFull, inZone, onHost];
      if (isLess(cost, bestCost)) {
        best = node;
        bestCost = cost;
      }
    }
    free.delete(best);
    masters.push(best);
    const host = places.host[best] as number;
    const zone = places.zone[best] as number;
    hostMasters.set(host, (hostMasters.get(host) ?? 0) + 1);
    zoneMasters.set(zone, (zoneMasters.get(zone) ?? 0) + 1);
  }
  return masters;
}

/** Lexicographic order of equally long lists; an infinite first number is greater than everything. */
function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? Number.POSITIVE_INFINITY;
    if (value !== other) return value < other;
  }
  return false;
}

/** Replicas that go to other masters because of nodes that leave. Pure. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { type PlacedMaster, placedMaster, placeOf, placeReplicas } from './placement.js';

export interface Rehoming {
  /** New master by replica. */
  readonly attachments: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/**
 * Replicas of removed masters go where replicas are fewest. A master that loses its last replica gets one of a master
 * that has two or more; where there is none, a note says so.
 */
export function rehome(snapshot: ClusterSnapshot, removed: ReadonlySet<string>): Rehoming {
  const { topology } = snapshot;
  const lives = (id: string) => snapshot.report(id) !== undefined;
  const gone = new Set([...removed, ...topology.nodes.filter(({ id }) => !lives(id)).map(({ id }) => id)]);
  const stranded = topology.shards
    .filter(({ master }) => removed.has(master.id))
    .flatMap(({ replicas }) => replicas.filter(({ id }) => !removed.has(id) && lives(id)));
  const masters = topology.shards
    .filter(({ master }) => master.slots.length > 0 && !removed.has(master.id) && lives(master.id))
    .map(({ master }) => placedMaster(snapshot, master.id, gone));
  if (stranded.length > 0 && masters.length === 0) {
    throw new ForgeError('refused', `${snapshot.addressOf(stranded[0]?.id ?? '')} would have no master to follow.`, {
      next: 'Add a master first, or remove the replicas, too: --with-replicas.',
    });
  }
  const attachments = new Map(
    stranded.length === 0
      ? []
      : placeReplicas(
          masters,
          stranded.map((node) => placeOf(snapshot, node)),
        ),
  );
  const notes: string[] = [];
  let groups = masters.map((master) => ({ ...master, incoming: countOf(attachments, master.id) }));
  for (const bare of groups) {
    const before = topology.shardOf(bare.id)?.replicas ?? [];
    if (!before.some(({ id }) => removed.has(id)) || bare.replicas.length + bare.incoming > 0) continue;
    const spare = spareFor(bare, groups);
    if (spare === undefined) {
      notes.push(`${snapshot.addressOf(bare.id)} has no replica afterwards: when it fails, nobody serves its slots.`);
      continue;
    }
    attachments.set(spare.replica, bare.id);
    groups = groups.map((group) =>
      group.id === spare.from ? { ...group, replicas: group.replicas.filter(({ id }) => id !== spare.replica) } : group,
    );
  }
  return { attachments, notes };
}

function countOf(attachments: ReadonlyMap<string, string>, master: string): number {
  return [...attachments.values()].filter((each) => each === master).length;
}

/** A replica of the master that has the most, off the host and zone of its new one where there is such. */
function spareFor(
  bare: PlacedMaster,
  groups: readonly (PlacedMaster & { incoming: number })[],
): { replica: string; from: string } | undefined {
  const richest = groups.filter(({ id, replicas, incoming }) => id !== bare.id && replicas.length + incoming >= 2);
  const candidates = richest.flatMap(({ id, replicas, incoming }) =>
    replicas.map((replica) => ({
      replica: replica.id,
      from: id,
      cost: [
        Number(replica.host === bare.host),
        Number(replica.zone !== undefined && replica.zone === bare.zone),
        -(replicas.length + incoming),
      ],
    })),
  );
  candidates.sort(
    (left, right) =>
      left.cost.map((cost, index) => cost - (right.cost[index] as number)).find((order) => order !== 0) ??
      (left.replica < right.replica ? -1 : 1),
  );
  return candidates[0];
}

/** Slots that nobody owns and that hold no key go to the masters with the fewest, so that they end as even as possible. */
import { isFailing } from '../../cluster/cluster-node.js';
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { answeringMasters } from './fix-facts.js';
import type { SlotDecision } from './fix-rules.js';

/**
 * The decisions with an owner for all. Masters that serve nothing are left out: one may be about to leave; unless none
 * serves anything. Neighbours stay together.
 */
export function shareOut(snapshot: ClusterSnapshot, decisions: readonly SlotDecision[]): SlotDecision[] {
  const free = decisions.filter(({ share }) => share);
  if (free.length === 0) return [...decisions];
  const able = answeringMasters(snapshot).filter(({ id, loading }) => {
    const node = snapshot.topology.node(id);
    return !loading && node !== undefined && !isFailing(node);
  });
  const serving = able.filter(({ myself }) => myself.slots.length > 0);
  const taken = new Map<string, number>();
  for (const { assignTo } of decisions) if (assignTo !== undefined) taken.set(assignTo, (taken.get(assignTo) ?? 0) + 1);
  const masters = (serving.length > 0 ? serving : able).map(({ id, myself }) => ({
    id,
    had: countSlots(myself.slots) + (taken.get(id) ?? 0),
    gets: 0,
  }));
  if (masters.length === 0) return decisions.filter(({ share }) => !share);
  for (let left = free.length; left > 0; left--) {
    let least = masters[0] as (typeof masters)[number];
    for (const master of masters) if (master.had + master.gets < least.had + least.gets) least = master;
    least.gets++;
  }
  const owners = masters.flatMap(({ id, gets }) => Array.from({ length: gets }, () => id));
  let next = 0;
  return decisions.map((decision) => {
    if (!decision.share) return decision;
    const owner = owners[next++] as string;
    return { ...decision, assignTo: owner, owner };
  });
}

/** Nodes that only some of the others know. Pure. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Unknown } from './fix-rules.js';

const NAMED_MAX = 3;

/**
 * One that serves slots belongs to the cluster, and is made known to all. Of the others nobody can tell whether they were
 * about to join or to leave.
 */
export function halfKnown(snapshot: ClusterSnapshot): Unknown[] {
  if (snapshot.agreed) return [];
  const all = new Set(snapshot.reports.flatMap(({ view }) => view.nodes.map(({ id }) => id)));
  const unknowns: Unknown[] = [];
  for (const id of [...all].sort()) {
    const without = snapshot.reports.filter((viewer) => viewer.id !== id && viewer.view.node(id) === undefined);
    const report = snapshot.report(id);
    if (without.length === 0 || (report?.myself.slots.length ?? 0) > 0) continue;
    const known = snapshot.reports.flatMap(({ view }) => view.node(id) ?? [])[0];
    const address =
      known === undefined ? id : snapshot.topology.node(id) ? snapshot.addressOf(id) : `${known.ip}:${known.port}`;
    const names = without.slice(0, NAMED_MAX).map((viewer) => viewer.address);
    const more = without.length - names.length;
    unknowns.push({
      guard: 'disagreement',
      text: `${address} (${id}) is not known to ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`,
      next:
        report === undefined
          ? `It does not answer. If it is gone for good: forge cluster forget ${id}`
          : `Finish what was begun: forge scale add ${address}, or forge scale remove ${id}.`,
    });
  }
  return unknowns;
}

/** What must be so after every operation, whatever its steps say. Pure. */
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import { ForgeError } from '../errors.js';
import { disagreement, openSlots, uncoveredSlots } from './guards/health.js';
import type { RunningJob } from './health/slot-jobs.js';
import type { Plan } from './plan.js';

/**
 * Why the cluster is not in order: a slot is open, on its way by a job of the servers, served by nobody or by two, or the
 * nodes disagree.
 * @param jobs what the servers move by themselves at the moment
 */
export function disorderOf(
  snapshot: ClusterSnapshot,
  plan: Plan,
  jobs: readonly RunningJob[],
  options: { readonly rolledBack?: boolean } = {},
): string[] {
  // What the operator accepted beforehand may still be so; what the operation was there for may not, unless it was given
  // up: then the cluster may be as it was.
  const accepted = new Set([...plan.forced, ...(options.rolledBack ? plan.tolerates : [])]);
  const guards = [openSlots, uncoveredSlots, disagreement].filter(({ name }) => !accepted.has(name));
  // Work beside which this was begun may go on; what fails for ever is what a repair is there for.
  const theirs = plan.tolerates.includes(openSlots.name) ? jobs.filter(({ failing }) => failing) : jobs;
  // A job that a step has waited for, or turned round, is over by now.
  return guards.flatMap(({ check }) => check(snapshot, { steps: [] }, theirs));
}

export function disorderly(snapshot: ClusterSnapshot, reasons: readonly string[]): ForgeError {
  return new ForgeError('verification', `All steps are done, but the cluster is not in order: ${reasons.join('; ')}.`, {
    host: snapshot.reference.address,
    next: 'Look at it with forge cluster check.',
    details: { reasons },
  });
}

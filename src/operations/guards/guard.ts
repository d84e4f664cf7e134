/** What must hold before a cluster is changed. Pure: a snapshot and a plan in, reasons out. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { RunningJob } from '../health/slot-jobs.js';
import type { Plan } from '../plan.js';

export interface Guard {
  /** The word for `--force`. */
  readonly name: string;
  /** What it protects from, for the documentation and `--help`. */
  readonly protects: string;
  /**
   * Why the plan must not be begun now; nothing when it may. Each reason names nodes and numbers.
   * @param jobs what the servers move by themselves; the snapshot does not hold it
   */
  check(snapshot: ClusterSnapshot, plan: Pick<Plan, 'steps'>, jobs?: readonly RunningJob[]): string[];
}

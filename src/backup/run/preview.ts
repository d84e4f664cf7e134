/** What a backup would read, and from where. */
import type { SlotSet } from '../../cluster/slots.js';
import { slotJobs } from '../../operations/health/slot-jobs.js';
import type { ClusterSession } from '../../operations/session.js';
import { slotsOnTheWay } from './moving.js';
import { type BackupPlan, planBackup } from './plan.js';

export interface BackupPreview extends BackupPlan {
  readonly cluster: string;
  readonly place: string;
  /** Slots that are on their way now: a run would wait for them. */
  readonly moving: SlotSet;
}

/** Changes nothing, and asks nothing of the store. @throws ForgeError what `planBackup` throws */
export async function previewBackup(
  session: ClusterSession,
  { cluster, place, node }: { readonly cluster: string; readonly place: string; readonly node?: string },
): Promise<BackupPreview> {
  const { snapshot } = session;
  const plan = planBackup(snapshot, { node });
  return { cluster, place, ...plan, moving: slotsOnTheWay(snapshot, await slotJobs(session, snapshot)) };
}

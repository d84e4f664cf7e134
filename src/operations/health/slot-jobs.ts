/** Slots on their way by a job of the servers themselves: no slot is open then, and owners are about to change all the same. */
import { mapBounded } from '../../cluster/bounded.js';
import { ALL_SLOTS, countSlots, formatSlots, type SlotSet, subtractSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import type { SlotJob } from '../move/atomic/job.js';
import { jobsUnderWay } from '../move/atomic/under-way.js';
import type { ClusterSession } from '../session.js';

const PARALLEL_MAX = 64;
const RANGES_SHOWN_MAX = 6;

/** One job, told once although both of its nodes know it. */
export interface RunningJob {
  /** As the servers name it. */
  readonly id: string;
  readonly slots: SlotSet;
  readonly slotCount: number;
  readonly sourceId: string;
  readonly targetId: string;
  /** Addresses; `?` where no node tells. */
  readonly source: string;
  readonly target: string;
  /** The server's own word. */
  readonly state: string;
  /** What it failed by, in the server's own words; empty when it has not. */
  readonly message: string;
  /** It has failed, and Redis begins it anew every second until somebody cancels it. */
  readonly failing: boolean;
  /** What an operator types to end it, at which node. */
  readonly cancel: { readonly node: string; readonly command: string };
}

/**
 * The jobs under way, by the nodes that know such jobs; nobody else is asked. A node that does not answer or does not
 * allow it is left out: it is told elsewhere.
 */
export async function slotJobs(
  { pool }: Pick<ClusterSession, 'pool'>,
  snapshot: ClusterSnapshot,
): Promise<RunningJob[]> {
  const able = snapshot.reports.filter(({ capabilities: can }) => can.valkeyAtomic || can.redisAtomic);
  const answers = await mapBounded(able, PARALLEL_MAX, async ({ id }) => {
    try {
      return (await jobsUnderWay({ pool }, id, ALL_SLOTS)).map((job) => ({ nodeId: id, job }));
    } catch (error) {
      if (error instanceof ForgeError) return [];
      throw error;
    }
  });
  const found = new Map<string, RunningJob>();
  for (const { nodeId, job } of answers.flat()) {
    const told = found.get(job.id);
    // The node that was told to move slots knows best how far it is.
    if (told === undefined || isTold(snapshot, nodeId, job)) found.set(job.id, runningJob(snapshot, nodeId, job, told));
  }
  return [...found.values()]
    .filter((job) => !isOver(snapshot, job))
    .sort((left, right) => (left.slots[0]?.start ?? 0) - (right.slots[0]?.start ?? 0));
}

/** Valkey tells the source to move slots, Redis the target. */
function isTold(snapshot: ClusterSnapshot, nodeId: string, { direction }: SlotJob): boolean {
  return (direction === 'export') === (snapshot.report(nodeId)?.capabilities.valkeyAtomic === true);
}

function runningJob(snapshot: ClusterSnapshot, nodeId: string, job: SlotJob, told?: RunningJob): RunningJob {
  const here = {
    sourceId: job.direction === 'export' ? nodeId : '',
    targetId: job.direction === 'import' ? nodeId : '',
  };
  const sourceId = job.sourceId || here.sourceId || told?.sourceId || '';
  const targetId = job.targetId || here.targetId || told?.targetId || '';
  const address = (id: string) => (id === '' ? '?' : snapshot.addressOf(id));
  const valkey = snapshot.report(nodeId)?.capabilities.valkeyAtomic === true;
  return {
    id: job.id,
    slots: job.slots,
    slotCount: countSlots(job.slots),
    sourceId,
    targetId,
    source: address(sourceId),
    target: address(targetId),
    state: job.state,
    message: job.message,
    failing: !valkey && job.direction === 'import' && (job.state === 'failed' || job.retries > 0),
    cancel: valkey
      ? { node: address(sourceId), command: 'CLUSTER CANCELSLOTMIGRATIONS' }
      : { node: address(targetId), command: `CLUSTER MIGRATION CANCEL ID ${job.id}` },
  };
}

/** The target serves all of it already: the nodes have yet to note that it is done. */
function isOver(snapshot: ClusterSnapshot, { targetId, slots }: RunningJob): boolean {
  const target = snapshot.report(targetId);
  return target !== undefined && subtractSlots(slots, target.myself.slots).length === 0;
}

/** `400 slots (0-399) on their way from A to B by a job of the servers (state snapshot)`. */
export function jobText({ slots, slotCount, source, target, state, message }: RunningJob): string {
  const what = `${slotCount} ${slotCount === 1 ? 'slot' : 'slots'} (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
  return `${what} on the way from ${source} to ${target} by a job of the servers (${state}${message === '' ? '' : `; it failed: ${message}`})`;
}

/** Into which jobs slots are cut: pure. */
import { eachSlot, type SlotSet, slotsFrom } from '../../../cluster/slots.js';
import type { MoveLimits } from '../control.js';

/**
 * A job forks the source, keeps what is written meanwhile in memory, and begins from nothing when it fails: so it is no
 * larger than what goes over in seconds. It costs 0.2 s whatever its size: so it is not small either.
 */
export const JOB_BYTES_MAX = 512 * 1024 * 1024;
/** Under a rate limit: what the limit lets through in so many seconds, and one slot at least. */
export const JOB_SECONDS = 2;
/** The servers compare all ranges of a job with each other. */
export const JOB_RANGES_MAX = 1_000;

export interface Batch {
  readonly slots: SlotSet;
  readonly keys: number;
  /** Estimated. */
  readonly bytes: number;
}

export interface BatchBounds {
  readonly keysMax: number;
  readonly bytesMax: number;
  readonly rangesMax: number;
}

/** The bounds of the next job under the limits of the moment. */
export function batchBounds({ keysPerSecond, bytesPerSecond }: MoveLimits): BatchBounds {
  return {
    keysMax: keysPerSecond === undefined ? Number.POSITIVE_INFINITY : keysPerSecond * JOB_SECONDS,
    bytesMax: Math.min(JOB_BYTES_MAX, (bytesPerSecond ?? Number.POSITIVE_INFINITY) * JOB_SECONDS),
    rangesMax: JOB_RANGES_MAX,
  };
}

/** Whether all slots go in one job, even if they held everything that their node holds. */
export function fitsIntoOneJob(slots: SlotSet, bytesOfNode: number, limits: MoveLimits): boolean {
  const free = limits.bytesPerSecond === undefined && limits.keysPerSecond === undefined;
  return free && bytesOfNode <= JOB_BYTES_MAX && slots.length <= JOB_RANGES_MAX;
}

/** The first slots that fit into one job; one slot always does. Throws RangeError on an empty set. */
export function nextBatch(
  slots: SlotSet,
  keysOf: (slot: number) => number,
  bytesPerKey: number,
  bounds: BatchBounds,
): Batch {
  const taken: number[] = [];
  let keys = 0;
  let ranges = 0;
  for (const slot of eachSlot(slots)) {
    const withIt = keys + keysOf(slot);
    const newRange = taken.at(-1) !== slot - 1;
    const fits =
      withIt <= bounds.keysMax && withIt * bytesPerKey <= bounds.bytesMax && (!newRange || ranges < bounds.rangesMax);
    if (taken.length > 0 && !fits) break;
    taken.push(slot);
    keys = withIt;
    if (newRange) ranges++;
  }
  if (taken.length === 0) throw new RangeError('a job needs a slot');
  return { slots: slotsFrom(taken), keys, bytes: Math.round(keys * bytesPerKey) };
}

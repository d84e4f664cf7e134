/** How many clients do what, of a number of clients. Pure. */
import type { WorkloadOptions } from '../checking-workload.js';

/** One of each kind. */
export const CLIENTS_MIN = 7;
const WEIGHTS = { registers: 6, counters: 6, logs: 3, pairs: 3, channels: 3, queues: 3, readers: 6 } as const;
type Kind = keyof typeof WEIGHTS;
const KINDS = Object.keys(WEIGHTS) as Kind[];
const ALL = KINDS.reduce((sum, kind) => sum + WEIGHTS[kind], 0);

/** @param clients CLIENTS_MIN or more */
export function workloadFor(clients: number): Required<Pick<WorkloadOptions, Kind>> {
  const counts = Object.fromEntries(
    KINDS.map((kind) => [kind, Math.max(1, Math.floor((clients * WEIGHTS[kind]) / ALL))]),
  ) as Record<Kind, number>;
  const given = KINDS.reduce((sum, kind) => sum + counts[kind], 0);
  // What is left over after rounding reads; of few clients, those beyond one of a kind make way.
  counts.readers = Math.max(1, counts.readers + clients - given);
  return counts;
}

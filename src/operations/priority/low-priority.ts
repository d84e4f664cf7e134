/** Work that others on the machine need not wait for. */
import os from 'node:os';
import { leaveSpareTime } from './spare-time.js';

/**
 * Does the work below the usual priority, and takes the former one again where it may. Where forge runs beside the nodes,
 * they and their clients come first: when there is time to spare, it costs nothing. Not the lowest: what holds a slot open
 * must not wait for long on a machine that never has time to spare. What is more careful, `takeOnlySpareTime`, ends with
 * the work.
 */
export async function atLowPriority<Result>(work: () => Promise<Result>): Promise<Result> {
  const before = os.getPriority();
  setPriority(Math.max(before, os.constants.priority.PRIORITY_BELOW_NORMAL));
  try {
    return await work();
  } finally {
    await leaveSpareTime();
    setPriority(before);
  }
}

/** Only root may go up again; and a sandbox may refuse both. */
function setPriority(priority: number): void {
  try {
    os.setPriority(priority);
  } catch {
    // The work is done at the priority that it has.
  }
}

/** Whether servers move slots by themselves: no slot is open then, and the owners are about to change all the same. */
import { replyErrorOf } from '../../../cluster/node-failure.js';
import type { SlotSet } from '../../../cluster/slots.js';
import type { StepContext } from '../../step.js';
import { redisAtomicDriver } from '../redis-atomic/driver.js';
import { valkeyAtomicDriver } from '../valkey-atomic/driver.js';
import type { SlotJob } from './job.js';
import { overlaps } from './jobs.js';

const DRIVERS = [valkeyAtomicDriver, redisAtomicDriver];

/**
 * The jobs under way of which the node tells, whatever began them; none from a server that knows no such thing.
 * @throws ForgeError when the node does not answer
 */
export async function jobsUnderWay(
  { pool }: Pick<StepContext, 'pool'>,
  nodeId: string,
  slots: SlotSet,
): Promise<SlotJob[]> {
  const connection = await pool.get(nodeId);
  const outcomes = await connection.callAll(DRIVERS.map(({ list }) => list));
  return outcomes.flatMap((outcome, index) => {
    if (outcome.status === 'fulfilled') {
      const jobs = DRIVERS[index]?.parse(outcome.value) ?? [];
      return jobs.filter((job) => job.phase === 'running' && overlaps(job.slots, slots));
    }
    if (replyErrorOf(outcome.reason) === undefined) throw outcome.reason;
    return [];
  });
}

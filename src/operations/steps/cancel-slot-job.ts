/** A job of the servers that fails again and again is ended: its slots stay where they are, with all keys. */
import * as z from 'zod';
import { ALL_SLOTS, countSlots, formatSlots, normalizeSlots } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { SlotJob } from '../move/atomic/job.js';
import { jobsUnderWay } from '../move/atomic/under-way.js';
import { redisAtomicDriver } from '../move/redis-atomic/driver.js';
import { defineStep, type NodeRef, nodeRefSchema, type StepContext, slotRangeSchema } from '../step.js';
import { waitUntil } from './views.js';

const RANGES_SHOWN_MAX = 4;
const RANGES_MAX = 8_192;
const JOB_LENGTH_MAX = 100;

const schema = z.strictObject({
  kind: z.literal('cancel-slot-job'),
  /** The target: Redis tells that one to move slots, and only there a job is cancelled. */
  node: nodeRefSchema,
  /** As the server names it; hexadecimal, so that it is one word of a command that people can repeat. */
  job: z
    .string()
    .max(JOB_LENGTH_MAX)
    .regex(/^[0-9a-f]+$/),
  ranges: z.array(slotRangeSchema).min(1).max(RANGES_MAX),
});
type Cancel = z.infer<typeof schema>;

export const cancelSlotJobStep = defineStep({
  schema,
  title: ({ node, ranges }) => {
    const slots = normalizeSlots(ranges);
    const what = `${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
    return `Cancel the job of ${node.address} that fails to fetch ${what}`;
  },
  nodes: ({ node }) => [node.id],
  isDone: async (context, action) => (await find(context, action)) === undefined,

  async apply(context, action) {
    const job = await find(context, action);
    if (job === undefined) return;
    await context.mutate(action.node.id, ...redisAtomicDriver.cancel(job));
    await waitUntil(
      context,
      async () => (await find(context, action)) === undefined,
      () => stays(action.node, job),
    );
  },

  // It helped nobody: whoever wants the slots elsewhere moves them.
  undo: async () => undefined,
});

async function find(context: StepContext, { node, job }: Cancel): Promise<SlotJob | undefined> {
  const jobs = await jobsUnderWay(context, node.id, ALL_SLOTS);
  return jobs.find(({ id, direction }) => id === job && direction === 'import');
}

function stays({ address }: NodeRef, { id, state }: SlotJob): ForgeError {
  return new ForgeError('timeout', `${address} has not ended the job ${id}, which it was told to cancel (${state}).`, {
    host: address,
    next: `Look at it there: CLUSTER MIGRATION STATUS ID ${id}`,
  });
}

/** Every slot must answer a read: the only proof of full coverage that needs no one's word for it. */
import { formatSlots, SLOT_COUNT, slotsFrom } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { SmokeClient } from '../client.js';
import type { SmokeContext, StepFinding } from '../types.js';

/** Commands on the way at a time. */
const BATCH = 1_024;
const RANGES_SHOWN_MAX = 8;

export async function everySlot(context: SmokeContext & { client: SmokeClient }): Promise<StepFinding> {
  const { client, keys, signal } = context;
  const failed: number[] = [];
  let first: ForgeError | undefined;
  for (let start = 0; start < SLOT_COUNT; start += BATCH) {
    signal.throwIfAborted();
    const slots = Array.from({ length: Math.min(BATCH, SLOT_COUNT - start) }, (_, index) => start + index);
    await Promise.all(
      slots.map(async (slot) => {
        try {
          await client.send(slot, 'GET', keys.key(slot, 'nothing', 'read').name);
        } catch (error) {
          // A lost connection or a hanging server ends the run; an error reply is this slot's own.
          if (!(error instanceof ForgeError) || error.details?.['reply'] === undefined) throw error;
          failed.push(slot);
          first ??= error;
        }
      }),
    );
  }
  if (first !== undefined) {
    const ranges = formatSlots(slotsFrom(failed), RANGES_SHOWN_MAX);
    throw new ForgeError(
      'verification',
      `${failed.length} of ${SLOT_COUNT} slots do not answer a read (${ranges}); the first error: ${first.message}`,
      { host: first.host, next: first.next, details: { slotsFailed: formatSlots(slotsFrom(failed)) } },
    );
  }
  return { summary: `a read of each of the ${SLOT_COUNT} slots was answered`, data: { slots: SLOT_COUNT } };
}

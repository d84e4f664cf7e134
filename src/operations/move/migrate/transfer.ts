/** Takes the keys of open slots from the source to the target. */
import { mapBounded } from '../../../cluster/bounded.js';
import { type Batch, type BatchSize, cutBatches } from './batches.js';
import { readKeys } from './keys.js';
import { BIG_KEY_TIMEOUT_MS, type Pair } from './pair.js';

/** The next batch waits at the source while one is on its way; clients have their turn in between. */
const IN_FLIGHT = 2;

export interface Transferred {
  keys: number;
  bytes: number;
}

export interface TransferOptions {
  readonly size: BatchSize;
  readonly bigKeyBytes: number;
  readonly moved: (batch: Batch) => void;
}

/** Returns when the slots hold no key at the source. */
export async function transferKeys(pair: Pair, slots: readonly number[], options: TransferOptions): Promise<void> {
  let left = slots;
  while (left.length > 0) {
    const lists = await readKeys(pair.worker, left);
    left = left.filter((_, index) => (lists[index]?.length ?? 0) > 0);
    const { keysMax, bytesMax } = options.size;
    const batches = lists.flatMap((keys) => cutBatches(keys, { keysMax, bytesMax, bigKeyBytes: options.bigKeyBytes }));
    let answeredAt = performance.now();
    await mapBounded(batches, IN_FLIGHT, async (batch) => {
      await spare(pair);
      const sentAt = performance.now();
      await send(pair, batch);
      const now = performance.now();
      options.size.took(batch, now - Math.max(sentAt, answeredAt));
      answeredAt = now;
      pair.context.move.spent(batch.keys.length, batch.bytes);
      options.moved(batch);
    });
  }
}

/** The rate limit, but not for what an interrupted run has to finish. */
async function spare({ context }: Pair): Promise<void> {
  if (context.signal.aborted) return;
  try {
    await context.move.turn(context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

async function send(pair: Pair, batch: Batch): Promise<void> {
  const command = pair.migrate(batch.keys, batch.big ? { timeoutMs: BIG_KEY_TIMEOUT_MS } : {});
  const [outcome] = await pair.context.mutateAll(pair.source.id, [command], {
    connection: pair.worker,
    finishing: true,
  });
  if (outcome?.status === 'rejected') throw outcome.reason;
}

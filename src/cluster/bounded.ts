/** Bounded parallelism and waiting that ends when the operator says so. */
import { setTimeout as sleep } from 'node:timers/promises';

/** `work` for every item, at most `limit` at once; results in the order of the items. The first failure is thrown. */
export async function mapBounded<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index] as Item, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return results;
}

/** Like `mapBounded`, but waits for all and keeps failures, so that every offender can be named. */
export async function settleBounded<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<PromiseSettledResult<Result>[]> {
  return mapBounded(items, limit, (item, index) =>
    work(item, index).then(
      (value): PromiseSettledResult<Result> => ({ status: 'fulfilled', value }),
      (reason): PromiseSettledResult<Result> => ({ status: 'rejected', reason }),
    ),
  );
}

/** Waits `ms` milliseconds; throws the signal's reason as soon as it is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

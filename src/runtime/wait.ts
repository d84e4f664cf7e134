import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** The bound of the whole wait, milliseconds. */
  timeoutMs: number;
  /** Between two looks, milliseconds. */
  intervalMs: number;
  signal?: AbortSignal;
}

/**
 * Looks until `look` gives something, or the time is over. What `look` throws ends the wait.
 * @returns what `look` gave, or undefined when the time ran out
 */
export async function waitFor<T>(look: () => Promise<T | undefined>, options: WaitOptions): Promise<T | undefined> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() + options.intervalMs > deadline) return undefined;
    await sleep(options.intervalMs, undefined, { signal: options.signal });
  }
}

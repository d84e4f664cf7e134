import { ForgeError } from '../../errors.js';
import type { TemporarySetting } from './temporary-setting.js';

/** Whatever ends a step, the operator is told how to go on, and what was changed for the time being is put back. */
export async function resumable(
  step: { readonly name: string; run(): Promise<void> },
  settings: readonly TemporarySetting[],
): Promise<void> {
  try {
    await step.run();
  } catch (error) {
    // A node that cannot be told now is put right by the next run.
    for (const setting of settings) await setting.end().catch(() => undefined);
    if (!(error instanceof ForgeError)) throw error;
    const again = 'Run the same command again: it goes on where it stopped.';
    const interrupted = error.kind === 'interrupted' || error.kind === 'terminated';
    throw new ForgeError(error.kind, interrupted ? 'The cluster is formed only in part.' : error.message, {
      host: error.host,
      next: error.next.includes(again) || error.kind === 'refused' ? error.next : [...error.next, again],
      details: { ...error.details, step: step.name },
      cause: error,
    });
  }
}

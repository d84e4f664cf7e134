/** Nodes that change roles or restart are silent for a moment: that is no failure as long as somebody waits for them. */
import { ForgeError } from '../../errors.js';

/** What `work` returns; what `silent` makes of the message when the node cannot be reached, hangs, or loads. */
export async function whileSilent<Result>(
  work: () => Promise<Result>,
  silent: (message: string, error: ForgeError) => Result,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ForgeError && (error.kind === 'unreachable' || error.kind === 'timeout')) {
      return silent(error.message, error);
    }
    throw error;
  }
}

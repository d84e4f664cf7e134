/** What the proxy of a pid file says of itself, also when it has only just been started. */
import { waitFor } from '../../runtime/wait.js';
import { askProxy } from './control-socket.js';
import { inspectProxy } from './instance.js';

/** Until it has answered, milliseconds. */
export const STATE_TIMEOUT_MS = 2_000;
/** A proxy has clients some moments before it has its control socket: its supervisor may have started it anew just now. */
const STARTING_MS = 3_000;
const POLL_MS = 50;

/**
 * @returns what it says; undefined when there is no proxy, or it has no control socket, `STARTING_MS` long
 * @throws ForgeError what `askProxy` throws
 */
export async function askState(pidFile: string, signal?: AbortSignal): Promise<Record<string, unknown> | undefined> {
  const found = await waitFor(
    async () => {
      const state = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS, signal);
      if (state !== undefined) return { state };
      const { phase } = await inspectProxy(pidFile);
      return phase === 'running' || phase === 'waiting' ? undefined : { state };
    },
    { timeoutMs: STARTING_MS, intervalMs: POLL_MS, signal },
  );
  return found?.state;
}

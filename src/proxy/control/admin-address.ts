/** Where a proxy of this host has its admin pages. */
import { ForgeError } from '../../errors.js';
import type { AdminAddress } from './admin.js';
import { askProxy } from './control-socket.js';

const STATE_TIMEOUT_MS = 2_000;

/** The admin address as the proxy itself tells it; undefined when it does not. */
export async function toldAddress(pidFile: string, signal?: AbortSignal): Promise<AdminAddress | undefined> {
  try {
    return (await askAddress(pidFile, signal)) ?? undefined;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ForgeError) return undefined;
    throw error;
  }
}

/**
 * The same, for what needs it.
 * @throws ForgeError `unreachable` when no proxy answers, `configuration` when it has no admin pages, and as `askProxy`
 */
export async function adminAddressOf(pidFile: string, signal?: AbortSignal): Promise<AdminAddress> {
  const address = await askAddress(pidFile, signal);
  if (address === undefined) {
    throw new ForgeError('unreachable', `No proxy answers beside ${pidFile}.`, {
      next: 'Is it running? forge proxy status. One without a pid file is asked with --admin HOST:PORT.',
    });
  }
  if (address !== null) return address;
  throw new ForgeError('configuration', 'The proxy has no admin pages.', {
    next: 'Give it an address for them: admin.address in its configuration, or --admin with forge proxy start.',
  });
}

/** Null when the proxy has no admin pages, undefined when there is no proxy. */
async function askAddress(pidFile: string, signal?: AbortSignal): Promise<AdminAddress | null | undefined> {
  const answer = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS, signal);
  return answer === undefined ? undefined : ((answer['admin'] as AdminAddress | null | undefined) ?? null);
}

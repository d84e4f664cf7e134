/** Where a proxy of this host has its admin pages. */
import { parseAddress } from '../../cluster/address.js';
import { DEFAULT_ADMIN } from '../../config/proxy-flags.js';
import { ForgeError } from '../../errors.js';
import type { AdminAddress } from './admin.js';
import { askProxy } from './control-socket.js';
import { findProxy, type WantedProxy } from './find.js';

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

/**
 * The admin pages of the proxy that is meant.
 * @param given `host:port`, where somebody said them
 * @returns with `words`, which proxy was found where nobody said one
 * @throws ForgeError as `findProxy`, `adminAddressOf` and `parseAddress`
 */
export async function findAdmin(
  wanted: WantedProxy,
  given: string | undefined,
  signal?: AbortSignal,
): Promise<{ admin: AdminAddress; words?: string }> {
  if (given !== undefined) return { admin: plain(given) };
  const { pidFile, found, phase, words } = await findProxy(wanted);
  // Nobody has said which, and none is known: the usual address is worth a try.
  if (phase === 'absent' && wanted.name === undefined) return { admin: plain(DEFAULT_ADMIN) };
  return { admin: await adminAddressOf(pidFile, signal), ...(found ? { words } : {}) };
}

function plain(text: string): AdminAddress {
  const { host, port } = parseAddress(text);
  return { host, port };
}

/** Null when the proxy has no admin pages, undefined when there is no proxy. */
async function askAddress(pidFile: string, signal?: AbortSignal): Promise<AdminAddress | null | undefined> {
  const answer = await askProxy(pidFile, 'state', {}, STATE_TIMEOUT_MS, signal);
  return answer === undefined ? undefined : ((answer['admin'] as AdminAddress | null | undefined) ?? null);
}

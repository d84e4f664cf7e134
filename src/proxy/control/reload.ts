/** Having a proxy read its configuration again. */
import { ForgeError } from '../../errors.js';
import { type AdminAddress, adminPost } from './admin.js';
import { askProxy } from './control-socket.js';

const RELOAD_TIMEOUT_MS = 10_000;

/** What the proxy says of a reload; see docs/reload.md. */
export interface ReloadReport {
  outcome: 'applied' | 'unchanged' | 'dry run';
  /** What is served otherwise now, or would be, one line each. */
  changes: string[];
  /** What only a restart or an upgrade changes. */
  restart: string[];
}

export interface ReloadOptions {
  /** The proxy of this host with this pid file … */
  pidFile: string;
  /** … or the one with this admin address. */
  admin?: AdminAddress;
  dryRun: boolean;
  signal?: AbortSignal;
}

/**
 * @throws ForgeError `configuration` with every fault when the proxy refuses it, and goes on with the old one;
 *   `unreachable` when there is no proxy
 */
export async function reloadProxy({ pidFile, admin, dryRun, signal }: ReloadOptions): Promise<ReloadReport> {
  const answer =
    admin === undefined
      ? await askProxy(pidFile, 'reload', { dry_run: dryRun }, RELOAD_TIMEOUT_MS, signal)
      : await overAdmin(admin, dryRun, signal);
  if (answer === undefined) {
    throw new ForgeError('unreachable', `No proxy answers beside ${pidFile}.`, {
      next: [
        'Give the right --pid-file, or --admin HOST:PORT.',
        'A proxy without a pid file reloads when it gets SIGHUP, and tells its log.',
      ],
    });
  }
  const { outcome, changes, restart, error } = answer as unknown as ReloadReport & { error?: string };
  if ((outcome as string) === 'refused') {
    throw new ForgeError('configuration', String(error), { next: 'Nothing has changed. Correct it and reload again.' });
  }
  return { outcome, changes, restart };
}

async function overAdmin(address: AdminAddress, dryRun: boolean, signal?: AbortSignal) {
  const { status, body } = await adminPost(address, dryRun ? '/reload?dry_run' : '/reload', signal);
  try {
    if (status === 200 || status === 409) return JSON.parse(body) as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new ForgeError('verification', `POST /reload answered ${status} and no JSON.`, {
    next: 'Is this the admin address of a forge-proxy of this version?',
  });
}

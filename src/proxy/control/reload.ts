/** Having a proxy read its configuration again. */
import { ForgeError } from '../../errors.js';
import { identifyProcess } from '../../runtime/process/identity.js';
import { type AdminAddress, adminPost } from './admin.js';
import { askProxy } from './control-socket.js';
import { askState } from './state.js';
import { successorsOf } from './successor.js';

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
  /** The proxy of this host with this pid file; not needed with `admin`. */
  pidFile?: string;
  /** … or the one with this admin address. */
  admin?: AdminAddress;
  dryRun: boolean;
  signal?: AbortSignal;
}

/**
 * @throws ForgeError `configuration` with every fault when the proxy refuses it, and goes on with the old one;
 *   `refused` while an upgrade is under way; `unreachable` when there is no proxy
 */
export async function reloadProxy({ pidFile, admin, dryRun, signal }: ReloadOptions): Promise<ReloadReport> {
  if (admin === undefined && pidFile === undefined) throw new Error('neither a pid file nor an admin address');
  const answer =
    admin === undefined ? await overSocket(pidFile as string, dryRun, signal) : await overAdmin(admin, dryRun, signal);
  const { outcome, changes, restart, error } = answer as unknown as ReloadReport & { error?: string };
  if ((outcome as string) === 'refused') {
    throw new ForgeError('configuration', String(error), { next: 'Nothing has changed. Correct it and reload again.' });
  }
  return { outcome, changes, restart };
}

/** @throws ForgeError `refused` while a process is about to take over, which may have read what was there before */
async function overSocket(pidFile: string, dryRun: boolean, signal?: AbortSignal): Promise<Record<string, unknown>> {
  const state = await askState(pidFile, signal);
  const serving = state === undefined ? undefined : await identifyProcess(Number(state['pid']));
  const [successor] = serving === undefined ? [] : await successorsOf(pidFile, serving);
  if (successor !== undefined) {
    throw new ForgeError(
      'refused',
      `An upgrade is under way: process ${successor.pid} is about to take over, and may have read the configuration already.`,
      { next: 'Nothing has changed. Reload when "forge proxy upgrade" has ended.' },
    );
  }
  const answer = await askProxy(pidFile, 'reload', { dry_run: dryRun }, RELOAD_TIMEOUT_MS, signal);
  if (answer !== undefined) return answer;
  throw new ForgeError('unreachable', `No proxy answers beside ${pidFile}.`, {
    next: [
      'Give the right --pid-file, or --admin HOST:PORT.',
      'A proxy without a pid file reloads when it gets SIGHUP, and tells its log.',
    ],
  });
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

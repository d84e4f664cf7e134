/** A mark on a backup that is being restored: whoever removes backups leaves it alone. */
import { hostname } from 'node:os';
import { ForgeError } from '../../errors.js';
import { forgeHome } from '../../local/paths.js';
import { findBackup, type ListedBackup } from '../catalogue.js';
import { keyOf, RUNNING_MARK } from '../layout.js';
import { ownerId } from '../run/lock.js';
import { MARK_MAX_BYTES, MarkKeeper, parseMark } from '../run/mark.js';
import type { BackupStore } from '../store/store.js';

const CLEAN_UP_MS = 10_000;

export interface InUseOptions {
  readonly backup: ListedBackup;
  /** The version of this program. */
  readonly forge: string;
  readonly home?: string;
  readonly signal: AbortSignal;
  /** Told why there is no mark: who may only read can restore, and nobody else knows of it. */
  readonly onUnmarked: (error: ForgeError) => void;
}

/**
 * Runs `work` while the backup has the mark of somebody who is at work on it.
 * @throws ForgeError `refused` for one that is being removed already; what `work` throws
 */
export async function whileInUse<Result>(
  store: BackupStore,
  options: InUseOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const { backup, forge, home = forgeHome(), signal, onUnmarked } = options;
  const { cluster, id } = backup;
  let keeper: MarkKeeper | undefined;
  try {
    // Without a folder of its own, the mark of a restore that dies counts until it is old.
    const owner = await ownerId(home).catch(() => '');
    keeper = await MarkKeeper.begin(store, { cluster, id, owner, startedAtMs: Date.now(), forge }, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ForgeError)) throw error;
    onUnmarked(error);
  }
  try {
    // Whoever was at removing it has not seen the mark.
    if (keeper !== undefined) await requireThere(store, backup, signal);
    return await work();
  } finally {
    await keeper?.stop();
    if (keeper !== undefined) await unmark(store, backup).catch(() => undefined);
  }
}

async function requireThere(store: BackupStore, { cluster, id }: ListedBackup, signal: AbortSignal): Promise<void> {
  const { manifest } = await findBackup(store, { cluster, id, signal });
  if (manifest !== undefined) return;
  throw new ForgeError('refused', `${store.place}/${cluster}/${id} is being removed.`, {
    next: 'Take another backup of the list: forge backup list.',
  });
}

/** Another restore of the same backup may have put its own mark in the place of this one, and needs it. */
async function unmark(store: BackupStore, { cluster, id }: ListedBackup): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_MS);
  const key = keyOf(cluster, id, RUNNING_MARK);
  const content = await store.read(key, { maxBytes: MARK_MAX_BYTES, signal });
  const mark = content === undefined ? undefined : parseMark(content.toString());
  if (mark?.pid === process.pid && mark.host === hostname()) await store.remove([key], signal);
}

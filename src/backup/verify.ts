/** Proves backups: their sums, and where asked for, by loading them into servers. */
import { ForgeError } from '../errors.js';
import { findBackup, type ListedBackup, type ListOptions, listBackups } from './catalogue.js';
import { isComplete } from './manifest.js';
import { FUTURE_MS } from './retention.js';
import type { BackupStore } from './store/store.js';
import type { LoadVerdict, VerifyLoadOptions } from './verify-load.js';
import { rememberVerified, type VerifiedBackup, type VerifyOptions, verifySums } from './verify-sums.js';

export interface ChosenToVerify {
  readonly toVerify: readonly ListedBackup[];
  /** Those of `all` that are no backups yet, or that only a newer forge can read. */
  readonly left: readonly ListedBackup[];
}

/**
 * The backups that are meant.
 * @param id an id; `latest` for the newest that has a manifest, be it damaged: a damaged one does not hide behind the one
 *   before it; `all`
 * @throws ForgeError `refused` where there is none, or where several clusters have backups there and none is named
 */
export async function chooseToVerify(
  store: BackupStore,
  id: string,
  options: Omit<ListOptions, 'id' | 'limit'>,
): Promise<ChosenToVerify> {
  if (id !== 'latest' && id !== 'all') return { toVerify: [await findBackup(store, { id, ...options })], left: [] };
  const listed = await listBackups(store, options);
  const finished = listed.filter(({ state }) => state === 'complete' || state === 'partial' || state === 'damaged');
  const left = listed.filter((backup) => !finished.includes(backup));
  if (id === 'all' && listed.length > 0) return { toVerify: finished, left };
  const clusters = [...new Set(finished.map(({ cluster }) => cluster))].sort();
  if (id === 'latest' && clusters.length > 1) {
    throw new ForgeError('refused', `${store.place} has backups of several clusters: ${clusters.join(', ')}.`, {
      next: 'Choose one with --cluster, or take --all.',
    });
  }
  const nowMs = options.nowMs ?? Date.now();
  const newest = finished.find(({ atMs }) => atMs <= nowMs + FUTURE_MS) ?? finished[0];
  if (newest !== undefined) return { toVerify: [newest], left: [] };
  const whose = options.cluster === undefined ? '' : ` of ${options.cluster}`;
  throw new ForgeError('refused', `${store.place} has no backup${whose}.`, { next: 'Look at: forge backup list.' });
}

export interface VerifyBackupOptions extends VerifyOptions {
  /** Also into servers; `deep`: every value is read, too. */
  readonly load?: 'load' | 'deep';
  readonly onLoading?: VerifyLoadOptions['onProgress'];
  /** `user@host`: what was found is written beside the backup in this name; not at all without it. */
  readonly by?: string;
}

export interface VerdictOnBackup extends VerifiedBackup {
  /** What was done. */
  readonly how: 'sums' | 'load' | 'deep';
  /** All that is wrong with it. */
  readonly problems: readonly string[];
  readonly load?: Pick<LoadVerdict, 'shards' | 'digest'>;
  /** It was written beside the backup. */
  readonly remembered: boolean;
}

/** @throws ForgeError as `verifySums` and `verifyLoad` do; `configuration` to load an encrypted one without its key */
export async function verifyBackup(
  store: BackupStore,
  backup: ListedBackup,
  options: VerifyBackupOptions,
): Promise<VerdictOnBackup> {
  const { load, by, secret, signal, onLoading } = options;
  const { cluster, id } = backup;
  const sums = await verifySums(store, backup, options);
  let loaded: LoadVerdict | undefined;
  // What is not as it was written is not given to a server.
  if (load !== undefined && sums.good) {
    if (!sums.decrypted) {
      throw new ForgeError('configuration', `${cluster}/${id} is encrypted, and nothing says with which key.`, {
        next: 'Give --encryption-key-file.',
      });
    }
    const { verifyLoad } = await import('./verify-load.js');
    const whole = await findBackup(store, { cluster, id, signal, ...(secret === undefined ? {} : { secret }) });
    loaded = await verifyLoad(store, asFoundNow(whole), {
      deep: load === 'deep',
      signal,
      ...(secret === undefined ? {} : { secret }),
      ...(options.parallel === undefined ? {} : { parallel: options.parallel }),
      ...(onLoading === undefined ? {} : { onProgress: onLoading }),
    });
  }
  const how = loaded === undefined ? 'sums' : (load ?? 'sums');
  const loadFaults = loaded?.problems ?? [];
  const remembered = by !== undefined && (await rememberVerified(store, sums, { how, by, signal, loadFaults }));
  return {
    ...sums,
    good: sums.good && loadFaults.length === 0,
    how,
    problems: [...sums.faults.map(({ problem }) => problem), ...loadFaults],
    ...(loaded && { load: { shards: loaded.shards, ...(loaded.digest && { digest: loaded.digest }) } }),
    remembered,
  };
}

/** Its sums are right: what was found some other time is no longer so. */
function asFoundNow(backup: ListedBackup): ListedBackup {
  const { manifest, state, problem: _, ...rest } = backup;
  if (manifest === undefined || state !== 'damaged') return backup;
  return { ...rest, manifest, state: isComplete(manifest) ? 'complete' : 'partial' };
}

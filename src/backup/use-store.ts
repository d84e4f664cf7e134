/** What commands that look after backups begin with: the store, the cluster, the key. */
import { backupCluster, type EncryptionFlagValues, type StoreFlagValues } from '../config/backup-flags.js';
import { backupSecret, storeSettings } from '../config/backup-settings.js';
import { readSettings, type SettingsFlagValues } from '../config/cluster-flags.js';
import type { Settings } from '../config/resolve.js';
import { ForgeError } from '../errors.js';
import { parseKey } from './layout.js';
import type { BackupStore } from './store/store.js';

export interface UsedStore {
  readonly store: BackupStore;
  readonly settings: Settings;
  /** That of the flags and settings; undefined where nothing has a name. */
  readonly cluster?: string;
  /** Of encrypted backups; undefined where none is told, or it was not asked for. */
  readonly secret?: Buffer;
}

export interface UseStoreOptions {
  readonly signal: AbortSignal;
  /** Whether the key is of use; `wanted`: where one is configured and cannot be read, work goes on without. */
  readonly withSecret: boolean | 'wanted';
  readonly onWarning: (message: string) => void;
}

/** Opens the store that flags and settings name, and closes it after the work. @throws ForgeError as settings do */
export async function useStore<Result>(
  flags: StoreFlagValues & EncryptionFlagValues & SettingsFlagValues,
  options: UseStoreOptions,
  work: (used: UsedStore) => Promise<Result>,
): Promise<Result> {
  const settings = await readSettings(flags);
  const cluster = backupCluster(flags, settings);
  const { openStore } = await import('./store/open.js');
  const store = await openStore(await storeSettings(flags, settings));
  try {
    const secret = options.withSecret === false ? undefined : await secretOf(flags, settings, options);
    return await work({
      store,
      settings,
      ...(cluster === undefined ? {} : { cluster }),
      ...(secret === undefined ? {} : { secret }),
    });
  } finally {
    store.close();
  }
}

async function secretOf(flags: EncryptionFlagValues, settings: Settings, options: UseStoreOptions) {
  try {
    return await backupSecret(flags, settings, options);
  } catch (error) {
    options.signal.throwIfAborted();
    if (options.withSecret !== 'wanted' || !(error instanceof ForgeError)) throw error;
    options.onWarning(`${error.message} Seals of encrypted backups are not checked.`);
    return undefined;
  }
}

/**
 * The cluster whose backups are meant: the named one, else the only one that has any there.
 * @throws ForgeError `refused` where there are several, or none
 */
export async function theCluster({ store, cluster }: UsedStore, signal: AbortSignal): Promise<string> {
  if (cluster !== undefined) return cluster;
  const names = new Set<string>();
  for await (const { key } of store.list('', signal)) {
    const parsed = parseKey(key);
    if (parsed !== undefined) names.add(parsed.cluster);
  }
  const [only] = names;
  if (only !== undefined && names.size === 1) return only;
  const what = only === undefined ? 'no backups' : `backups of several clusters: ${[...names].sort().join(', ')}`;
  throw new ForgeError('refused', `${store.place} has ${what}.`, {
    next: only === undefined ? 'Look at the place that is named.' : 'Choose one with --cluster.',
  });
}

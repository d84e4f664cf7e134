/** The store that the settings name. */

import type { StoreSettings } from '../../config/backup-settings.js';
import { ForgeError } from '../../errors.js';
import { DirectoryStore } from './directory.js';
import type { BackupStore } from './store.js';

/** Nothing is asked of it yet. Close it. */
export async function openStore(settings: StoreSettings): Promise<BackupStore> {
  if (settings.kind === 'directory') return new DirectoryStore(settings.directory);
  throw new ForgeError('missing', 'Stores of the S3 kind are not built in.');
}

/** The store that the settings name. */

import type { StoreSettings } from '../../config/backup-settings.js';
import { DirectoryStore } from './directory.js';
import type { BackupStore } from './store.js';

/** Nothing is asked of it yet. Close it. */
export async function openStore(settings: StoreSettings): Promise<BackupStore> {
  if (settings.kind === 'directory') return new DirectoryStore(settings.directory);
  // The SDK is large: only who needs it loads it.
  const { S3Store } = await import('./s3/store.js');
  return S3Store.connect(settings);
}

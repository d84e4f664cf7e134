/** One at a time on the backups of a cluster in one place, as far as this host is concerned. */
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makePrivateDirectory, writeFileAtomic } from '../../runtime/files.js';
import { withLock } from '../../runtime/lock.js';

export interface BackupLock {
  /** `forge backup`, for the message to others. */
  readonly purpose: string;
  /** Forge's own folder: `forgeHome()`. */
  readonly home: string;
  readonly cluster: string;
  /** As the store names it. */
  readonly place: string;
}

const OWNER = /^[0-9a-f]{16}$/;
const HASH_LENGTH = 12;

const folderOf = (home: string) => path.join(home, 'backup');

/**
 * Runs `work` while nobody else of this host makes or removes backups of the cluster there. Other hosts are kept away by
 * the mark of a running backup in the store itself.
 * @throws ForgeError `locked` (exit code 6) at once when somebody else is at work
 */
export function withBackupLock<Result>(
  { purpose, home, cluster, place }: BackupLock,
  work: () => Promise<Result>,
): Promise<Result> {
  const hash = createHash('sha256').update(place).digest('hex').slice(0, HASH_LENGTH);
  const paths = { directory: folderOf(home), lock: path.join(folderOf(home), `${cluster}-${hash}.lock`) };
  return withLock(paths, purpose, work, { what: `the backups of ${cluster} in ${place}` });
}

/**
 * What this home is known by in marks of running backups: whoever holds the lock and finds its own name in a mark knows
 * that the run has died. Made at first use, 16 hexadecimal digits.
 */
export async function ownerId(home: string): Promise<string> {
  const file = path.join(folderOf(home), 'owner');
  const known = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  if (OWNER.test(known.trim())) return known.trim();
  const made = randomBytes(8).toString('hex');
  await makePrivateDirectory(folderOf(home));
  await writeFileAtomic(file, `${made}\n`, 0o600);
  return made;
}

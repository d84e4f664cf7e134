/** One change at a time on one local cluster. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm } from 'node:fs/promises';
import { ForgeError } from '../errors.js';
import { makePrivateDirectory, writeFileAtomic } from '../runtime/files.js';
import { identifyProcess, isAlive, type ProcessIdentity } from '../runtime/process/identity.js';
import type { ClusterPaths } from './paths.js';

/** Dead owners that are cleared away before giving up; more than one needs several processes dying in a row. */
const TAKEOVERS_MAX = 5;

interface LockOwner extends ProcessIdentity {
  /** What it does, for messages: `forge up`. */
  purpose: string;
}

/**
 * Runs `work` while holding the cluster's lock. The lock of a process that has died is taken over.
 * @throws ForgeError `locked` (exit code 6) at once when somebody else holds it
 */
export async function withLock<T>(paths: ClusterPaths, purpose: string, work: () => Promise<T>): Promise<T> {
  await makePrivateDirectory(paths.directory);
  const mine = await takeLock(paths.lock, purpose);
  try {
    return await work();
  } finally {
    // The folder, and the lock in it, may have been deleted by the work; and what is there now may be another's.
    if ((await readFile(paths.lock, 'utf8').catch(() => undefined)) === mine) await rm(paths.lock, { force: true });
  }
}

/** @returns the content of the lock file, which is unlike any other's */
async function takeLock(file: string, purpose: string): Promise<string> {
  const self = await identifyProcess(process.pid);
  const token = randomBytes(8).toString('hex');
  const content = JSON.stringify({ ...self, purpose, token });
  const scratch = `${file}.${token}`;
  await writeFileAtomic(scratch, content, 0o600);
  try {
    for (let attempt = 0; attempt < TAKEOVERS_MAX; attempt++) {
      // A link appears with its content, and only where there is none.
      const taken = await link(scratch, file).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (taken) return content;
      const text = await readFile(file, 'utf8').catch(() => undefined);
      if (text === undefined) continue;
      const owner = parseOwner(text);
      if (owner !== undefined && (await isAlive(owner))) throw lockedBy(owner, file);
      await clearStale(file, text, token);
    }
  } finally {
    await rm(scratch, { force: true });
  }
  throw new ForgeError('locked', `${file} cannot be taken.`, { next: 'Try again in a moment.' });
}

/** Removes a dead owner's lock, unless a third process has replaced it by its own in the meantime. */
async function clearStale(file: string, seen: string, token: string): Promise<void> {
  const aside = `${file}.stale.${token}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== seen) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const { pid, start, purpose } = JSON.parse(text) as Partial<LockOwner>;
    if (typeof pid !== 'number' || typeof start !== 'string') return undefined;
    return { pid, start, purpose: typeof purpose === 'string' ? purpose : 'forge' };
  } catch {
    return undefined;
  }
}

function lockedBy(owner: LockOwner, file: string): ForgeError {
  return new ForgeError('locked', `${owner.purpose} (process ${owner.pid}) is at work on this cluster.`, {
    next: 'Wait until it is done, or end it, and run this again.',
    details: { lock: file, pid: owner.pid },
  });
}

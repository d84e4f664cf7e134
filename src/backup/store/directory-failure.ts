/** What a failure of a file system means. Pure. */
import { ForgeError } from '../../errors.js';

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Not there: no file of that name, or a file where a folder would be. */
export function ignoreMissing(error: unknown): undefined {
  const code = codeOf(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

/** Some file systems (over a network, in user space) cannot make a folder safe, or say that they need not. */
const NEEDS_NO_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR', 'EBADF', 'EPERM', 'EACCES']);

export function ignoreUnsyncable(error: unknown): void {
  if (!NEEDS_NO_SYNC.has(codeOf(error) ?? '')) throw error;
}

export const missing = (file: string) =>
  new ForgeError('verification', `${file} is missing.`, {
    next: 'Take another backup of the list: forge backup list.',
  });

export const tooLarge = (file: string, bytes: number, maxBytes: number) =>
  new ForgeError('verification', `${file} has ${bytes} bytes, where ${maxBytes} are the most.`, {
    next: 'Look at who wrote it.',
  });

export const linked = (file: string) =>
  new ForgeError('refused', `${file} is a symbolic link, or leads through one; backups are never put behind one.`, {
    next: 'Look at who made it; name the folder that it leads to as the place.',
  });

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const DENIED = new Set(['EACCES', 'EPERM', 'EROFS']);
const BROKEN = new Set(['EIO', 'ESTALE', 'ENXIO', 'ENODEV', 'ETIMEDOUT', 'EHOSTDOWN', 'EREMOTEIO', 'ENOTCONN']);
const NO_DIRECTORY = new Set(['ENOTDIR', 'EEXIST', 'EISDIR', 'ENOTEMPTY', 'ENAMETOOLONG', 'ELOOP']);

/** A ForgeError for what the system says of a file below the place; what is none of its failures stays as it is. */
export function explained(error: unknown, place: string): unknown {
  if (error instanceof ForgeError) return error;
  const code = codeOf(error) ?? '';
  const said = (error as Error | undefined)?.message ?? '';
  if (FULL.has(code)) {
    return new ForgeError('partial', `The disk of ${place} is full.`, {
      next: 'Make room (forge backup prune), and run it again.',
      cause: error,
    });
  }
  if (DENIED.has(code)) {
    return new ForgeError('denied', `${place} cannot be used by this user: ${said}.`, {
      next: 'Check whose it is, and how it is mounted.',
      cause: error,
    });
  }
  if (BROKEN.has(code)) {
    return new ForgeError('unreachable', `The file system of ${place} fails: ${said}.`, {
      next: 'Look at the disk, or at the server that it is mounted from.',
      cause: error,
    });
  }
  if (NO_DIRECTORY.has(code)) {
    return new ForgeError('configuration', `${place} is no directory for backups: ${said}.`, {
      next: 'Name a directory.',
      cause: error,
    });
  }
  return error;
}

/** What a file system says, as errors that tell what to do. Pure. */
import { type ErrorKind, ForgeError } from '../errors.js';

interface Meaning {
  readonly kind: ErrorKind;
  readonly why: string;
  readonly next: string;
}

const ANOTHER = 'Choose another folder.';
const FORBIDDEN: Meaning = {
  kind: 'denied',
  why: 'this user may not',
  next: 'Give the folder to this user, or run it as its owner.',
};
const FULL: Meaning = {
  kind: 'refused',
  why: 'there is no space left',
  next: 'Nothing has changed. Make space, and run it again.',
};
const UNUSABLE: Meaning = { kind: 'configuration', why: 'the path cannot be used', next: ANOTHER };

const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  EROFS: { kind: 'denied', why: 'the file system is read-only', next: ANOTHER },
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  ENOTDIR: { kind: 'configuration', why: 'a part of the path is no folder', next: ANOTHER },
  ELOOP: UNUSABLE,
  ENAMETOOLONG: UNUSABLE,
};

/**
 * A failure of the file system as a ForgeError; any other is handed back as it is.
 * @param what for example `/etc/forge/certs cannot be written`
 */
export function fileFailure(error: unknown, what: string): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof ForgeError || typeof code !== 'string' || syscall === undefined) return error;
  const { kind, why, next } = MEANINGS[code] ?? {
    kind: 'configuration',
    why: code,
    next: 'Check the folder and the disk.',
  };
  return new ForgeError(kind, `${what}: ${why}.`, { next, cause: error, details: { code } });
}

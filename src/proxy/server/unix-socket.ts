import { ptr } from 'bun:ffi';
import { chmodSync, renameSync, rmSync, statSync } from 'node:fs';
import type { ListenAddress } from '../config/listen-address.js';
import { loadLibc } from './libc.js';
import { encodeSocketPath } from './sockets/socket-address.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
/** Connections that wait to be accepted: Redis's `tcp-backlog`. */
const BACKLOG = 511;

/** The path is served by another process, or cannot be. */
export class UnixSocketError extends Error {
  constructor(
    message: string,
    readonly inUse: boolean,
  ) {
    super(message);
  }
}

type Library = NonNullable<ReturnType<typeof loadLibc>>;

/**
 * A listening Unix socket that all workers share: the runtime makes one for each listener and takes the path away
 * again with it, so this one is made by hand. Nobody accepts from it but through the workers' own descriptors.
 */
export class UnixSocket {
  private constructor(
    private readonly library: Library,
    private readonly fd: number,
    private readonly path: string,
    private readonly inode: number,
  ) {}

  /**
   * @param takeOver the process that serves the path now is to be replaced: from here on, connections come to this one
   * @throws UnixSocketError
   */
  static open({ path = '', mode = 0 }: ListenAddress, takeOver = false): UnixSocket {
    const library = loadLibc();
    if (library === null) throw new UnixSocketError('Unix sockets are served on Linux only', false);
    if (!takeOver && isServed(library, path)) throw new UnixSocketError('in use by another process', true);
    const fd = library.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Made beside its place and moved there, so that at no time nobody answers, nor one with other permissions.
    const beside = `${path}.${process.pid}`;
    try {
      const address = encodeSocketPath(beside);
      rmSync(beside, { force: true });
      if (fd < 0 || library.bind(fd, ptr(address), address.length) !== 0) {
        throw new Error('is its folder there, and may this user write to it?');
      }
      chmodSync(beside, mode);
      const { ino } = statSync(beside);
      if (library.listen(fd, BACKLOG) !== 0) throw new Error('the system refuses to listen');
      const before = statSync(path, { throwIfNoEntry: false });
      if (before !== undefined && !before.isSocket()) throw new Error('another file is there');
      renameSync(beside, path);
      return new UnixSocket(library, fd, path, ino);
    } catch (error) {
      if (fd >= 0) library.close(fd);
      rmSync(beside, { force: true });
      throw new UnixSocketError((error as Error).message, false);
    }
  }

  /** A descriptor for one worker, which closes it. */
  share(): number {
    return this.library.fcntl(this.fd, F_DUPFD_CLOEXEC, 0);
  }

  /** Whether connections to the path come to this one. */
  get serves(): boolean {
    return statSync(this.path, { throwIfNoEntry: false })?.ino === this.inode;
  }

  /** Takes the path away, unless it is another process's by now. */
  close(): void {
    this.library.close(this.fd);
    if (this.serves) rmSync(this.path, { force: true });
  }
}

/** Somebody answers there. What a process left behind that is gone answers nobody. */
function isServed(library: Library, path: string): boolean {
  const fd = library.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  try {
    const address = encodeSocketPath(path);
    return library.connect(fd, ptr(address), address.length) === 0;
  } finally {
    library.close(fd);
  }
}

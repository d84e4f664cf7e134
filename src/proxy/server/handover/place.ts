import { chmodSync, rmSync, statSync } from 'node:fs';
import { loadLibc } from '../libc.js';
import { encodeSocketPath } from '../sockets/socket-address.js';
import { AF_UNIX, loadSystem, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, type System } from '../sockets/system.js';

const F_DUPFD_CLOEXEC = 1030;
/** Clients that wait to be taken up. */
const BACKLOG = 511;

/** Where the process that goes passes its clients on: a Unix socket of packets that only the proxy's own user may open. */
export class HandoverPlace {
  private constructor(
    private readonly system: System,
    private readonly fd: number,
    readonly path: string,
    private readonly inode: number,
  ) {}

  /** Null where it cannot be had. */
  static open(path: string): HandoverPlace | null {
    const system = loadSystem();
    if (system === null) return null;
    const fd = system.socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return null;
    const umask = process.umask(0o177);
    try {
      rmSync(path, { force: true });
      const address = encodeSocketPath(path);
      if (system.bind(fd, address, address.length) === 0 && system.listen(fd, BACKLOG) === 0) {
        chmodSync(path, 0o600);
        return new HandoverPlace(system, fd, path, statSync(path).ino);
      }
    } catch {
      // The path is too long, or its folder is not writable.
    } finally {
      process.umask(umask);
    }
    system.close(fd);
    return null;
  }

  /** A descriptor for one worker, which closes it; below 0 when there is none. */
  share(): number {
    return loadLibc()?.fcntl(this.fd, F_DUPFD_CLOEXEC, 0) ?? -1;
  }

  close(): void {
    // One that takes over from this process may have the path by now.
    const inode = statSync(this.path, { throwIfNoEntry: false })?.ino;
    if (inode === this.inode) rmSync(this.path, { force: true });
    this.system.close(this.fd);
  }
}

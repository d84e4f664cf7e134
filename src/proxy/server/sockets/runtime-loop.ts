import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, type System } from './system.js';

/** Bytes of a `sockaddr_un` without a path: the system chooses an abstract name (unix(7)). */
const NAMELESS_BYTES = 2;

/**
 * The epoll instance that the runtime's event loop of this thread waits with; null when it cannot be found. The runtime
 * does not tell: it is the one that watches a socket that the runtime was given just now (proc_pid_fdinfo(5)).
 */
export function findRuntimeLoop(system: System): number | null {
  const fd = system.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return null;
  if (system.bind(fd, new Uint8Array([AF_UNIX, 0]), NAMELESS_BYTES) !== 0 || system.listen(fd, 1) !== 0) {
    system.close(fd);
    return null;
  }
  // Closes the descriptor in the end. `fd` is honoured by the runtime and missing from its types.
  const options = { fd, socket: { data() {} } } as unknown as Bun.TCPSocketListenOptions<undefined>;
  const listener = Bun.listen(options);
  try {
    return epollInstances().find((epoll) => watches(epoll, fd)) ?? null;
  } finally {
    listener.stop(true);
  }
}

/** The descriptors that an epoll instance of this process waits for; empty when it is none. */
export function watchedBy(epoll: number): number[] {
  try {
    const lines = readFileSync(`/proc/self/fdinfo/${epoll}`, 'latin1').matchAll(/^tfd:\s+(\d+)/gm);
    return [...lines].map(([, fd]) => Number(fd));
  } catch {
    return [];
  }
}

/** Whether the descriptor is one of an epoll instance. */
export function isEpoll(fd: number | string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventpoll]';
  } catch {
    // Closed since.
    return false;
  }
}

function watches(epoll: number, fd: number): boolean {
  return watchedBy(epoll).includes(fd);
}

function epollInstances(): number[] {
  try {
    return readdirSync('/proc/self/fd').filter(isEpoll).map(Number);
  } catch {
    return [];
  }
}

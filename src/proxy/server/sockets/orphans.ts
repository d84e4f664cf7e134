import { loadLibc } from '../libc.js';
import { isEpoll, watchedBy } from './runtime-loop.js';

/**
 * Closes what a thread has left behind that ended: all that its epoll instance watches, and that itself. The runtime
 * does so with its own sockets only.
 * @param epoll -1 when there is none
 * @returns how many connections and listening sockets these were
 */
export function closeOrphans(epoll: number): number {
  const libc = loadLibc();
  if (libc === null || epoll < 0 || !isEpoll(epoll)) return 0;
  // The runtime's instance is its own to close.
  const orphans = watchedBy(epoll).filter((fd) => !isEpoll(fd));
  for (const fd of orphans) libc.close(fd);
  libc.close(epoll);
  return orphans.length;
}

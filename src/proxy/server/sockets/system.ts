import { read } from 'bun:ffi';
import { openLibc } from '../libc.js';

/** Calls of Linux that the sockets are made of (their manual pages, sections 2 and 3). */

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_RTO_MAX_MS = 44;
export const SCM_RIGHTS = 1;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;
export const SHUT_WR = 1;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
/** Of those that wait for one listening socket, not all are woken. */
export const EPOLLEXCLUSIVE = 0x10000000;

export const Errno = {
  EINTR: 4,
  EAGAIN: 11,
  ENOMEM: 12,
  ENFILE: 23,
  EMFILE: 24,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
} as const;

const TEXTS: Readonly<Record<number, string>> = {
  [Errno.EADDRINUSE]: 'the address is in use',
  [Errno.EADDRNOTAVAIL]: 'the address is none of this host, or all its ports are in use',
  [Errno.ENETUNREACH]: 'network unreachable',
  [Errno.ECONNRESET]: 'connection reset',
  [Errno.ETIMEDOUT]: 'connection timed out',
  [Errno.ECONNREFUSED]: 'connection refused',
  [Errno.EHOSTUNREACH]: 'host unreachable',
  [Errno.EMFILE]: 'this process has as many files open as it may (ulimit -n)',
  [Errno.ENFILE]: 'the system has as many files open as it can',
};

/** What the system means, for people. */
export function errnoText(errno: number): string {
  return TEXTS[errno] ?? `${errnoCode(errno)} (errno ${errno})`;
}

/** Its name, such as ECONNREFUSED. */
export function errnoCode(errno: number): string {
  return Object.entries(Errno).find(([, value]) => value === errno)?.[0] ?? 'system error';
}

function open() {
  return openLibc({
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    listen: { args: ['i32', 'i32'], returns: 'i32' },
    accept4: { args: ['i32', 'ptr', 'ptr', 'i32'], returns: 'i32' },
    connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
    setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
    getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
    getpeername: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
    recv: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i32' },
    send: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i32' },
    sendmsg: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
    recvmsg: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
    shutdown: { args: ['i32', 'i32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
    epoll_create1: { args: ['i32'], returns: 'i32' },
    epoll_ctl: { args: ['i32', 'i32', 'i32', 'ptr'], returns: 'i32' },
    epoll_wait: { args: ['i32', 'ptr', 'i32', 'i32'], returns: 'i32' },
    __errno_location: { args: [], returns: 'ptr' },
  })?.symbols;
}

export type System = NonNullable<ReturnType<typeof open>>;

/** Null on other systems, and where the C library is none that is known. */
export function loadSystem(): System | null {
  return open() ?? null;
}

/** Why the last call of this thread failed. */
export function lastErrno(system: System): number {
  const place = system.__errno_location();
  return place === null ? 0 : read.i32(place, 0);
}

/** Sets an option whose value is an `int`. */
export function setOption(system: System, fd: number, level: number, option: number, value: number): void {
  system.setsockopt(fd, level, option, new Int32Array([value]), 4);
}

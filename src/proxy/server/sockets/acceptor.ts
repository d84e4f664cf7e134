import { Connection, type Lingering } from './connection.js';
import type { Pollable, Poller } from './poller.js';
import { decodeSocketAddress, SOCKADDR_BYTES_MAX } from './socket-address.js';
import type { PlainHandlers, PlainListener } from './sockets.js';
import { EPOLLEXCLUSIVE, EPOLLIN, Errno, errnoText, lastErrno, SOCK_CLOEXEC, SOCK_NONBLOCK } from './system.js';

/** Connections that are accepted in one turn: others are served in between. */
const ACCEPTS_PER_TURN = 64;
/** Of those that wait when the socket is closed, so many are accepted at most: as many as can wait (`BACKLOG`). */
const ACCEPTS_AT_END = 1024;
const FULL: readonly number[] = [Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM];
/** The connection that was next is gone already, or the call was interrupted. */
const NEXT: readonly number[] = [Errno.ECONNABORTED, Errno.EINTR];

/** A listening socket. */
export class Acceptor<Data> implements PlainListener, Pollable {
  serial = 0;
  /** The system has no descriptor left, or no memory: it is asked again with `retry`. */
  private full = false;
  private stopped = false;
  private readonly address = new Uint8Array(SOCKADDR_BYTES_MAX);
  private readonly length = new Int32Array(1);

  /** @param fd listening, not blocking; closed by the acceptor */
  constructor(
    private readonly poller: Poller,
    readonly fd: number,
    readonly port: number,
    private readonly handlers: PlainHandlers<Data>,
    private readonly isPath: boolean,
    private readonly lingering: Set<Lingering>,
  ) {
    this.begin();
  }

  private begin(): void {
    // Of those that share a socket, one is woken.
    this.poller.add(this, EPOLLIN | EPOLLEXCLUSIVE);
  }

  ready(): void {
    this.accept(ACCEPTS_PER_TURN);
  }

  /** Looks whether connections can be accepted again. Called every 100 ms or so. */
  retry(): void {
    if (!this.full || this.stopped) return;
    this.full = false;
    this.poller.remove(this);
    this.begin();
  }

  /** What has come is accepted: what is in the queue of a socket when it is closed is reset. Paths are others' too. */
  stop(): void {
    if (this.stopped) return;
    if (!this.isPath) this.accept(ACCEPTS_AT_END);
    this.stopped = true;
    // The socket of a path is open elsewhere, too: it would be watched beyond the end of this descriptor.
    this.poller.remove(this);
    this.poller.close(this);
  }

  private accept(most: number): void {
    const { poller, address, length } = this;
    for (let accepted = 0; accepted < most; accepted++) {
      length[0] = SOCKADDR_BYTES_MAX;
      const fd = poller.system.accept4(this.fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        this.open(fd);
        continue;
      }
      const errno = lastErrno(poller.system);
      if (NEXT.includes(errno)) continue;
      if (FULL.includes(errno) && !this.full) {
        // It stays ready, and would be told of without end.
        this.full = true;
        poller.remove(this);
        // Among those of the epoll instance all the same: it is closed with the others if this thread ends.
        poller.add(this, 0);
        this.handlers.full?.(errnoText(errno));
      }
      return;
    }
  }

  private open(fd: number): void {
    const peer = this.isPath ? null : decodeSocketAddress(this.address);
    const none = undefined as Data;
    const connection = new Connection<Data>(this.poller, fd, none, this.handlers, peer, this.lingering);
    if (connection.begin()) this.handlers.open(connection);
    else this.poller.system.close(fd);
  }
}

import { ptr } from 'bun:ffi';
import type { Pollable, Poller } from './poller.js';
import { decodeSocketAddress, SOCKADDR_BYTES_MAX, type SocketAddress } from './socket-address.js';
import type { PlainHandlers, PlainSocket } from './sockets.js';
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  Errno,
  errnoText,
  lastErrno,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_LINGER,
  SOL_SOCKET,
} from './system.js';

/** A connection whose side here is closed is given up when the other side has not closed its own for so long. */
export const LINGER_MS = 2_000;

const NOWHERE: SocketAddress = { host: '', port: 0 };
const LOST = EPOLLERR | EPOLLHUP;

/** A connected socket. */
export class Connection<Data> implements PlainSocket<Data>, Pollable {
  serial = 0;
  /** What is waited for. */
  private interest = EPOLLIN;
  /** The other side says no more. */
  private ended = false;
  /** This side says no more: what still comes is not read. */
  private ending = false;
  private closed = false;

  /**
   * @param fd not blocking; closed by the connection
   * @param peer null for a Unix socket, which has no addresses
   * @param lingering where it is while it waits for the other side to close
   */
  constructor(
    private readonly poller: Poller,
    readonly fd: number,
    public data: Data,
    private readonly handlers: PlainHandlers<Data>,
    private readonly peer: SocketAddress | null,
    private readonly lingering: Set<Lingering>,
  ) {}

  /** Begins to be waited for. False: the system does not take it. */
  begin(): boolean {
    return this.poller.add(this, this.interest);
  }

  /** Takes the place of what has the descriptor, and waits for bytes. */
  proceed(): void {
    this.poller.replace(this, this.interest);
  }

  get remoteAddress(): string {
    return this.peer?.host ?? '';
  }

  get remotePort(): number {
    return this.peer?.port ?? 0;
  }

  get localAddress(): string {
    return this.local().host;
  }

  get localPort(): number {
    return this.local().port;
  }

  private local(): SocketAddress {
    if (this.peer === null || this.closed) return NOWHERE;
    const address = new Uint8Array(SOCKADDR_BYTES_MAX);
    const length = new Int32Array([SOCKADDR_BYTES_MAX]);
    return this.poller.system.getsockname(this.fd, address, length) === 0 ? decodeSocketAddress(address) : NOWHERE;
  }

  /** Takes bytes as far as the system does; below 0 the connection is gone. */
  write(bytes: Uint8Array, offset: number, length: number): number {
    if (this.closed || this.ending) return -1;
    const { system } = this.poller;
    const taken = system.send(this.fd, ptr(bytes, offset) as unknown as null, length, MSG_NOSIGNAL);
    if (taken === length) return taken;
    if (taken < 0) {
      const errno = lastErrno(system);
      if (errno !== Errno.EAGAIN && errno !== Errno.EINTR && errno !== Errno.ENOBUFS) return -1;
    }
    this.expect(this.interest | EPOLLOUT);
    return Math.max(0, taken);
  }

  pause(): void {
    this.expect(this.interest & ~EPOLLIN);
  }

  resume(): void {
    if (!this.ended) this.expect(this.interest | EPOLLIN);
  }

  private expect(interest: number): void {
    if (interest === this.interest || this.closed) return;
    this.interest = interest;
    this.poller.change(this, interest);
  }

  end(): void {
    if (this.closed || this.ending) return;
    if (this.ended) {
      this.close();
      return;
    }
    this.ending = true;
    this.poller.system.shutdown(this.fd, SHUT_WR);
    // Closed with something unread, it would be reset, and what was written lost.
    this.expect(EPOLLIN);
    this.lingering.add(this as unknown as Lingering);
    this.lingerUntilMs = performance.now() + LINGER_MS;
  }

  lingerUntilMs = 0;

  /** Gives the connection up without a word: another process has it. Nothing is said of it any more. */
  detach(): void {
    if (this.closed) return;
    this.closed = true;
    // It is open elsewhere, and would be watched beyond the end of this descriptor.
    this.poller.remove(this);
    this.poller.close(this);
  }

  terminate(): void {
    if (this.closed) return;
    // What was written and not sent is not kept for a side that does not read.
    this.poller.system.setsockopt(this.fd, SOL_SOCKET, SO_LINGER, new Int32Array([1, 0]), 8);
    this.close();
  }

  /** Closes; said at the end of the turn, as whoever closes may be in the middle of something. */
  private close(): void {
    this.release();
    this.poller.defer(() => this.handlers.close(this));
  }

  private release(): void {
    this.closed = true;
    if (this.ending) this.lingering.delete(this as unknown as Lingering);
    this.poller.close(this);
  }

  ready(events: number): void {
    if (events & EPOLLOUT && !this.ending) {
      this.expect(this.interest & ~EPOLLOUT);
      this.handlers.drain(this);
      if (this.closed) return;
    }
    if (events & EPOLLIN) this.read();
    else if (events & LOST) this.lost(null);
  }

  private read(): void {
    const { poller } = this;
    // It may have been paused since.
    if ((this.interest & EPOLLIN) === 0) return;
    const length = poller.receive(this.fd);
    if (length > 0) {
      if (!this.ending) this.handlers.data(this, poller.take(length));
    } else if (length === 0) this.over();
    else {
      const errno = lastErrno(poller.system);
      if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) this.lost(new Error(errnoText(errno)));
    }
  }

  private over(): void {
    if (this.ending) {
      this.lost(null);
      return;
    }
    this.ended = true;
    this.expect(this.interest & ~EPOLLIN);
    this.handlers.end(this);
  }

  private lost(error: Error | null): void {
    this.release();
    this.handlers.close(this, error ?? undefined);
  }
}

/** A connection that waits for the other side to close. */
export interface Lingering {
  readonly lingerUntilMs: number;
  terminate(): void;
}

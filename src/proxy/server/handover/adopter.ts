import type { Pollable, Poller } from '../sockets/poller.js';
import { EPOLLEXCLUSIVE, EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../sockets/system.js';
import type { Packet } from './packet.js';
import { decodePassed, type Passed } from './passed.js';

/** Clients that are taken up in one turn. */
const ADOPTED_PER_TURN = 64;
/** Of those that wait when nobody is passed on any more, so many are taken up at most: more than can wait. */
const ADOPTED_AT_END = 1024;

/** Waits for another process where that passes its clients on: over a socket that all workers share, or one's own. */
export class Adopter implements Pollable {
  serial = 0;
  private stopped = false;

  /**
   * @param fd listening, not blocking; closed by the adopter
   * @param begin takes a connection, which is not blocking
   */
  constructor(
    private readonly poller: Poller,
    readonly fd: number,
    private readonly begin: (connection: number) => void,
  ) {
    poller.add(this, EPOLLIN | EPOLLEXCLUSIVE);
  }

  ready(): void {
    this.accept(ADOPTED_PER_TURN);
  }

  private accept(most: number): void {
    for (let i = 0; i < most; i++) {
      const fd = this.poller.system.accept4(this.fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      this.begin(fd);
    }
  }

  /** Nobody is passed on any more. Who waits is taken up: the other process may have gone before this one had time. */
  stop(): void {
    if (this.stopped) return;
    this.accept(ADOPTED_AT_END);
    this.stopped = true;
    this.poller.remove(this);
    this.poller.close(this);
  }
}

/** One client on its way. */
export class Delivery implements Pollable {
  serial = 0;

  /** @param adopt takes its connection, and its state */
  constructor(
    private readonly poller: Poller,
    private readonly packet: Packet,
    readonly fd: number,
    private readonly adopt: (descriptor: number, passed: Passed) => void,
  ) {}

  begin(): void {
    // What was sent before this is there at once, as a rule; else the other side is about to send it, or is gone.
    if (!this.poller.add(this, EPOLLIN)) this.poller.system.close(this.fd);
  }

  ready(): void {
    const { poller, packet, adopt } = this;
    const length = packet.receive(this.fd);
    const { descriptor } = packet;
    poller.close(this);
    if (length <= 0 || descriptor < 0) return;
    const passed = decodePassed(packet.payload.slice(0, length));
    if (passed === null) poller.system.close(descriptor);
    else adopt(descriptor, passed);
  }
}

import type { Pollable, Poller } from '../sockets/poller.js';
import { EPOLLEXCLUSIVE, EPOLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../sockets/system.js';
import { Packet } from './packet.js';
import { decodePassed, type Passed } from './passed.js';

/** Clients that are taken up in one turn. */
const ADOPTED_PER_TURN = 64;
/** Of those that wait when nobody is passed on any more, so many are taken up at most: more than can wait. */
const ADOPTED_AT_END = 1024;

/** Waits for clients that another process passes on, over a socket that all workers share. */
export class Adopter implements Pollable {
  serial = 0;
  readonly packet: Packet;
  private stopped = false;

  /**
   * @param fd listening, not blocking; closed by the adopter
   * @param adopt takes a client's connection, and its state
   */
  constructor(
    readonly poller: Poller,
    readonly fd: number,
    readonly adopt: (descriptor: number, passed: Passed) => void,
  ) {
    this.packet = new Packet(poller.system);
    poller.add(this, EPOLLIN | EPOLLEXCLUSIVE);
  }

  ready(): void {
    this.accept(ADOPTED_PER_TURN);
  }

  private accept(most: number): void {
    for (let i = 0; i < most; i++) {
      const fd = this.poller.system.accept4(this.fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      new Delivery(this, fd).begin();
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
class Delivery implements Pollable {
  serial = 0;

  constructor(
    private readonly adopter: Adopter,
    readonly fd: number,
  ) {}

  begin(): void {
    // What was sent before this is there at once, as a rule; else the other side is about to send it, or is gone.
    if (!this.adopter.poller.add(this, EPOLLIN)) this.adopter.poller.system.close(this.fd);
  }

  ready(): void {
    const { poller, packet, adopt } = this.adopter;
    const received = packet.receive(this.fd);
    poller.close(this);
    if (received === null) return;
    const passed = decodePassed(packet.payload.slice(0, received.length));
    if (passed === null) poller.system.close(received.descriptor);
    else adopt(received.descriptor, passed);
  }
}

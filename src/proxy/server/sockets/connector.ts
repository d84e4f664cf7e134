import type { Pollable, Poller } from './poller.js';
import { EPOLLOUT, Errno, errnoText, lastErrno, SO_ERROR, SOL_SOCKET } from './system.js';

/** A socket that is being connected (connect(2), EINPROGRESS). */
export class Connector implements Pollable {
  serial = 0;
  private pending = true;

  /**
   * @param untilMs it is given up then, on the clock of `performance.now()`
   * @param done called once, and not within `begin`, with what failed, or null: then the socket is the caller's, and is
   * still among those of the poller
   */
  constructor(
    private readonly poller: Poller,
    readonly fd: number,
    private readonly address: Uint8Array,
    private readonly untilMs: number,
    private readonly done: (problem: string | null) => void,
  ) {}

  begin(): void {
    const { poller, fd, address } = this;
    const { system } = poller;
    const code = system.connect(fd, address, address.length);
    const errno = code === 0 ? 0 : lastErrno(system);
    if (errno !== 0 && errno !== Errno.EINPROGRESS && errno !== Errno.EINTR) {
      poller.defer(() => this.finish(errnoText(errno)));
      return;
    }
    if (!poller.add(this, EPOLLOUT)) poller.defer(() => this.finish('the system does not wait for it'));
  }

  ready(): void {
    const value = new Int32Array(1);
    const length = new Int32Array([4]);
    const code = this.poller.system.getsockopt(this.fd, SOL_SOCKET, SO_ERROR, value, length);
    const errno = code === 0 ? (value[0] as number) : Errno.ECONNRESET;
    this.finish(errno === 0 ? null : errnoText(errno));
  }

  /** Gives up when its time is over. */
  expire(nowMs: number): void {
    if (nowMs >= this.untilMs) this.finish(errnoText(Errno.ETIMEDOUT));
  }

  private finish(problem: string | null): void {
    if (!this.pending) return;
    this.pending = false;
    // Not told of any more; a later connection with this descriptor has another serial.
    if (problem !== null) this.poller.remove(this);
    this.done(problem);
  }
}

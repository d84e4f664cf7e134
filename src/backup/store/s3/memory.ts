/** The memory that parts of uploads may take, all together. */

import { onAbort } from '../signals.js';

interface Waiting {
  readonly bytes: number;
  readonly give: () => void;
}

/** Who asks first is served first; a part that is larger than all of it gets it alone. */
export class PartMemory {
  readonly #bytes: number;
  #taken = 0;
  readonly #waiting: Waiting[] = [];
  /** Buffers of one size, used again: new ones would have to be cleared by the kernel, and found by the collector. */
  #spare: Buffer[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** What is in use at the moment. */
  get taken(): number {
    return this.#taken;
  }

  /** A buffer, once there is room for it. Give it back by `release`. */
  async acquire(bytes: number, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      await new Promise<void>((resolve, reject) => {
        const waiting = { bytes, give: () => done(resolve) };
        const stop = () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          done(() => reject(signal.reason));
          this.#serve();
        };
        const done = (settle: () => void) => {
          forget();
          settle();
        };
        const forget = onAbort(signal, stop);
        this.#waiting.push(waiting);
      });
    } else this.#taken += bytes;
    const spare = this.#spare.findIndex((buffer) => buffer.length === bytes);
    return spare < 0 ? Buffer.allocUnsafeSlow(bytes) : (this.#spare.splice(spare, 1)[0] as Buffer);
  }

  release(buffer: Buffer): void {
    this.#taken -= buffer.length;
    if (this.#taken + buffer.length <= this.#bytes) this.#spare.push(buffer);
    this.#serve();
    // What is spare and what is in use fit together, too.
    let spare = this.#spare.reduce((sum, each) => sum + each.length, 0);
    while (spare + this.#taken > this.#bytes && this.#spare.length > 0) spare -= this.#spare.shift()?.length ?? 0;
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#bytes;
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += next.bytes;
      next.give();
    }
  }
}

import type { Request } from './request.js';

/** Requests in the order in which their replies come: a ring that grows by doubling. */
export class RequestFifo {
  private ring: (Request | null)[] = new Array(64).fill(null);
  private mask = 63;
  private first = 0;
  length = 0;

  push(request: Request): void {
    if (this.length > this.mask) this.grow();
    this.ring[(this.first + this.length) & this.mask] = request;
    this.length++;
  }

  /** The oldest; the fifo must not be empty. */
  peek(): Request {
    return this.ring[this.first] as Request;
  }

  shift(): Request {
    const request = this.ring[this.first] as Request;
    this.ring[this.first] = null;
    this.first = (this.first + 1) & this.mask;
    this.length--;
    return request;
  }

  /** The one at a distance from the oldest. */
  at(index: number): Request {
    return this.ring[(this.first + index) & this.mask] as Request;
  }

  replace(index: number, request: Request): void {
    this.ring[(this.first + index) & this.mask] = request;
  }

  private grow(): void {
    const size = (this.mask + 1) * 2;
    const ring: (Request | null)[] = new Array(size).fill(null);
    for (let i = 0; i < this.length; i++) ring[i] = this.at(i);
    this.ring = ring;
    this.mask = size - 1;
    this.first = 0;
  }
}

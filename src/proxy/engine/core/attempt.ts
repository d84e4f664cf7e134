import type { Bytes } from '../bytes.js';
import type { Lane } from './lane.js';
import type { Transport, TransportEvents } from './runtime.js';

/** One attempt to connect and the connection that comes of it; what an earlier one still reports is not heard. */
export class Attempt implements TransportEvents {
  constructor(private readonly lane: Lane) {}
  private get current(): boolean {
    return this.lane.attempt === this;
  }
  opened(transport: Transport): void {
    if (this.current) this.lane.opened(transport);
    else transport.terminate();
  }
  failed(reason: string): void {
    if (!this.current) return;
    this.lane.router.health.failed(this.lane.node);
    this.lane.failed(reason);
  }
  received(bytes: Bytes): void {
    if (this.current) this.lane.received(bytes);
  }
  drained(): void {
    if (this.current) this.lane.drained();
  }
  closed(reason: string): void {
    if (!this.current) return;
    this.lane.router.health.closed(this.lane, this.lane.established);
    this.lane.closed(reason);
  }
}

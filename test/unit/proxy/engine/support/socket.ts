import type { Transport } from '../../../../../src/proxy/engine/core/runtime.js';
import type { Random } from './random.js';

/** Bytes on their way in one direction. */
export class Pipe {
  private chunks: Buffer[] = [];
  size = 0;

  constructor(readonly capacity = Number.POSITIVE_INFINITY) {}

  get room(): number {
    return this.capacity - this.size;
  }

  put(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.chunks.push(bytes);
    this.size += bytes.length;
  }

  /** Takes the first `count` bytes, in a buffer of their own. */
  take(count: number): Buffer {
    const all = this.chunks.length === 1 ? (this.chunks[0] as Buffer) : Buffer.concat(this.chunks);
    const taken = Buffer.from(all.subarray(0, count));
    const rest = all.subarray(count);
    this.chunks = rest.length > 0 ? [rest] : [];
    this.size = rest.length;
    return taken;
  }

  /** Keeps the first `count` bytes only. */
  truncate(count: number): void {
    const kept = this.take(Math.min(count, this.size));
    this.clear();
    this.put(kept);
  }

  clear(): void {
    this.chunks = [];
    this.size = 0;
  }
}

export interface SocketEvents {
  received(bytes: Buffer): void;
  drained(): void;
  closed(reason: string): void;
  /** The peer has closed its sending side. */
  ended(): void;
}

/** Whoever is at the other end of a socket. */
export interface Peer {
  /** Takes bytes at the moment. */
  readonly reads: boolean;
  received(bytes: Buffer): void;
  /** The proxy has closed. */
  closed(): void;
}

/** One connection of the proxy, to a client or to a node, with everything that a kernel may do to it. */
export class FakeSocket implements Transport {
  /** Proxy → peer; what is in here was taken by the kernel. */
  readonly out: Pipe;
  /** Peer → proxy. */
  readonly in = new Pipe();
  paused = false;
  /** Nothing more comes from the peer after what is in `in`. */
  peerGone = false;
  /** The peer says no more, and still listens. */
  halfClosed = false;
  private halfReported = false;
  /** The proxy has closed its end; what was written still goes out. */
  ended = false;
  /** The proxy has closed at once. */
  terminated = false;
  /** The proxy was told that it is closed. */
  closeReported = false;
  /** The peer was told. */
  peerTold = false;
  /** Writing fails. */
  broken = false;
  private blocked = false;

  constructor(
    private readonly random: Random,
    capacity: number,
    readonly events: SocketEvents,
    public peer: Peer,
    /** Sees what the kernel takes. */
    private readonly accepted: (bytes: Buffer) => void = () => undefined,
  ) {
    this.out = new Pipe(capacity);
  }

  // ---------------------------------------------------------------- the proxy's side

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (length < 0 || offset < 0 || offset + length > bytes.length) throw new Error('write outside of the buffer');
    if (this.broken || this.terminated) return -1;
    if (this.ended) throw new Error('write after end');
    let taken = Math.min(length, this.out.room);
    if (taken > 0 && this.random.chance(0.1)) taken = this.random.int(0, taken);
    const copy = Buffer.from(bytes.subarray(offset, offset + taken));
    this.out.put(copy);
    if (taken > 0) this.accepted(copy);
    if (taken < length) {
      this.blocked = true;
      // The connection may break between two writes of one turn.
    } else if (this.breakChance > 0 && this.random.chance(this.breakChance)) this.onBreak();
    return taken;
  }

  /** How often the connection breaks right behind a write, and what happens then. */
  breakChance = 0;
  onTerminate: () => void = () => undefined;
  onBreak: () => void = () => undefined;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ended = true;
  }

  terminate(): void {
    if (this.terminated) return;
    this.terminated = true;
    this.in.clear();
    this.onTerminate();
  }

  // ---------------------------------------------------------------- what can happen next

  get canReceive(): boolean {
    return this.in.size > 0 && !this.paused && !this.terminated && !this.closeReported;
  }

  get canDrain(): boolean {
    return this.blocked && this.out.room > 0 && !this.broken && !this.terminated && !this.closeReported;
  }

  get canClose(): boolean {
    if (this.closeReported) return false;
    return this.terminated || (this.peerGone && this.in.size === 0 && !this.paused);
  }

  get canReachPeer(): boolean {
    return this.out.size > 0 && this.peer.reads && !this.peerGone;
  }

  get canTellPeer(): boolean {
    return !this.peerTold && (this.terminated || (this.ended && this.out.size === 0));
  }

  get canEnd(): boolean {
    if (!this.halfClosed || this.halfReported || this.terminated || this.closeReported) return false;
    return this.in.size === 0 && !this.paused;
  }

  receive(): void {
    this.events.received(this.in.take(this.cut(this.in.size)));
  }

  drain(): void {
    this.blocked = false;
    this.events.drained();
  }

  endInput(): void {
    this.halfReported = true;
    this.events.ended();
  }

  close(): void {
    this.closeReported = true;
    this.broken = true;
    this.events.closed('connection lost');
  }

  reachPeer(): void {
    this.peer.received(this.out.take(this.cut(this.out.size)));
  }

  tellPeer(): void {
    this.peerTold = true;
    this.peer.closed();
  }

  /** How much of what is there comes now: often all, at times a byte. */
  cut(size: number): number {
    if (this.random.chance(0.5)) return size;
    return this.random.int(1, this.random.chance(0.5) ? Math.min(size, 8) : size);
  }
}

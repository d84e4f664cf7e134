import type { Identity } from '../access/identity.js';
import type { Bytes } from '../bytes.js';
import { Counter } from '../stats.js';
import { Attempt } from './attempt.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { DedicatedPool } from './dedicated.js';
import { expireLane } from './expiry.js';
import { RequestFifo } from './fifo.js';
import type { Greeting } from './greeting.js';
import { HANDSHAKE_FAILED, HANDSHAKE_INCOMPLETE, Handshake } from './handshake.js';
import { Hold } from './hold.js';
import { protoOf } from './lane-id.js';
import { WAITING_HOLD_SHARE } from './limits.js';
import { refusedAtHandshake } from './login.js';
import { Output } from './output.js';
import { reconnectDelay } from './reconnect.js';
import { ReplyReader } from './reply-reader.js';
import { acquireRequest, type Request, RequestState, releaseRequest } from './request.js';
import type { Router } from './router.js';
import type { Transport, TransportEvents } from './runtime.js';
import type { UpstreamNode } from './upstream-node.js';

export const LaneState = { idle: 0, connecting: 1, handshake: 2, ready: 3 } as const;

/**
 * The one connection of this worker to one upstream node, for one user and RESP version. Everyone's ordinary commands share it;
 * replies come in the order of the commands. It reconnects by itself while somebody waits for it.
 */
export class Lane {
  state: number = LaneState.idle;
  /** Commands that wait for the connection. Non-empty only while it is not ready or is full. */
  waiting: Request[] = [];
  readonly output: Output;
  dirty = false;
  /** Clients that are not read because this connection is full. */
  readonly heldClients = new Set<Client>();
  /** How many clients hold up the reading of this connection. */
  pauses = 0;
  connectStartedMs = 0;
  /** No attempt to connect before this time. */
  retryAtMs = 0;
  failures = 0;
  lastReceivedMs = 0;
  private openedMs = 0;
  lastError = '';
  attempt: TransportEvents | null = null;
  /** Commands that may be in flight; 0 while the node is not to be used. See `Health.roomOf`. */
  inFlightMax: number;

  /** 2 or 3. */
  readonly proto: number;
  /** As whom it logs in; null: as the proxy's own user. */
  readonly identity: Identity | null;
  /** The login with the password before the current one has been tried on this connection. */
  triedPrevious = false;
  /** Why the node does not accept the user; '' when it does, or has not been asked. */
  refusal = '';
  /** Not one of the node's any more. */
  retired = false;
  /** The cluster that the node belongs to. */
  readonly router: Router;

  private transport: Transport | null = null;
  private readonly fifo = new RequestFifo();
  private readonly reader: ReplyReader;
  /** Bytes appended to the output, and taken by the socket, since the connection was made. */
  private appended = 0;
  private written = 0;
  private handshake: Handshake | null = null;

  constructor(
    readonly core: Core,
    readonly node: UpstreamNode,
    /** See lane-id.ts. */
    readonly id: number,
    /** Reads from a replica. */
    readonly readonly = false,
    /** Lends it to one client at a time; null: everyone shares it, and it reconnects by itself. */
    readonly pool: DedicatedPool | null = null,
  ) {
    this.router = node.router;
    this.proto = protoOf(id);
    this.identity = core.identities.ofLane(id);
    this.output = new Output(core.upstreamBuffers);
    this.inFlightMax = node.router.health.roomOf(this);
    this.reader = new ReplyReader(core, this, this.fifo);
  }

  get inFlight(): number {
    return this.fifo.length;
  }

  /** True when a command can be appended now. */
  get open(): boolean {
    return this.state === LaneState.ready && this.waiting.length === 0 && this.fifo.length < this.inFlightMax;
  }

  // ---------------------------------------------------------------- sending

  send(request: Request): void {
    if (request.asking) {
      request.asking = false;
      this.sendInternal(this.core.texts.asking);
    }
    const bytes = request.bytes as Bytes;
    const size = request.end - request.start;
    if (size >= this.core.observer.bigBytes) this.core.observer.bigRequest(request, size);
    this.output.append(bytes, request.start, request.end);
    this.appended += size;
    request.sentEnd = this.appended;
    request.state = RequestState.sent;
    request.sentMs = this.core.nowMs;
    request.attempts++;
    this.fifo.push(request);
    if (request.entry !== null && !request.entry.repeatable) this.noteWriter(request);
    if (!this.dirty) this.core.markDirtyLane(this);
    if (this.output.bytes > this.core.limits.upstreamOutputBytesHigh) this.holdClient(request);
  }

  /** WAIT asks the replicas of the nodes that its client has written to. */
  private noteWriter(request: Request): void {
    const client = request.client ?? request.parent?.client;
    if (client != null) client.wrote |= this.node.bit;
  }

  /** A command of the proxy's own whose reply is dropped. */
  sendInternal(bytes: Bytes): void {
    const request = acquireRequest();
    request.bytes = bytes;
    request.start = 0;
    request.end = bytes.length;
    request.router = this.router;
    request.startedMs = this.core.nowMs;
    this.send(request);
  }

  /** Does not read the client of a command until this connection has room again. */
  holdClient(request: Request): void {
    const client = request.client ?? request.parent?.client;
    if (!client) return;
    client.setHold(Hold.upstream);
    this.heldClients.add(client);
  }

  /** Lets held clients go on when there is room. */
  relieve(): void {
    if (this.heldClients.size === 0) return;
    if (this.output.bytes * 2 >= this.core.limits.upstreamOutputBytesHigh) return;
    if (this.waiting.length * WAITING_HOLD_SHARE * 2 >= this.router.health.breakers.pendingMax) return;
    this.releaseClients();
  }

  private releaseClients(): void {
    const clients = [...this.heldClients];
    this.heldClients.clear();
    for (const client of clients) client.liftHold(Hold.upstream);
  }

  /** Hands over everything that waits, for it to find another way. */
  takeWaiting(): Request[] {
    const { waiting } = this;
    this.waiting = [];
    this.releaseClients();
    return waiting;
  }

  flush(): void {
    this.dirty = false;
    if (this.transport === null || this.output.bytes === 0) return;
    const taken = this.output.flush(this.transport);
    if (taken < 0) {
      this.transport.terminate();
      return;
    }
    this.written += taken;
    this.router.add(Counter.upstream_cx_tx_bytes_total, taken);
    this.relieve();
  }

  // ---------------------------------------------------------------- connecting

  /** Starts to connect, unless it is connected, connecting, or must wait first. */
  connect(): void {
    if (this.state !== LaneState.idle || this.core.nowMs < this.retryAtMs) return;
    if (this.pool !== null) {
      if (!this.pool.mayConnect(this)) return;
    } else if (!this.router.health.breakers.admitsConnection(this.node.unconnected)) {
      this.retryAtMs = this.core.nowMs + this.core.limits.reconnectDelayMs;
      return;
    } else if (this.identity !== null) {
      if (!this.core.identities.mayConnect(this)) return;
    } else if (!this.router.takeConnectToken()) {
      this.router.count(Counter.connection_rate_limited);
      this.retryAtMs = this.core.nowMs + this.core.limits.reconnectDelayMs;
      return;
    }
    this.state = LaneState.connecting;
    this.connectStartedMs = this.core.nowMs;
    this.attempt = new Attempt(this);
    this.core.runtime.connect(this.node.host, this.node.port, this.attempt, this.router.index);
  }

  opened(transport: Transport): void {
    this.transport = transport;
    this.openedMs = this.core.nowMs;
    this.appended = 0;
    this.written = 0;
    this.triedPrevious = false;
    this.refusal = '';
    this.router.count(Counter.upstream_cx_total);
    this.router.count(Counter.upstream_cx_active);
    this.state = LaneState.handshake;
    this.greet(this.router.greeting(this.identity, this.proto, this.readonly));
  }

  /** Says what a connection says first. */
  greet(greeting: Greeting): void {
    if (greeting.replies === 0) {
      this.ready();
      return;
    }
    this.handshake = new Handshake(greeting.replies);
    this.output.append(greeting.bytes, 0, greeting.bytes.length);
    this.appended += greeting.bytes.length;
    this.flush();
  }

  private ready(): void {
    this.state = LaneState.ready;
    this.node.lostMs = Number.NEGATIVE_INFINITY;
    if (this.identity !== null) this.core.identities.connected(this);
    if (this.lastError !== '') this.say('upstream connected again');
    this.failures = 0;
    this.lastError = '';
    this.pool?.connected(this);
    this.sendWaiting();
  }

  get established(): boolean {
    return this.state === LaneState.ready;
  }

  /** Sends what waits, in order, as far as the connection takes it. */
  sendWaiting(): void {
    const waiting = this.waiting;
    if (waiting.length === 0 || this.state !== LaneState.ready) return;
    let at = 0;
    for (; at < waiting.length && this.fifo.length < this.inFlightMax; at++) {
      const request = waiting[at];
      this.router.add(Counter.upstream_rq_pending_active, -1);
      if (request.client === null && request.parent === null) releaseRequest(request);
      else this.send(request);
    }
    this.waiting = at === waiting.length ? [] : waiting.slice(at);
    this.relieve();
  }

  failed(reason: string): void {
    if (this.state === LaneState.connecting) this.router.count(Counter.upstream_cx_connect_fail);
    this.disconnect(reason);
    this.core.laneLost(this, 'connect_failed');
  }

  private say(message: string): void {
    // There may be thousands of the others.
    if (this.pool !== null || this.identity !== null) return;
    this.core.runtime.log('info', message, { upstream: this.node.address, reason: this.lastError });
  }

  /** Sets the lane back to idle, with a delay before the next attempt. */
  private disconnect(reason: string): void {
    if (this.identity !== null) this.core.identities.connected(this);
    this.state = LaneState.idle;
    this.attempt = null;
    this.handshake = null;
    this.transport = null;
    this.lastError = reason;
    this.retryAtMs = this.core.nowMs + reconnectDelay(this.core.limits, this.failures, this.core.random());
    // Said once, however often it is tried.
    if (this.failures++ === 0) this.say('upstream connection lost or not made');
    this.output.clear();
    this.reader.reset();
    this.releaseClients();
  }

  closed(reason: string): void {
    if (this.transport === null) return;
    this.router.add(Counter.upstream_cx_active, -1);
    const established = this.state === LaneState.ready;
    if (this.fifo.length > 0) this.router.count(Counter.upstream_cx_destroy_with_active_rq);
    const written = this.written;
    if (established) this.failures = 0;
    this.disconnect(this.lastError || reason);
    // Oldest first, so that what is sent again keeps its order.
    const waiting = this.waiting;
    this.waiting = [];
    for (let left = this.fifo.length; left > 0; left--) {
      const request = this.fifo.shift();
      this.core.retries.interrupted(request, request.sentEnd <= written, this.router);
    }
    for (const request of waiting) {
      if (this.core.retries.joins(request)) this.router.add(Counter.upstream_rq_pending_active, -1);
      else this.waiting.push(request);
    }
    this.core.laneLost(this, established ? 'connection_lost' : 'connect_failed');
  }

  /** Closes the connection for good; what is in flight is treated as interrupted. */
  terminate(reason: string): void {
    this.lastError = reason;
    const transport = this.transport;
    if (transport === null) {
      if (this.state === LaneState.connecting) this.failed(reason);
      return;
    }
    // The end is taken note of here; what the runtime reports of it later is not heard.
    this.closed(reason);
    transport.terminate();
  }

  /** Closes the connection of a user that the node does not accept, or that nobody is any more. */
  retire(reason: string): void {
    this.retired = true;
    const waiting = this.takeWaiting();
    this.router.add(Counter.upstream_rq_pending_active, -waiting.length);
    this.terminate(reason);
    for (const request of waiting) this.core.replies.fail(request, this.core.texts.upstreamFailure);
  }

  drained(): void {
    this.output.blocked = false;
    this.flush();
  }

  // ---------------------------------------------------------------- receiving

  received(bytes: Bytes): void {
    const end = bytes.length;
    this.lastReceivedMs = this.core.nowMs;
    this.router.add(Counter.upstream_cx_rx_bytes_total, end);
    let at = 0;
    if (this.handshake !== null) {
      at = this.handshake.feed(bytes, end);
      if (at === HANDSHAKE_INCOMPLETE) return;
      if (at === HANDSHAKE_FAILED) {
        refusedAtHandshake(this, this.handshake);
        return;
      }
      this.handshake = null;
      this.ready();
    }
    this.core.readingLane = this;
    this.reader.read(bytes, at, end);
    this.core.readingLane = null;
    if (this.waiting.length !== 0) this.sendWaiting();
  }

  /**
   * The connection cannot be trusted any more.
   * @param answering what came was to be the reply to the oldest command
   */
  garbage(reason: string, answering: boolean): void {
    this.router.count(Counter.upstream_cx_protocol_error);
    this.core.runtime.log('error', reason, { upstream: this.node.address });
    if (answering && this.fifo.length > 0) this.core.retries.spoiled(this.fifo.shift());
    this.terminate(reason);
  }

  /** Not all bytes of a command in flight have left: it cannot have been answered. */
  unsent(request: Request): boolean {
    return request.sentEnd > this.written;
  }

  // ---------------------------------------------------------------- time and flow

  pause(): void {
    if (this.pauses++ === 0) this.transport?.pause();
  }

  resume(): void {
    if (this.pauses > 0 && --this.pauses === 0) this.transport?.resume();
  }

  /** Gives up on commands that are older than `deadlineMs` allows. */
  expire(startedBeforeMs: number): void {
    expireLane(this, this.fifo, startedBeforeMs);
  }

  /** The oldest command in flight started then; Infinity when there is none. */
  oldestStartedMs(): number {
    return this.fifo.length === 0 ? Number.POSITIVE_INFINITY : this.fifo.peek().startedMs;
  }

  /** True when the connection has said nothing since then, with commands in flight. */
  quietSince(beforeMs: number): boolean {
    return this.fifo.length > 0 && Math.max(this.lastReceivedMs, this.openedMs) < beforeMs;
  }
}

import type { Identity } from '../access/identity.js';
import { type Bytes, latin1 } from '../bytes.js';
import type { Greeting } from '../core/greeting.js';
import { HANDSHAKE_FAILED, HANDSHAKE_INCOMPLETE, Handshake } from '../core/handshake.js';
import { Output } from '../core/output.js';
import { reconnectDelay } from '../core/reconnect.js';
import type { Transport, TransportEvents } from '../core/runtime.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { Counter } from '../stats.js';
import { encodeWords } from './encode.js';
import type { Hub } from './hub.js';
import { MessageBatch } from './message-batch.js';
import { MessageReader, type MessageSink } from './message-reader.js';
import { PASSED_ON_MS, Recent } from './recent.js';
import { Link, LinkState, SUBSCRIBED, type Topic, UNSUBSCRIBED } from './topic.js';

export const FeedState = { idle: 0, connecting: 1, handshake: 2, ready: 3 } as const;

/** Something that the node will answer, in this order; a link for SUBSCRIBE, null for UNSUBSCRIBE and PING. */
interface Sent {
  readonly link: Link | null;
  /** Of an unsubscription: the name. */
  readonly left: string;
}

/** Looks (each `SWEEP_INTERVAL_MS` after the other) at a node that owes an answer, before it is given up. */
const SILENT_SWEEPS_MAX = 20;

/**
 * The one connection of this worker over which a node sends what is published; all subscriptions that are placed at the
 * node share it. RESP2: its messages go to RESP2 clients as they are.
 */
export class Feed implements MessageSink {
  state: number = FeedState.idle;
  /** By kind and name. */
  readonly links: readonly Map<string, Link>[] = [new Map(), new Map(), new Map()];
  retryAtMs = 0;
  failures = 0;
  connectStartedMs = 0;
  lastReceivedMs = 0;
  /** Since when nothing has been placed here. */
  idleSinceMs = 0;
  dirty = false;

  private attempt: TransportEvents | null = null;
  private transport: Transport | null = null;
  private handshake: Handshake | null = null;
  private readonly output: Output;
  private readonly reader: MessageReader;
  private sent: Sent[] = [];
  private answered = 0;
  private pingMs = 0;
  private silentSweeps = 0;
  private lastError = '';
  /** The login with the password before the current one has been tried on this connection. */
  private triedPrevious = false;

  private readonly batch: MessageBatch;
  /** What it has delivered last. */
  private readonly recent = new Recent();

  constructor(
    private readonly hub: Hub,
    readonly node: UpstreamNode,
    /** As whom it logs in; null: as the proxy's own user. */
    readonly identity: Identity | null = null,
  ) {
    this.output = new Output(hub.core.upstreamBuffers);
    this.reader = new MessageReader(hub.core.runtime.allocate, this);
    this.batch = new MessageBatch(this.links, hub, this.recent);
    this.idleSinceMs = hub.core.nowMs;
  }

  get used(): boolean {
    return this.links[0].size + this.links[1].size + this.links[2].size > 0;
  }

  // ---------------------------------------------------------------- subscriptions

  /** Places a topic here. */
  add(topic: Topic): void {
    topic.links.push(this.addHeir(topic));
  }

  /** Subscribes to a topic that will be placed here. */
  addHeir(topic: Topic): Link {
    const link = new Link(topic, this);
    this.links[topic.kind].set(topic.name, link);
    if (this.state === FeedState.ready) this.ask(link);
    else this.connect();
    return link;
  }

  /** The topic is not wanted here any more. */
  drop(link: Link): void {
    const { topic } = link;
    link.dropped = true;
    const at = topic.links.indexOf(link);
    if (at >= 0) topic.links.splice(at, 1);
    this.links[topic.kind].delete(topic.name);
    this.batch.forget(link);
    if (link.state === LinkState.live) this.node.router.add(Counter.upstream_pubsub_subscriptions_active, -1);
    if (link.state !== LinkState.none && this.state === FeedState.ready) {
      this.say([UNSUBSCRIBED[topic.kind].toUpperCase(), topic.name], { link: null, left: topic.name });
    }
    link.state = LinkState.none;
    if (!this.used) this.idleSinceMs = this.hub.core.nowMs;
  }

  private ask(link: Link): void {
    link.state = LinkState.asked;
    this.say([SUBSCRIBED[link.topic.kind].toUpperCase(), link.topic.name], { link, left: '' });
  }

  private say(words: readonly string[], sent: Sent): void {
    const bytes = encodeWords(words, this.hub.core.runtime.allocate);
    this.output.append(bytes, 0, bytes.length);
    this.sent.push(sent);
    if (!this.dirty) this.hub.markDirty(this);
  }

  private nextSent(): Sent | undefined {
    const sent = this.sent[this.answered++];
    // Taken out in large pieces: a resubscription may be many thousand commands.
    if (this.answered === this.sent.length || this.answered >= 1024) {
      this.sent = this.sent.slice(this.answered);
      this.answered = 0;
    }
    return sent;
  }

  // ---------------------------------------------------------------- connecting

  /** Starts to connect, unless it is connected, connecting, or must wait first. */
  connect(): void {
    const { core } = this.hub;
    if (this.state !== FeedState.idle || core.nowMs < this.retryAtMs) return;
    const { router } = this.node;
    if (this.identity !== null) {
      if (!core.identities.mayConnect(this)) return;
    } else if (!router.takeConnectToken()) {
      router.count(Counter.connection_rate_limited);
      this.retryAtMs = core.nowMs + core.limits.reconnectDelayMs;
      return;
    }
    this.state = FeedState.connecting;
    this.connectStartedMs = core.nowMs;
    const attempt = new FeedAttempt(this, () => this.attempt === attempt);
    this.attempt = attempt;
    core.runtime.connect(this.node.host, this.node.port, attempt, router.index);
  }

  opened(transport: Transport): void {
    const { router } = this.node;
    this.transport = transport;
    router.count(Counter.upstream_cx_total);
    router.count(Counter.upstream_cx_active);
    this.lastReceivedMs = this.hub.core.nowMs;
    this.state = FeedState.handshake;
    this.triedPrevious = false;
    this.greet(router.greeting(this.identity, 2, false));
  }

  private greet(greeting: Greeting): void {
    if (greeting.replies === 0) this.ready();
    else {
      this.handshake = new Handshake(greeting.replies);
      this.output.append(greeting.bytes, 0, greeting.bytes.length);
      this.flush();
    }
  }

  private ready(): void {
    this.state = FeedState.ready;
    this.hub.core.identities.connected(this);
    if (this.lastError !== '') this.tell('subscribed again');
    this.failures = 0;
    this.lastError = '';
    for (const links of this.links) for (const link of links.values()) this.ask(link);
    this.hub.feedReady();
  }

  private tell(message: string): void {
    this.hub.core.runtime.log('info', message, { upstream: this.node.address, reason: this.lastError });
  }

  /** The connection is lost or was not made. What is placed here stays, for the hub to move. */
  lost(reason: string, moves = true): void {
    const { core } = this.hub;
    const { router } = this.node;
    const wasReady = this.state === FeedState.ready;
    core.identities.connected(this);
    if (this.transport !== null) router.add(Counter.upstream_cx_active, -1);
    else if (this.state === FeedState.connecting) router.count(Counter.upstream_cx_connect_fail);
    const transport = this.transport;
    this.state = FeedState.idle;
    this.attempt = null;
    this.transport = null;
    this.handshake = null;
    this.output.clear();
    this.reader.reset();
    this.batch.reset();
    this.sent = [];
    this.answered = 0;
    for (const links of this.links) {
      for (const link of links.values()) {
        if (link.state === LinkState.live) router.add(Counter.upstream_pubsub_subscriptions_active, -1);
        link.state = LinkState.none;
      }
    }
    this.retryAtMs = core.nowMs + reconnectDelay(core.limits, this.failures++, core.random());
    if (this.lastError === '' && this.used) {
      this.lastError = reason;
      this.tell('subscriptions lost');
    }
    transport?.terminate();
    router.requestRefresh(wasReady ? 'connection_lost' : 'connect_failed');
    if (moves && wasReady && this.identity !== null) core.identities.doubt(this.identity);
    // A user's connection is closed by a node that does not accept it any more: only one that is not made says that the
    // node is not there.
    this.hub.feedLost(this, this.recent.take(), moves && !(wasReady && this.identity !== null));
  }

  /** Nothing is placed here any more. */
  close(): void {
    const { transport } = this;
    this.hub.core.identities.connected(this);
    this.attempt = null;
    if (transport !== null) this.node.router.add(Counter.upstream_cx_active, -1);
    this.transport = null;
    this.state = FeedState.idle;
    this.output.clear();
    transport?.terminate();
  }

  /**
   * Looks after time: attempts that take too long, silence, subscriptions that were refused for the moment.
   * @param late this process stood still: what came meanwhile is read after this look only
   */
  tick(late: boolean): void {
    const { core } = this.hub;
    const now = core.nowMs;
    this.recent.expire(now - PASSED_ON_MS);
    if (this.state === FeedState.idle) {
      if (this.used) this.connect();
    } else if (this.state !== FeedState.ready) {
      if (now - this.connectStartedMs >= this.node.router.settings.connectTimeoutMs) {
        this.node.router.count(Counter.upstream_cx_connect_timeout);
        this.lost('connect timeout');
      }
    } else if (this.pingMs > this.lastReceivedMs) {
      if (!late && ++this.silentSweeps >= SILENT_SWEEPS_MAX) this.lost('it does not answer');
    } else if (now - this.lastReceivedMs >= core.limits.subscriptionPingMs) {
      this.silentSweeps = 0;
      this.pingMs = now;
      this.say(['PING'], { link: null, left: '' });
    }
  }

  /** Asks again for what was refused for the moment. */
  retry(link: Link): void {
    if (
      !link.dropped &&
      link.state === LinkState.none &&
      this.state === FeedState.ready &&
      this.hub.core.nowMs >= link.retryAtMs
    ) {
      this.ask(link);
    }
  }

  flush(): void {
    this.dirty = false;
    if (this.transport === null || this.output.bytes === 0) return;
    const taken = this.output.flush(this.transport);
    if (taken < 0) this.lost('connection lost');
    else this.node.router.add(Counter.upstream_cx_tx_bytes_total, taken);
  }

  drained(): void {
    this.output.blocked = false;
    this.flush();
  }

  // ---------------------------------------------------------------- receiving

  received(bytes: Bytes): void {
    const end = bytes.length;
    this.lastReceivedMs = this.hub.core.nowMs;
    this.node.router.add(Counter.upstream_cx_rx_bytes_total, end);
    let at = 0;
    if (this.handshake !== null) {
      const next = this.handshake.feed(bytes, end);
      if (next === HANDSHAKE_INCOMPLETE) return;
      if (next === HANDSHAKE_FAILED) {
        this.refused(this.handshake);
        return;
      }
      this.handshake = null;
      at = next;
      this.ready();
    }
    if (at >= end) return;
    const sane = this.reader.read(bytes, at, end);
    this.hub.delivery.forget();
    if (!sane) {
      this.node.router.count(Counter.upstream_cx_protocol_error);
      this.lost('the upstream sent something else than messages');
    }
  }

  /** What the connection said first was refused. */
  private refused({ error, loginRefused }: Handshake): void {
    const { core } = this.hub;
    const { router } = this.node;
    if (loginRefused) router.count(Counter.upstream_auth_refused);
    if (loginRefused && this.identity !== null) {
      core.identities.doubt(this.identity);
      this.hub.feedRefused(this, error);
      this.lost(`login refused: ${error}`, false);
      return;
    }
    const previous = loginRefused && !this.triedPrevious ? router.previousGreeting(2, false) : null;
    if (previous === null) this.lost(`the upstream refused the connection: ${error}`);
    else {
      this.triedPrevious = true;
      this.greet(previous);
    }
  }

  item(bytes: Bytes, start: number, end: number, reader: MessageReader): void {
    if (this.batch.take(bytes, start, end, reader)) return;
    this.read();
    const { starts, ends } = reader;
    const name = reader.count > 1 ? latin1(bytes, starts[1], ends[1]) : '';
    this.confirmed(latin1(bytes, starts[0], ends[0]), name);
  }

  /** Delivers what was put together. */
  read(): void {
    this.batch.deliver();
  }

  line(bytes: Bytes, start: number, end: number): void {
    this.read();
    const sent = this.nextSent();
    if (bytes[start] !== 45 || sent?.link == null || sent.link.dropped) return;
    sent.link.state = LinkState.none;
    this.hub.refused(sent.link, latin1(bytes, start, end));
  }

  private confirmed(word: string, name: string): void {
    const left = UNSUBSCRIBED.indexOf(word as (typeof UNSUBSCRIBED)[number]);
    const next = this.sent[this.answered];
    if (left < 0) {
      this.nextSent();
      const link = next?.link;
      if (link == null || link.dropped || link.state !== LinkState.asked) return;
      link.state = LinkState.live;
      this.node.router.add(Counter.upstream_pubsub_subscriptions_active, 1);
      this.hub.confirmed(link);
      return;
    }
    if (next !== undefined && next.link === null && next.left === name) {
      this.nextSent();
      return;
    }
    // Nobody asked for it: the slot of a shard channel has left the node.
    const link = this.links[left].get(name);
    if (link === undefined || link.state !== LinkState.live) return;
    this.node.router.add(Counter.upstream_pubsub_subscriptions_active, -1);
    link.state = LinkState.none;
    this.hub.displaced(link);
  }
}

/** One attempt to connect and the connection that comes of it; what an earlier one still reports is not heard. */
class FeedAttempt implements TransportEvents {
  constructor(
    private readonly feed: Feed,
    private readonly current: () => boolean,
  ) {}
  opened(transport: Transport): void {
    if (this.current()) this.feed.opened(transport);
    else transport.terminate();
  }
  failed(reason: string): void {
    if (this.current()) this.feed.lost(reason);
  }
  received(bytes: Bytes): void {
    if (this.current()) this.feed.received(bytes);
  }
  drained(): void {
    if (this.current()) this.feed.drained();
  }
  closed(reason: string): void {
    if (this.current()) this.feed.lost(reason);
  }
}

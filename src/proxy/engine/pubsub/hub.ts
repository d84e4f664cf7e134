import type { Identity } from '../access/identity.js';
import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { readRedirect } from '../core/redirect.js';
import { formatAddress, type UpstreamNode } from '../core/upstream-node.js';
import { Counter } from '../stats.js';
import { Delivery } from './delivery.js';
import { Echoes } from './echoes.js';
import { latin1Bytes } from './encode.js';
import { Feed, FeedState } from './feed.js';
import { Inheritance } from './inherited.js';
import { Moves } from './moves.js';
import { type Known, Peers } from './peers.js';
import { Placement } from './placement.js';
import { PublishOrder } from './publish-order.js';
import type { Range } from './recent.js';
import { Subscribers } from './subscribers.js';
import { type Link, LinkState, Topic, TopicKind, type TopicKindNumber } from './topic.js';
import { addNodes, each, feedKey, knownOf, remove, waitMs } from './topics.js';

/** How often connections and unused subscriptions are looked after. */
const SWEEP_INTERVAL_MS = 100;
/** A look that comes so much after the last one says nothing of who is silent; the next one does, however late it is. */
const SWEEP_LATE_MS = 250;
/** A connection over which nothing is subscribed any more is kept this long. */
const FEED_IDLE_MS = 5000;
/** A subscription that a node refused for the moment is asked for again after this time. */
const REFUSED_RETRY_MS = 100;
/** … and one that it refused for another reason after this time, while there are clients who have had it. */
const FORBIDDEN_RETRY_MS = 1000;

/** The map is shared memory and may be there before the nodes in it are known: it is looked at once more then. */
const PLACE_AGAIN_MS = 500;

/**
 * The subscriptions of one worker: its clients', and those that it holds at nodes in their place. However many clients
 * share a channel, a node knows of one subscription for each worker.
 */
export class Hub {
  readonly delivery: Delivery;
  readonly placement: Placement;
  readonly peers: Peers;
  readonly subscribers: Subscribers;
  readonly moves = new Moves(this);
  readonly echoes = new Echoes(this);
  readonly inheritance = new Inheritance(this);
  readonly publishOrder = new PublishOrder();
  /** By kind and name; those of several users hang together (`Topic.next`). */
  readonly topics: readonly Map<string, Topic>[] = [new Map(), new Map(), new Map()];
  /** By node's address and user. */
  private readonly feeds = new Map<string, Feed>();
  /** Topics that are not where they belong, or not confirmed there. */
  private readonly unsettled = new Set<Topic>();
  private readonly idle = new Set<Topic>();
  private readonly dirty: Feed[] = [];
  private mapVersion = -1;
  private placeAgainMs = Number.POSITIVE_INFINITY;
  private sweptMs = 0;
  private sweptLate = false;

  constructor(readonly core: Core) {
    this.delivery = new Delivery(core);
    this.placement = new Placement(core, (node) => waitMs(this.feeds.values(), node, core.nowMs));
    this.subscribers = new Subscribers(this);
    const { topics, placement } = this;
    this.peers = new Peers(core, {
      known: (kind, name) => this.known(kind, name),
      names: (kind) => topics[kind].keys(),
      get node() {
        return placement.bus?.address ?? '';
      },
    });
  }

  /** What this worker has under a name. */
  known(kind: TopicKindNumber, name: string): Known {
    return knownOf(this.topics[kind].get(name));
  }

  // ---------------------------------------------------------------- topics

  /** The topic of a name with a user's rights. */
  topicOf(kind: TopicKindNumber, name: string, identity: Identity | null): Topic | undefined {
    let topic = this.topics[kind].get(name);
    while (topic !== undefined && topic.identity !== identity) topic = topic.next;
    return topic;
  }

  /** The same, which is held until `release` and made when there is none. */
  hold(kind: TopicKindNumber, name: string, slot: number, identity: Identity | null = null): Topic {
    let topic = this.topicOf(kind, name, identity);
    if (topic === undefined) {
      topic = new Topic(kind, name, slot, this.placement.everywhere(kind, name), identity);
      topic.next = this.topics[kind].get(name);
      this.topics[kind].set(name, topic);
      topic.holds++;
      this.place(topic);
    } else topic.holds++;
    return topic;
  }

  release(topic: Topic): void {
    topic.holds--;
    this.rest(topic);
  }

  /** Its subscribers have changed. When there are none left, it goes after a while. */
  changed(topic: Topic): void {
    this.peers.note(topic.kind, topic.name);
    this.rest(topic);
  }

  private rest(topic: Topic): void {
    if (!topic.idle) return;
    topic.idleSinceMs = this.core.nowMs;
    this.idle.add(topic);
  }

  private forget(topic: Topic): void {
    this.moves.cancel(topic);
    this.echoes.forget(topic);
    for (const link of [...topic.links]) link.feed.drop(link);
    remove(this.topics[topic.kind], topic);
    this.unsettled.delete(topic);
    this.peers.note(topic.kind, topic.name);
  }

  // ---------------------------------------------------------------- places

  private feedOf(node: UpstreamNode, identity: Identity | null): Feed {
    const key = feedKey(node, identity);
    let feed = this.feeds.get(key);
    if (feed !== undefined && feed.node !== node && !feed.used) {
      feed.close();
      feed = undefined;
    }
    if (feed === undefined) {
      feed = new Feed(this, node, identity);
      this.feeds.set(key, feed);
    }
    return feed;
  }

  /** Subscribes to a topic where it belongs, and no longer elsewhere. */
  private place(topic: Topic): void {
    // Its user is gone, and so are its subscribers.
    if (topic.identity?.closed) return;
    if (this.placement.onBus(topic) && this.placement.bus === null) this.placement.chooseBus();
    const feeds = this.placement.nodesOf(topic).map((node) => this.feedOf(node, topic.identity));
    const { links } = topic;
    if (feeds.length === links.length && feeds.every((feed, i) => links[i].feed === feed)) {
      this.moves.stays(topic);
      if (!topic.live) this.unsettled.add(topic);
      else if (this.unsettled.delete(topic)) this.answer(topic);
      return;
    }
    this.unsettled.add(topic);
    if (feeds.length === 0) {
      this.core.router.requestRefresh('unassigned_slot');
      return;
    }
    if (this.placement.onBus(topic) && this.moves.takes(topic, feeds)) return;
    const old = links.filter((link) => !feeds.includes(link.feed));
    if (feeds.some((feed) => feed.state !== FeedState.ready) && old.some((link) => link.state === LinkState.live)) {
      // What still brings messages stays until the new place can take over.
      for (const feed of feeds) feed.connect();
      return;
    }
    for (const link of old) link.feed.drop(link);
    for (const feed of feeds) if (!links.some((link) => link.feed === feed)) feed.add(topic);
    // In the order of the nodes, which is how they are compared.
    links.sort((a, b) => feeds.indexOf(a.feed) - feeds.indexOf(b.feed));
  }

  private placeBusTopics(): void {
    for (const topics of this.topics) {
      for (const topic of each(topics)) if (this.placement.onBus(topic)) this.place(topic);
    }
  }

  /** Another cluster carries the messages. What is subscribed moves there; the old one serves until it is. */
  moved(): void {
    this.placement.moved();
    for (const topics of this.topics) {
      for (const topic of each(topics)) {
        topic.everywhere = this.placement.everywhere(topic.kind, topic.name);
        topic.slot = this.placement.slotOf(topic.name);
        topic.home = null;
        this.unsettled.add(topic);
      }
    }
    this.mapVersion = -1;
    this.placement.chooseBus();
    this.placeBusTopics();
  }

  private placeOthers(): void {
    this.placement.changed();
    const { clustered } = this.core.router.keySpace;
    for (const topics of this.topics) {
      for (const topic of each(topics)) {
        if (this.placement.onBus(topic)) {
          if (topic.kind === TopicKind.channel && this.placement.displaced(topic)) this.place(topic);
          continue;
        }
        topic.redirectedTo = '';
        if (!clustered) topic.slot = this.placement.slotOf(topic.name);
        this.place(topic);
      }
    }
  }

  // ---------------------------------------------------------------- what connections say

  feedReady(): void {
    for (const topic of [...this.unsettled]) this.place(topic);
  }

  /** @param said what it had received last @param moves the node is to blame, and not the user */
  feedLost(feed: Feed, said: readonly Range[], moves = true): void {
    for (const topic of this.moves.feedLost(feed)) this.unsettled.add(topic);
    this.echoes.remember(feed, said);
    for (const topic of this.unsettled) this.peers.note(topic.kind, topic.name);
    if (!moves) return;
    const homeless = [...this.unsettled].filter(({ home }) => home === feed.node);
    for (const topic of homeless) topic.home = null;
    const onBus = feed.node === this.placement.bus;
    if (onBus) this.placement.chooseBus();
    if (onBus || homeless.length > 0) this.core.router.count(Counter.upstream_pubsub_resubscribe);
    if (onBus) this.placeBusTopics();
    else for (const topic of homeless) this.place(topic);
  }

  /** A node has confirmed a subscription. */
  confirmed(link: Link): void {
    const { topic } = link;
    this.peers.note(topic.kind, topic.name);
    if (this.moves.confirmed(link) || !topic.live) return;
    this.unsettled.delete(topic);
    this.answer(topic);
  }

  /** Lets those go on who waited for the topic. */
  private answer(topic: Topic): void {
    const { waiting } = topic;
    if (waiting.length === 0) return;
    topic.waiting = [];
    for (const subscribing of waiting) {
      subscribing.missing--;
      this.subscribers.proceed(subscribing);
    }
  }

  /** A node has refused a subscription, with this error. */
  refused(link: Link, error: string): void {
    const { topic } = link;
    if (this.moves.refused(link)) return;
    const line = latin1Bytes(`${error}\r\n`, this.core.runtime.allocate);
    const redirect = readRedirect(line, 0, line.length);
    link.retryAtMs = this.core.nowMs + REFUSED_RETRY_MS;
    this.unsettled.add(topic);
    if (redirect === null) {
      // Nothing that passes soon, such as a missing permission: those who wait are told.
      link.retryAtMs = this.core.nowMs + FORBIDDEN_RETRY_MS;
      this.fail(topic, line);
      if (topic.identity !== null && error.startsWith('-NOPERM')) this.forbid(topic);
      return;
    }
    const { router } = this.core;
    if ('slot' in redirect) {
      router.count(Counter.upstream_rq_moved);
      const from = router.slotMap.nodeOf(redirect.slot);
      const node = router.redirected(redirect, link.feed.node);
      if (node !== null && node.address !== link.feed.node.address) {
        if (router.slotMap.nodeOf(redirect.slot) === from) {
          topic.redirectedTo = formatAddress(node.host, node.port);
        }
        this.place(topic);
      }
      router.requestRefresh('moved');
    } else router.requestRefresh('cluster_down');
  }

  /** Its user may not hear it any more. Redis disconnects such clients. */
  private forbid({ subscribers, name }: Topic): void {
    for (const { client } of [...subscribers]) {
      this.core.disconnect(client, `its user may not be subscribed to '${name}' any more`);
    }
  }

  /** A node does not accept a user: who waits for a subscription there is told. */
  feedRefused(feed: Feed, error: string): void {
    const line = latin1Bytes(`-${error}\r\n`, this.core.runtime.allocate);
    for (const links of feed.links) for (const { topic } of [...links.values()]) this.fail(topic, line);
  }

  /** Closes a user's connections, to one node or to all. */
  closeFeeds(identity: Identity, node: UpstreamNode | null): void {
    for (const feed of [...this.feeds.values()]) {
      if (feed.identity !== identity || (node !== null && feed.node !== node)) continue;
      if (!identity.closed) feed.lost('the node does not accept the user any more', false);
      else {
        feed.close();
        this.feeds.delete(feedKey(feed.node, identity));
      }
    }
  }

  /** Adds the nodes to which a user has connections for its subscriptions. */
  nodesOf(identity: Identity, nodes: Set<UpstreamNode>): void {
    addNodes(this.feeds.values(), identity, nodes);
  }

  private fail(topic: Topic, error: Bytes): void {
    const { waiting } = topic;
    topic.waiting = [];
    for (const subscribing of waiting) {
      subscribing.error = error;
      this.subscribers.proceed(subscribing);
    }
  }

  /** The node has ended a subscription by itself: the slot is elsewhere. */
  displaced(link: Link): void {
    const { topic } = link;
    this.core.router.count(Counter.upstream_pubsub_resubscribe);
    this.core.router.requestRefresh('moved');
    this.unsettled.add(topic);
    // Asked again at once: where the map is old, the node says where to go.
    link.retryAtMs = 0;
    this.place(topic);
    link.feed.retry(link);
  }

  // ---------------------------------------------------------------- time

  markDirty(feed: Feed): void {
    feed.dirty = true;
    if (this.dirty.push(feed) === 1) this.core.runtime.defer(this.flush);
  }

  private readonly flush = (): void => {
    for (const feed of this.dirty.splice(0)) feed.flush();
  };

  tick(): void {
    this.peers.tick();
    this.publishOrder.tick(this.core.nowMs);
    this.inheritance.tick();
    if (this.feeds.size === 0 && this.unsettled.size === 0 && this.idle.size === 0) return;
    const { nowMs, router } = this.core;
    const version = router.slotMap.version();
    if (version !== this.mapVersion) {
      this.mapVersion = version;
      this.placeOthers();
      this.placeAgainMs = nowMs + PLACE_AGAIN_MS;
    } else if (nowMs >= this.placeAgainMs) {
      this.placeAgainMs = Number.POSITIVE_INFINITY;
      this.placeOthers();
    }
    const sinceMs = nowMs - this.sweptMs;
    if (sinceMs < SWEEP_INTERVAL_MS) return;
    this.sweptMs = nowMs;
    this.sweptLate = sinceMs >= SWEEP_LATE_MS && !this.sweptLate;
    this.moves.tick();
    this.echoes.tick();
    if (this.placement.stale || (this.placement.bus === null && this.unsettled.size > 0)) {
      this.placement.chooseBus();
      this.placeBusTopics();
    }
    for (const feed of this.feeds.values()) {
      feed.tick(this.sweptLate);
      if (feed.used || nowMs - feed.idleSinceMs < FEED_IDLE_MS) continue;
      feed.close();
      this.feeds.delete(feedKey(feed.node, feed.identity));
    }
    for (const topic of [...this.unsettled]) {
      this.place(topic);
      for (const link of [...topic.links]) link.feed.retry(link);
    }
    for (const topic of this.idle) {
      if (topic.idle && nowMs - topic.idleSinceMs < this.core.limits.subscriptionLingerMs) continue;
      this.idle.delete(topic);
      if (topic.idle) this.forget(topic);
    }
  }

  // ---------------------------------------------------------------- for others

  /** Nobody has a subscription, as far as this worker knows. */
  get empty(): boolean {
    return this.feeds.size === 0 && this.peers.empty && this.peers.caughtUp;
  }

  /** The end of a reply that was passed on in pieces: the messages that waited for it follow. */
  streamed(client: Client): void {
    this.subscribers.of(client)?.release();
  }
}

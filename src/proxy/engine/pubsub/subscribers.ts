import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { beginTask, finishTask } from '../core/task.js';
import { Counter } from '../stats.js';
import { confirmation, latin1Bytes } from './encode.js';
import type { Hub } from './hub.js';
import { subscribedMode } from './mode.js';
import { Subscriber } from './subscriber.js';
import { Subscribing } from './subscribing.js';
import { SUBSCRIBED, type Topic, TopicKind, type TopicKindNumber, UNSUBSCRIBED } from './topic.js';

/** The clients with subscriptions, and their commands that change these. */
export class Subscribers {
  private readonly byClient = new Map<Client, Subscriber>();
  /** Subscriptions of all clients. */
  total = 0;
  /** What their commands that have to wait will add, at most. */
  private pending = 0;

  constructor(private readonly hub: Hub) {}

  /** Whether so many more are within `subscriptionsMax`, when all that wait become some. */
  hasRoom(more: number): boolean {
    return this.total + this.pending + more <= this.hub.core.limits.subscriptionsMax;
  }

  of(client: Client): Subscriber | undefined {
    return this.byClient.get(client);
  }

  /** What a client is subscribed to, or is about to be. */
  *topicsOf(client: Client): Generator<{ readonly kind: TopicKindNumber; readonly name: string }> {
    const subscriber = this.byClient.get(client);
    if (subscriber === undefined) return;
    for (const topics of subscriber.topics) yield* topics.keys();
    for (const { add, topics } of subscriber.queue) if (add) yield* topics;
  }

  private obtain(client: Client): Subscriber {
    let subscriber = this.byClient.get(client);
    if (subscriber === undefined) {
      subscriber = new Subscriber(client);
      this.byClient.set(client, subscriber);
      subscriber.leave = () => this.leave(client);
      client.belongings.add(subscriber.leave);
    }
    return subscriber;
  }

  /**
   * Serves SUBSCRIBE and its like. The client's earlier commands must be answered, but for those of this kind.
   * @param names one character a byte
   * @param slots by which they are placed
   */
  subscribe(
    client: Client,
    entry: CommandEntry,
    kind: TopicKindNumber,
    names: readonly string[],
    slots: readonly number[],
  ): void {
    const { core } = this.hub;
    const subscriber = this.obtain(client);
    const topics = names.map((name, i) => this.hub.hold(kind, name, slots[i], client.identity));
    const subscribing = new Subscribing(kind, true, names, topics, (late) => this.expire(late));
    for (const topic of topics) {
      if (topic.live || topic.waiting.at(-1) === subscribing) continue;
      topic.waiting.push(subscribing);
      subscribing.missing++;
    }
    if (!subscribing.ready) core.deadlines.add(subscribing, core.nowMs + core.router.settings.opTimeoutMs);
    this.serve(subscriber, entry, subscribing);
  }

  /** Serves UNSUBSCRIBE and its like; `names` is null for all that there are. */
  unsubscribe(client: Client, entry: CommandEntry, kind: TopicKindNumber, names: readonly string[] | null): void {
    const subscriber = this.obtain(client);
    this.serve(subscriber, entry, new Subscribing(kind, false, names, [], () => {}));
  }

  private serve(subscriber: Subscriber, entry: CommandEntry, subscribing: Subscribing): void {
    const { client } = subscriber;
    if (subscriber.queue.length === 0 && subscribing.ready) {
      this.apply(subscriber, subscribing);
      return;
    }
    subscribing.parent = beginTask(client, entry, subscribing);
    subscriber.queue.push(subscribing);
    this.pending += subscribing.topics.length;
    this.settle(subscriber);
  }

  /** Something that a command waited for has come. Commands are answered in their order. */
  proceed(subscribing: Subscribing): void {
    if (!subscribing.ready) return;
    this.hub.core.deadlines.remove(subscribing);
    const client = subscribing.parent?.client;
    const subscriber = client == null ? undefined : this.byClient.get(client);
    if (subscriber === undefined) return;
    while (subscriber.queue.length > 0 && subscriber.queue[0].ready) {
      const next = subscriber.queue.shift() as Subscribing;
      this.pending -= next.topics.length;
      if (next.error !== null) this.give(next);
      this.apply(subscriber, next);
    }
  }

  /** Gives back what an unsuccessful command held. */
  private give({ topics }: Subscribing): void {
    for (const topic of topics) this.hub.release(topic);
  }

  /** Does what a command says, and confirms it. */
  private apply(subscriber: Subscriber, subscribing: Subscribing): void {
    const { client } = subscriber;
    const { core } = this.hub;
    const { parent, error } = subscribing;
    if (error === null) {
      const text = subscribing.add ? this.add(subscriber, subscribing) : this.remove(subscriber, subscribing);
      // Also to a client that wants no replies (CLIENT REPLY OFF), as in Redis.
      const bytes = latin1Bytes(text, core.runtime.allocate);
      client.stream(bytes, 0, bytes.length);
    }
    this.settle(subscriber);
    if (parent === null) {
      if (error !== null) client.reply(error);
      return;
    }
    subscribing.parent = null;
    finishTask(core, parent, error === null ? [] : [error], error !== null);
  }

  private add(subscriber: Subscriber, { kind, names, topics }: Subscribing): string {
    const { proto } = subscriber.client;
    let text = '';
    for (let i = 0; i < topics.length; i++) {
      if (subscriber.placeOf(topics[i]) === null && subscriber.add(topics[i])) {
        this.total++;
        this.hub.changed(topics[i]);
      }
      text += confirmation(proto, SUBSCRIBED[kind], (names as string[])[i], subscriber.count(kind));
      this.hub.release(topics[i]);
    }
    return text;
  }

  private remove(subscriber: Subscriber, { kind, names }: Subscribing): string {
    const { proto } = subscriber.client;
    const all = names ?? [...subscriber.topics[kind].keys()].map((topic) => topic.name);
    if (all.length === 0) return confirmation(proto, UNSUBSCRIBED[kind], null, subscriber.count(kind));
    let text = '';
    for (const name of all) {
      const topic = this.hub.topicOf(kind, name, subscriber.client.identity);
      if (topic !== undefined) this.drop(subscriber, topic);
      text += confirmation(proto, UNSUBSCRIBED[kind], name, subscriber.count(kind));
    }
    return text;
  }

  private drop(subscriber: Subscriber, topic: Topic): void {
    const place = subscriber.placeOf(topic);
    if (place === null || !subscriber.remove(place)) return;
    this.total--;
    this.hub.changed(place);
  }

  /**
   * What a client is subscribed to when that is all there is to know of it here; null when it is not: a command of it
   * waits, or it has just come from another process itself.
   */
  settledTopicsOf(client: Client): readonly Topic[] | null {
    const subscriber = this.byClient.get(client);
    if (subscriber === undefined) return [];
    const topics = subscriber.topics.flatMap((each) => [...each.keys()]);
    if (subscriber.queue.length > 0 || subscriber.waits) return null;
    return topics.every((topic) => this.hub.topicOf(topic.kind, topic.name, client.identity) === topic) ? topics : null;
  }

  /** Subscribes a client that comes from another process, without a word to it. */
  inherit(client: Client, topics: readonly Topic[]): void {
    if (topics.length === 0) return;
    const subscriber = this.obtain(client);
    for (const topic of topics) {
      if (!subscriber.add(topic)) continue;
      this.total++;
      this.hub.changed(topic);
    }
    this.settle(subscriber);
  }

  /** Sets or ends the state in which a RESP2 client may do little else. */
  private settle(subscriber: Subscriber): void {
    const { client } = subscriber;
    const { core } = this.hub;
    core.stats[Counter.downstream_pubsub_subscriptions_active] = this.total;
    const [channels, patterns, shards] = subscriber.topics;
    client.details.channels = channels.size;
    client.details.patterns = patterns.size;
    client.details.shardChannels = shards.size;
    const busy = subscriber.total > 0 || subscriber.queue.length > 0;
    const wanted = busy && client.proto === 2;
    if (wanted && client.mode === null) client.mode = subscribedMode;
    else if (!wanted && client.mode === subscribedMode) client.mode = null;
    if (busy || client.closed) return;
    this.byClient.delete(client);
    if (subscriber.leave !== null) client.belongings.delete(subscriber.leave);
  }

  /** The client speaks another RESP version from now on. */
  protocolChanged(client: Client): void {
    const subscriber = this.byClient.get(client);
    if (subscriber !== undefined) this.settle(subscriber);
  }

  /** Ends all subscriptions of a client without a word: it leaves, or says RESET. */
  leave(client: Client): void {
    const subscriber = this.byClient.get(client);
    if (subscriber === undefined) return;
    for (const kind of Object.values(TopicKind)) {
      for (const topic of [...subscriber.topics[kind].keys()]) this.drop(subscriber, topic);
    }
    const { queue } = subscriber;
    for (const subscribing of queue.splice(0)) {
      this.pending -= subscribing.topics.length;
      this.hub.core.deadlines.remove(subscribing);
      for (const topic of subscribing.topics) {
        const at = topic.waiting.indexOf(subscribing);
        if (at >= 0) topic.waiting.splice(at, 1);
      }
      this.give(subscribing);
      const { parent } = subscribing;
      subscribing.parent = null;
      if (parent !== null) finishTask(this.hub.core, parent, []);
    }
    subscriber.forget();
    this.settle(subscriber);
    this.byClient.delete(client);
  }

  /** Answers one that has waited for a node for too long. */
  private expire(subscribing: Subscribing): void {
    let hopeless = false;
    for (const topic of subscribing.topics) {
      const at = topic.waiting.indexOf(subscribing);
      if (at < 0) continue;
      topic.waiting.splice(at, 1);
      // Of a notification that every master sends, what is there is better than nothing.
      if (!topic.partlyLive) hopeless = true;
    }
    subscribing.missing = 0;
    if (hopeless) subscribing.error = this.hub.core.texts.noUpstreamHost;
    this.proceed(subscribing);
  }
}

import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Subscribing } from './subscribing.js';
import type { Topic, TopicKindNumber } from './topic.js';

/** A message that has to wait until a reply is whole. */
interface Postponed {
  readonly bytes: Bytes;
  readonly start: number;
  end: number;
}

/** A client with subscriptions, or about to have some. */
export class Subscriber {
  /** By kind: the topics, each with this subscriber's place in its list. */
  readonly topics: readonly Map<Topic, number>[] = [new Map(), new Map(), new Map()];
  /** Its commands that wait for a node, in its order. */
  readonly queue: Subscribing[] = [];
  /** Among the client's belongings. */
  leave: (() => void) | null = null;
  private postponed: Postponed[] | null = null;
  private postponedBytes = 0;

  constructor(readonly client: Client) {}

  /** What Redis counts in a confirmation: channels and patterns together, shard channels apart. */
  count(kind: TopicKindNumber): number {
    const [channels, patterns, shards] = this.topics;
    return kind === 2 ? shards.size : channels.size + patterns.size;
  }

  get total(): number {
    const [channels, patterns, shards] = this.topics;
    return channels.size + patterns.size + shards.size;
  }

  /** The topic itself, or the one from which its subscribers come, as this one is subscribed; null when it is not. */
  placeOf(topic: Topic): Topic | null {
    const places = this.topics[topic.kind];
    if (places.has(topic)) return topic;
    for (const { inherited } of topic.hearers ?? []) if (inherited !== null && places.has(inherited)) return inherited;
    return null;
  }

  /** False when it is subscribed already. */
  add(topic: Topic): boolean {
    const places = this.topics[topic.kind];
    if (places.has(topic)) return false;
    places.set(topic, topic.subscribers.length);
    topic.subscribers.push(this);
    return true;
  }

  /** False when it is not subscribed. The last one in the topic's list takes its place. */
  remove(topic: Topic): boolean {
    const places = this.topics[topic.kind];
    const place = places.get(topic);
    if (place === undefined) return false;
    places.delete(topic);
    const last = topic.subscribers.pop() as Subscriber;
    if (last !== this) {
      topic.subscribers[place] = last;
      last.topics[topic.kind].set(topic, place);
    }
    return true;
  }

  // ---------------------------------------------------------------- messages inside of a reply

  /** Messages wait for the end of a reply that is passed on in pieces. */
  get waits(): boolean {
    return this.postponed !== null;
  }

  get unsentBytes(): number {
    return this.client.output.bytes + this.postponedBytes;
  }

  postpone(bytes: Bytes, start: number, end: number): void {
    this.postponedBytes += end - start;
    this.postponed ??= [];
    const last = this.postponed.at(-1);
    if (last !== undefined && last.bytes === bytes && last.end === start) last.end = end;
    else this.postponed.push({ bytes, start, end });
  }

  /** The reply is whole. */
  release(): void {
    const { postponed, client } = this;
    if (postponed === null || client.head?.streaming === true) return;
    this.forget();
    if (client.closed || client.closing) return;
    for (const { bytes, start, end } of postponed) client.stream(bytes, start, end);
  }

  forget(): void {
    this.postponed = null;
    this.postponedBytes = 0;
  }
}

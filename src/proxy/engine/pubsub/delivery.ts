import type { Bytes } from '../bytes.js';
import type { Core } from '../core/core.js';
import { FLUSHES_PER_TURN } from '../core/limits.js';
import { Counter } from '../stats.js';
import { MessageLog } from './message-log.js';
import type { Subscriber } from './subscriber.js';
import type { Topic } from './topic.js';

const PUSH = 62;
/** With fewer, the copy is not worth it. */
const LOGGED_SUBSCRIBERS_MIN = 32;

/** Gives messages to subscribers. The bytes are those that were received; nothing is made per delivery. */
export class Delivery {
  /** A received buffer, and a copy of it in which messages are pushes, for RESP3 clients. */
  private source: Bytes | null = null;
  private pushes: Bytes | null = null;

  constructor(private readonly core: Core) {}

  /**
   * Delivers the messages in `bytes[start, end)`, all of one topic.
   * @param starts where each of them begins
   */
  deliver(topic: Topic, bytes: Bytes, start: number, end: number, starts: readonly number[]): void {
    const { core } = this;
    const { subscribers, hearers } = topic;
    if (hearers !== null) for (const hearer of hearers) hearer.heard(bytes, start, end, starts);
    const limit = core.limits.pubsubOutputBytesMax;
    let pushes: Bytes | null = null;
    const log = this.logOf(topic, end - start);
    const from = start;
    if (log !== null) {
      end -= start;
      start = log.take(bytes, start, from + end);
      end += start;
      bytes = log.bytes;
    }
    core.stats[Counter.upstream_pubsub_messages_total + core.router.statsOffset] += starts.length;
    core.stats[Counter.downstream_pubsub_messages_total] += starts.length * subscribers.length;
    if (subscribers.length > FLUSHES_PER_TURN) core.fanOut = true;
    // Backwards: one that has to go is replaced by the last.
    for (let i = subscribers.length - 1; i >= 0; i--) {
      const subscriber = subscribers[i];
      const { client } = subscriber;
      if (client.closing) continue;
      let source = bytes;
      if (client.proto === 3) {
        pushes ??= log === null ? this.asPushes(bytes, starts) : log.asPushes(start, starts, from);
        source = pushes;
      }
      if (subscriber.waits || client.head?.streaming === true) subscriber.postpone(source, start, end);
      else {
        client.output.append(source, start, end);
        if (!client.dirty) core.markDirty(client);
      }
      if (subscriber.unsentBytes > limit) this.relieve(subscriber);
    }
  }

  /** Where messages of a topic with many subscribers are put together; null for others, and for large ones. */
  private logOf(topic: Topic, size: number): MessageLog | null {
    if (topic.subscribers.length < LOGGED_SUBSCRIBERS_MIN || size > MessageLog.messageBytesMax) {
      topic.log = null;
      return null;
    }
    topic.log ??= new MessageLog(this.core.runtime.allocate);
    return topic.log;
  }

  /** No more of the received buffer is to be delivered. */
  forget(): void {
    this.source = this.pushes = null;
  }

  private asPushes(bytes: Bytes, starts: readonly number[]): Bytes {
    let { pushes } = this;
    if (this.source !== bytes || pushes === null) {
      pushes = this.core.runtime.allocate(bytes.length);
      bytes.copy(pushes, 0, 0, bytes.length);
      this.source = bytes;
      this.pushes = pushes;
    }
    for (let i = 0; i < starts.length; i++) pushes[starts[i]] = PUSH;
    return pushes;
  }

  /** More is unsent than may be. What the socket takes at once does not count. */
  private relieve(subscriber: Subscriber): void {
    const { client } = subscriber;
    if (!client.output.blocked) client.flush();
    if (client.closed || subscriber.unsentBytes <= this.core.limits.pubsubOutputBytesMax) return;
    this.core.count(Counter.downstream_pubsub_slow_close);
    this.core.disconnect(client, 'it takes its messages too slowly, and more of them wait than may');
  }
}

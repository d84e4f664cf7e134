import { type Bytes, latin1 } from '../bytes.js';
import type { Feed } from './feed.js';
import type { Hub } from './hub.js';
import { kindOf } from './message-kind.js';
import { MessageReader } from './message-reader.js';
import { PASSED_ON_MS, type Range } from './recent.js';
import type { Link, Topic } from './topic.js';
import { copyOf, Unmatched } from './unmatched.js';

/** A topic that nobody serves for so long has no echo any more. */
const ECHO_MS = 10_000;

/** What a topic's node had said just before its connection was lost. */
export class Echo {
  readonly said = new Unmatched();
  /** Since when another node serves the topic. */
  liveAtMs = Number.POSITIVE_INFINITY;

  constructor(
    readonly feed: Feed,
    readonly begunMs: number,
  ) {}
}

/**
 * Messages that come a second time after a node was lost.
 *
 * What is published at one node is passed on by it to all others. A node that dies may have given a message to this worker
 * while another one has yet to read it from the link between them; when the worker subscribes there in the meantime, it
 * hears the message again, after later ones. So what the lost node said in its last `PASSED_ON_MS` is passed over, once
 * each, until another one has served the topic for as long. Of messages that are the same, byte for byte, within that
 * time, one may be missed.
 */
export class Echoes {
  private readonly topics = new Set<Topic>();

  constructor(private readonly hub: Hub) {}

  /** The connection of a feed is lost, which still knows what was placed there. @param said what it had received last */
  remember(feed: Feed, said: readonly Range[]): void {
    const { hub } = this;
    const { nowMs, runtime } = hub.core;
    let atMs = 0;
    const reader = new MessageReader(runtime.allocate, {
      item: (bytes, start, end, { count, starts, ends }) => {
        const kind = count < 3 ? -1 : kindOf(ends[0] - starts[0], bytes[starts[0]]);
        const topic = kind < 0 ? undefined : feed.links[kind].get(latin1(bytes, starts[1], ends[1]))?.topic;
        // A topic on its way knows what its nodes have said.
        if (topic === undefined || topic.move !== null || !hub.placement.onBus(topic)) return;
        if (topic.echo?.feed !== feed || topic.echo.begunMs !== nowMs) topic.echo = new Echo(feed, nowMs);
        this.topics.add(topic);
        const { said: kept } = topic.echo;
        if (kept.full) kept.shift(Number.POSITIVE_INFINITY);
        kept.add(copyOf(runtime, bytes, start, end), atMs);
      },
      line: () => {},
      read: () => {},
    });
    for (const { bytes, start, end, atMs: saidMs } of said) {
      atMs = saidMs;
      if (saidMs >= nowMs - PASSED_ON_MS) reader.read(bytes, start, end);
    }
  }

  /** Messages of a topic with an echo, in `bytes[start, end)`. @param starts where each of them begins */
  heard(link: Link, bytes: Bytes, end: number, starts: readonly number[]): void {
    const { topic } = link;
    const { echo } = topic;
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i];
      const next = i + 1 < starts.length ? starts[i + 1] : end;
      // The same node does not repeat itself.
      if (echo !== null && echo.feed !== link.feed && echo.said.strike(bytes, start, next, 0)) continue;
      this.hub.delivery.deliver(topic, bytes, start, next, [start]);
    }
    if (echo?.said.empty) this.forget(topic);
  }

  forget(topic: Topic): void {
    topic.echo = null;
    this.topics.delete(topic);
  }

  tick(): void {
    const { nowMs } = this.hub.core;
    for (const topic of [...this.topics]) {
      const echo = topic.echo as Echo;
      if (topic.live) echo.liveAtMs = Math.min(echo.liveAtMs, nowMs);
      if (nowMs - echo.liveAtMs >= PASSED_ON_MS || nowMs - echo.begunMs >= ECHO_MS) this.forget(topic);
    }
  }
}

import type { Bytes } from '../bytes.js';
import type { Feed } from './feed.js';
import type { Hub } from './hub.js';
import { PASSED_ON_MS } from './recent.js';
import { type Link, LinkState, type Topic } from './topic.js';
import { copyOf, Unmatched } from './unmatched.js';

/**
 * What was published before the new node had the subscription comes from the old one alone, until this long afterwards;
 * nobody can tell it from what the new one has yet to say.
 */
export const EARLIER_MS = 300;
/** How long both nodes are heard; the old one has been listened to for `PASSED_ON_MS` by then. */
export const OVERLAP_MS = EARLIER_MS + PASSED_ON_MS;
/** A node that has refused is not asked again before this time. */
const AGAIN_MS = 1000;

/** A topic on its way. */
export class Move {
  /** What only the new node has said. */
  readonly kept = new Unmatched();
  /** What only the old one has said: given out already. */
  readonly ahead = new Unmatched();
  /** When the new node confirmed. */
  liveAtMs = Number.POSITIVE_INFINITY;
  /** When the old one was given up; what it was ahead by still comes from the new one. */
  doneAtMs = Number.POSITIVE_INFINITY;

  /** The subscription at the new node; null while what the old one says is only noted. */
  heir: Link | null = null;

  constructor(
    readonly feed: Feed,
    readonly begunMs: number,
  ) {}

  get done(): boolean {
    return this.doneAtMs !== Number.POSITIVE_INFINITY;
  }
}

/**
 * Channels and patterns that go from one node of a cluster to another, without a message lost or heard twice.
 *
 * What is published at one node is passed on by it to all others, a moment later. So a message that is published while the
 * subscription changes nodes may have left the one before, and not have reached the other. Therefore both are heard for a
 * while: what the old one says is given out, what the new one says is kept, and what both have said is struck off. In the
 * end what is left is given out, and the new one is believed; what it says that the old one had said before is passed over
 * for as long again. The order of the messages of one publisher stays what it was. Of messages that are the same, byte for
 * byte, within that time, one may come twice.
 */
export class Moves {
  private readonly topics = new Set<Topic>();

  constructor(private readonly hub: Hub) {}

  /** Begins, or goes on. A topic whose subscription does not stand has nothing to lose: it is not taken. */
  takes(topic: Topic, feeds: readonly Feed[]): boolean {
    const { links } = topic;
    if (feeds.length !== 1 || links.length !== 1 || links[0].state !== LinkState.live) return false;
    const { move } = topic;
    const { nowMs } = this.hub.core;
    if (move !== null && (move.done || move.feed !== feeds[0])) this.cancel(topic);
    if (topic.move === null && nowMs >= topic.moveAtMs) {
      topic.move = new Move(feeds[0], nowMs);
      this.topics.add(topic);
      feeds[0].connect();
    }
    return true;
  }

  /** The topic is where it belongs. */
  stays(topic: Topic): void {
    if (topic.move?.done === false) this.cancel(topic);
  }

  /** The topic stays where it is. */
  cancel(topic: Topic): void {
    const { move } = topic;
    if (move === null) return;
    topic.move = null;
    this.topics.delete(topic);
    if (!move.done && move.heir !== null) move.feed.drop(move.heir);
  }

  /** A node has confirmed; @returns true for the new node of a topic */
  confirmed(link: Link): boolean {
    const { topic } = link;
    const { move } = topic;
    if (move?.heir !== link || move.done) return false;
    move.liveAtMs = this.hub.core.nowMs;
    // Between clusters nothing is passed on.
    if (topic.links[0].feed.node.router !== link.feed.node.router) this.finish(topic);
    return true;
  }

  /** A node has refused; @returns true for the new node of a topic, which stays where it is for the moment */
  refused(link: Link): boolean {
    const { topic } = link;
    if (topic.move?.heir !== link || topic.move.done) return false;
    this.cancel(topic);
    topic.moveAtMs = this.hub.core.nowMs + AGAIN_MS;
    return true;
  }

  /** The connection of a feed is lost; @returns the topics that have no place any more */
  feedLost({ links: all }: Feed): Topic[] {
    const links = all.flatMap((each) => [...each.values()]);
    return links.filter((link) => !this.lost(link)).map(({ topic }) => topic);
  }

  /** The connection of a subscription is lost; @returns true when the topic has its place all the same */
  private lost(link: Link): boolean {
    const { topic } = link;
    const { move } = topic;
    if (move === null) return false;
    const { heir, done } = move;
    if (done || heir === null || heir === link) {
      this.cancel(topic);
      return !done && heir === link;
    }
    const live = heir.state === LinkState.live;
    this.finish(topic);
    return live;
  }

  /**
   * Messages of a topic that is on its way, in `bytes[start, end)`, are given out or kept.
   * @param starts where each of them begins
   */
  heard(link: Link, bytes: Bytes, end: number, starts: readonly number[]): void {
    const { topic } = link;
    const { delivery, core } = this.hub;
    const { nowMs } = core;
    const move = topic.move as Move;
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i];
      const next = i + 1 < starts.length ? starts[i + 1] : end;
      if (link !== move.heir) {
        delivery.deliver(topic, bytes, start, next, [start]);
        if (move.kept.strike(bytes, start, next, 0)) continue;
        // The newest ones are about to be said.
        if (move.ahead.full) move.ahead.shift(Number.POSITIVE_INFINITY);
        move.ahead.add(copyOf(core.runtime, bytes, start, next), nowMs);
      } else if (move.ahead.strike(bytes, start, next, move.liveAtMs + EARLIER_MS)) {
        // The old one was ahead.
      } else if (move.done) delivery.deliver(topic, bytes, start, next, [start]);
      else {
        move.kept.add(copyOf(core.runtime, bytes, start, next), nowMs);
        if (move.kept.full) this.finish(topic);
      }
    }
  }

  tick(): void {
    const { nowMs } = this.hub.core;
    for (const topic of [...this.topics]) {
      const move = topic.move as Move;
      if (move.heir === null) {
        // What the old one said before that is at the new one by now, and will not come from there.
        if (nowMs - move.begunMs >= PASSED_ON_MS) move.heir = move.feed.addHeir(topic);
      } else if (nowMs - move.doneAtMs >= PASSED_ON_MS) this.cancel(topic);
      else if (move.done) continue;
      else if (nowMs - move.liveAtMs >= OVERLAP_MS) this.finish(topic);
      else this.giveOut(topic, move, nowMs - PASSED_ON_MS);
    }
  }

  /** What the new node has said before then, and the old one does not say any more, if it has not said it earlier. */
  private giveOut(topic: Topic, { kept, ahead }: Move, beforeMs: number): void {
    for (let said = kept.shift(beforeMs); said !== null; said = kept.shift(beforeMs)) {
      const { message } = said;
      if (ahead.strike(message, 0, message.length, 0)) continue;
      this.hub.delivery.deliver(topic, message, 0, message.length, [0]);
    }
    this.hub.delivery.forget();
  }

  /** From now on the new node is believed. */
  private finish(topic: Topic): void {
    const move = topic.move as Move;
    move.doneAtMs = this.hub.core.nowMs;
    this.giveOut(topic, move, Number.POSITIVE_INFINITY);
    for (const link of [...topic.links]) link.feed.drop(link);
    topic.links.push(move.heir as Link);
    if (topic.home !== null) topic.home = move.feed.node;
    this.hub.peers.note(topic.kind, topic.name);
  }
}

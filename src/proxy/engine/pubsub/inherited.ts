import type { Bytes } from '../bytes.js';
import { Counter } from '../stats.js';
import type { Hub } from './hub.js';
import { EARLIER_MS, OVERLAP_MS } from './moves.js';
import { PASSED_ON_MS } from './recent.js';
import { type Hearer, Topic, type TopicKindNumber } from './topic.js';
import { copyOf, Unmatched } from './unmatched.js';

/** Of one topic, while the other process may stand still; with more, what it tells later may be heard again. */
const KEPT_MESSAGES_MAX = 64 * 1024;
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** What comes between two ticks that are further apart was there before. */
const RUN_MS_MAX = 50;

/** The other process, as far as one worker here hears of it. */
export interface Teller {
  /** All that had reached it before then has been told. It may stand still, and have much to tell later. */
  readonly toldUntilMs: number;
  /** Called with every tick while something of it is inherited. */
  tick(nowMs: number): void;
}

/**
 * The subscribers of a topic that come from another process, with their connections. No message is lost or heard twice.
 *
 * The other process retells what it delivers to that topic, in one order with the clients that it passes on: so each of
 * them hears here what it has not been told there. Meanwhile this process has its own subscription. What both say is
 * struck off, as between two nodes (`Moves`); when the last client has come, this process is believed, and they become
 * subscribers like all others.
 */
export class Inherited implements Hearer {
  /** Of those who have come. It is placed at no node. */
  readonly inherited: Topic;
  /** What this process has heard from its node. */
  private readonly topic: Topic;
  /** What only the node has said. */
  private readonly kept = new Unmatched(KEPT_MESSAGES_MAX, KEPT_BYTES_MAX);
  /** What only the other process has told: given out already. */
  private readonly ahead = new Unmatched();
  /**
   * How long this process has run since this began. It may have stood still: what the node said at the beginning is
   * received long afterwards then.
   */
  private ranMs = 0;
  /** What the node says counts from then on: what was told before this began is not said by it any more. */
  private liveAtMs = Number.POSITIVE_INFINITY;
  /** When the other process was given up; what it was ahead by still comes from the node. */
  private doneAtMs = Number.POSITIVE_INFINITY;
  /** The last client has come. */
  private complete = false;

  constructor(
    private readonly hub: Hub,
    kind: TopicKindNumber,
    name: string,
    readonly teller: Teller,
    private tickedMs: number,
    /** Called once, when the other process need not retell the topic any more. */
    private readonly done: () => void,
  ) {
    this.topic = hub.hold(kind, name, hub.placement.slotOf(name));
    this.inherited = new Topic(kind, name, this.topic.slot, this.topic.everywhere);
    // It is never idle: nobody looks after it but this.
    this.inherited.holds = 1;
    this.topic.addHearer(this);
  }

  /** The other process has delivered messages, in `bytes[start, end)`. */
  told(bytes: Bytes, start: number, end: number): void {
    if (this.isDone) return;
    this.deliver(bytes, start, end);
    if (this.kept.strike(bytes, start, end, 0)) return;
    // The newest ones are about to be said.
    if (this.ahead.full) this.ahead.shift(Number.POSITIVE_INFINITY);
    this.ahead.add(copyOf(this.hub.core.runtime, bytes, start, end), this.hub.core.nowMs);
  }

  heard(bytes: Bytes, _start: number, end: number, starts: readonly number[]): void {
    const { nowMs, runtime } = this.hub.core;
    if (this.ranMs < PASSED_ON_MS) return;
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i];
      const next = i + 1 < starts.length ? starts[i + 1] : end;
      if (this.ahead.strike(bytes, start, next, this.liveAtMs + EARLIER_MS)) continue;
      if (this.isDone) this.deliver(bytes, start, next);
      else this.kept.add(copyOf(runtime, bytes, start, next), nowMs);
    }
    if (this.kept.full) this.giveOut(Number.NEGATIVE_INFINITY);
  }

  /** No client comes any more. */
  end(): void {
    this.complete = true;
  }

  /** The other process is gone: nothing is retold any more. */
  lost(): void {
    if (!this.isDone) this.finish();
  }

  private get isDone(): boolean {
    return this.doneAtMs !== Number.POSITIVE_INFINITY;
  }

  /** Called with every tick. True when nothing is left to be done. */
  tick(): boolean {
    const { nowMs } = this.hub.core;
    if (this.isDone) {
      if (nowMs - this.doneAtMs < PASSED_ON_MS) return false;
      this.merge();
      return true;
    }
    this.ranMs += Math.min(nowMs - this.tickedMs, RUN_MS_MAX);
    this.tickedMs = nowMs;
    if (this.liveAtMs === Number.POSITIVE_INFINITY && this.topic.live && this.ranMs >= PASSED_ON_MS)
      this.liveAtMs = nowMs;
    const { toldUntilMs } = this.teller;
    if (this.complete && toldUntilMs - this.liveAtMs >= OVERLAP_MS) this.finish();
    else {
      this.giveOut(toldUntilMs - PASSED_ON_MS);
      // What the node has not said of it by now, it does not say any more.
      while (this.ahead.shift(toldUntilMs - OVERLAP_MS) !== null);
    }
    return false;
  }

  /** What the node has said before then, and the other process does not tell any more, if it has not told it earlier. */
  private giveOut(beforeMs: number): void {
    const { kept, ahead } = this;
    for (;;) {
      const said = kept.shift(kept.full ? Number.POSITIVE_INFINITY : beforeMs);
      if (said === null) break;
      const { message, atMs } = said;
      if (!ahead.strike(message, 0, message.length, atMs - PASSED_ON_MS)) this.deliver(message, 0, message.length);
    }
    this.hub.delivery.forget();
  }

  private deliver(bytes: Bytes, start: number, end: number): void {
    const { delivery, core } = this.hub;
    delivery.deliver(this.inherited, bytes, start, end, [start]);
    // The node's own words are counted where they are heard.
    core.stats[Counter.upstream_pubsub_messages_total + core.router.statsOffset]--;
  }

  /** From now on the node is believed. */
  private finish(): void {
    this.doneAtMs = this.hub.core.nowMs;
    this.giveOut(Number.POSITIVE_INFINITY);
    this.done();
  }

  /** Those who have come are subscribers like all others. */
  private merge(): void {
    const { hub, topic, inherited } = this;
    topic.removeHearer(this);
    for (const subscriber of [...inherited.subscribers]) {
      subscriber.remove(inherited);
      subscriber.add(topic);
    }
    hub.release(topic);
    hub.changed(topic);
  }
}

/** All of a worker. */
export class Inheritance {
  private readonly all = new Set<Inherited>();

  constructor(private readonly hub: Hub) {}

  /** Another process retells a topic from here on, and passes its subscribers on. @param done called once: it need not any more */
  begin(kind: TopicKindNumber, name: string, teller: Teller, done: () => void): Inherited {
    const inherited = new Inherited(this.hub, kind, name, teller, this.hub.core.nowMs, done);
    this.all.add(inherited);
    return inherited;
  }

  tick(): void {
    if (this.all.size === 0) return;
    const tellers = new Set<Teller>();
    for (const inherited of this.all) {
      if (inherited.tick()) this.all.delete(inherited);
      else tellers.add(inherited.teller);
    }
    for (const teller of tellers) teller.tick(this.hub.core.nowMs);
  }
}

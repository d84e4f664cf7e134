import type { Identity } from '../access/identity.js';
import type { Bytes } from '../bytes.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import type { Echo } from './echoes.js';
import type { Feed } from './feed.js';
import type { MessageLog } from './message-log.js';
import type { Move } from './moves.js';
import type { Subscriber } from './subscriber.js';
import type { Subscribing } from './subscribing.js';

/** What is subscribed to. */
export const TopicKind = { channel: 0, pattern: 1, shard: 2 } as const;
export type TopicKindNumber = (typeof TopicKind)[keyof typeof TopicKind];

/** Redis's words for a confirmation, by kind. */
export const SUBSCRIBED = ['subscribe', 'psubscribe', 'ssubscribe'] as const;
export const UNSUBSCRIBED = ['unsubscribe', 'punsubscribe', 'sunsubscribe'] as const;

export const LinkState = {
  /** The node does not know of it: its connection is not ready, or refused it for now. */
  none: 0,
  /** Asked for. */
  asked: 1,
  /** Confirmed. */
  live: 2,
} as const;

/** A topic's subscription at one node. */
export class Link {
  state: number = LinkState.none;
  /** Not asked for again before this time. */
  retryAtMs = 0;
  /** The topic has given it up; what still comes over it is not for anybody. */
  dropped = false;

  constructor(
    readonly topic: Topic,
    readonly feed: Feed,
  ) {}
}

/** Hears all that is delivered to the subscribers of a topic, beside them. */
export interface Hearer {
  /** Whose subscribers are about to become those of the topic that is heard; null: nobody's. */
  readonly inherited: Topic | null;
  /** Messages in `bytes[start, end)`. @param starts where each of them begins */
  heard(bytes: Bytes, start: number, end: number, starts: readonly number[]): void;
}

/** A channel, pattern or shard channel that clients of this worker are subscribed to, or were until just now. */
export class Topic {
  readonly subscribers: Subscriber[] = [];
  /** Commands that are answered when it is live. */
  waiting: Subscribing[] = [];
  /** Commands that will subscribe to it, or have just had it unsubscribed. */
  holds = 0;
  /** Its subscriptions upstream: one, or one at every master. */
  readonly links: Link[] = [];
  /** Of a topic with many subscribers: its newest messages. */
  log: MessageLog | null = null;
  /** When the last subscriber left. */
  idleSinceMs = 0;
  /** A redirection has named this node, which the topology does not know. */
  redirectedTo = '';
  /** Where an ordinary channel of a cluster is subscribed to, once that is chosen. */
  home: UpstreamNode | null = null;
  /** While clients are on their way between processes; else there are none. */
  hearers: Hearer[] | null = null;
  /** It is on its way to another node. */
  move: Move | null = null;
  /** Its node was lost, and another one may say the same again. */
  echo: Echo | null = null;
  /** Not moved before this time: a node has refused it. */
  moveAtMs = 0;
  /** The same kind and name with another user's rights. */
  next: Topic | undefined;

  constructor(
    readonly kind: TopicKindNumber,
    /** One character a byte. */
    readonly name: string,
    /** By which it is placed, where places depend on the name. */
    public slot: number,
    /** Every master says something else about it: a keyspace notification. */
    public everywhere: boolean,
    /** With whose rights it is subscribed to; null: the proxy's own. */
    readonly identity: Identity | null = null,
  ) {}

  /** Everything that is published to it arrives. */
  get live(): boolean {
    const { links } = this;
    if (links.length === 0) return false;
    for (let i = 0; i < links.length; i++) if (links[i].state !== LinkState.live) return false;
    return true;
  }

  /** At least one node has confirmed. */
  get partlyLive(): boolean {
    return this.links.some((link) => link.state === LinkState.live);
  }

  get idle(): boolean {
    return this.subscribers.length === 0 && this.holds === 0;
  }

  addHearer(hearer: Hearer): void {
    this.hearers = [...(this.hearers ?? []), hearer];
  }

  removeHearer(hearer: Hearer): void {
    const left = this.hearers?.filter((each) => each !== hearer) ?? [];
    this.hearers = left.length > 0 ? left : null;
  }
}

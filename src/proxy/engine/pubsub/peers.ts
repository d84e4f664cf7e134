import type { Core } from '../core/core.js';
import { TopicKind, type TopicKindNumber } from './topic.js';

/** What workers tell each other, and under which name. */
const COUNTS = 'pubsub.counts';
const JOINED = 'pubsub.joined';
/** Topics in one message; the rest follows with the next tick. */
const TOPICS_PER_MESSAGE_MAX = 4096;

/** What one worker says of its topics: four values for each. */
interface Counts {
  readonly worker: number;
  /** Where its subscriptions to channels and patterns are. */
  readonly node: string;
  readonly kinds: number[];
  readonly names: string[];
  readonly clients: number[];
  readonly links: number[];
}

/** Subscriptions of one worker to one name. */
export interface Known {
  /** Clients. */
  readonly clients: number;
  /** Subscriptions upstream, each at another node. */
  readonly links: number;
}

const NONE: Known = { clients: 0, links: 0 };

export interface Peer {
  node: string;
  readonly topics: readonly Map<string, Known>[];
}

/**
 * How many clients of the other workers are subscribed to what. Workers tell each other what changed, a tick later; so
 * the numbers are right soon, not at once.
 */
export class Peers {
  private readonly peers: (Peer | undefined)[] = [];
  /** What the others have not been told, by kind. */
  private readonly changed: readonly Set<string>[] = [new Set(), new Set(), new Set()];
  private readonly alone: boolean;
  private introduced = false;
  private toldNode = '';

  constructor(
    private readonly core: Core,
    private readonly own: {
      known(kind: TopicKindNumber, name: string): Known;
      names(kind: TopicKindNumber): Iterable<string>;
      readonly node: string;
    },
  ) {
    this.alone = core.settings.workers <= 1;
    if (this.alone) return;
    core.relay.on(COUNTS, (payload) => this.hear(payload as Counts));
    core.relay.on(JOINED, (worker) => {
      if (worker === core.settings.worker) return;
      for (const kind of Object.values(TopicKind)) for (const name of this.own.names(kind)) this.note(kind, name);
      this.toldNode = '';
    });
  }

  /** Something about a topic of this worker has changed. */
  note(kind: TopicKindNumber, name: string): void {
    if (!this.alone) this.changed[kind].add(name);
  }

  /** Tells the others. */
  tick(): void {
    if (this.alone) return;
    const { worker } = this.core.settings;
    if (!this.introduced) {
      this.introduced = true;
      this.core.runtime.tell(JOINED, worker);
    }
    const { node } = this.own;
    let room = TOPICS_PER_MESSAGE_MAX;
    if (this.changed.every((names) => names.size === 0) && node === this.toldNode) return;
    const counts: Counts = { worker, node, kinds: [], names: [], clients: [], links: [] };
    for (const kind of Object.values(TopicKind)) {
      for (const name of this.changed[kind]) {
        if (room-- === 0) break;
        this.changed[kind].delete(name);
        const { clients, links } = this.own.known(kind, name);
        counts.kinds.push(kind);
        counts.names.push(name);
        counts.clients.push(clients);
        counts.links.push(links);
      }
      if (room < 0) break;
    }
    this.toldNode = node;
    this.core.runtime.tell(COUNTS, counts);
  }

  private hear({ worker, node, kinds, names, clients, links }: Counts): void {
    if (worker === this.core.settings.worker) return;
    let peer = this.peers[worker];
    if (peer === undefined) {
      peer = { node, topics: [new Map(), new Map(), new Map()] };
      this.peers[worker] = peer;
    }
    peer.node = node;
    for (let i = 0; i < names.length; i++) {
      const topics = peer.topics[kinds[i]];
      if (clients[i] === 0 && links[i] === 0) topics.delete(names[i]);
      else topics.set(names[i], { clients: clients[i], links: links[i] });
    }
  }

  /** No other worker has a subscription. */
  get empty(): boolean {
    for (const peer of this.peers) if (peer?.topics.some((topics) => topics.size > 0)) return false;
    return true;
  }

  /** The other workers that have said something. */
  *all(): Generator<Peer> {
    for (const peer of this.peers) if (peer !== undefined) yield peer;
  }

  /** What one of them has under a name. */
  static of(peer: Peer, kind: TopicKindNumber, name: string): Known {
    return peer.topics[kind].get(name) ?? NONE;
  }
}

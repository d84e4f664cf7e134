import type { Core } from '../core/core.js';
import { Counter } from '../stats.js';
import { TopicKind, type TopicKindNumber } from './topic.js';

/** What workers tell each other, and under which name. */
const COUNTS = 'pubsub.counts';
const JOINED = 'pubsub.joined';
/** Topics in one message. */
const TOPICS_PER_MESSAGE_MAX = 4096;
/** An answer waits this long for what other workers are about to tell. */
const CATCH_UP_MS = 200;

/** What one worker says of its topics: six values for each. */
interface Counts {
  readonly worker: number;
  /** Where its subscriptions to patterns are. */
  readonly node: string;
  /** The changes that are told with this. */
  readonly version: number;
  readonly kinds: number[];
  readonly names: string[];
  readonly clients: number[];
  readonly links: number[];
  readonly users: number[];
  readonly nodes: string[];
}

/** Subscriptions of one worker to one name. */
export interface Known {
  /** Clients. */
  readonly clients: number;
  /** Subscriptions upstream: one for each user with whose rights there are any, or that many at each of several nodes. */
  readonly links: number;
  /** Users with whose rights there are any. */
  readonly users: number;
  /** Where an ordinary channel of a cluster is subscribed to; empty for others. */
  readonly node: string;
}

const NONE: Known = { clients: 0, links: 0, users: 0, node: '' };

export interface Peer {
  node: string;
  version: number;
  readonly topics: readonly Map<string, Known>[];
}

/** Somebody who has to know what the other workers had done when he asked. */
interface Waiting {
  readonly versions: readonly number[];
  readonly deadlineMs: number;
  readonly callback: () => void;
}

/** What a worker tells of itself. */
export interface Own {
  known(kind: TopicKindNumber, name: string): Known;
  names(kind: TopicKindNumber): Iterable<string>;
  readonly node: string;
}

/**
 * How many clients of the other workers are subscribed to what. Workers tell each other what changed at the end of a
 * turn; a counter in shared memory says how many changes a worker has made, so that whoever answers a question of a
 * client knows whether he has heard of all that this client may know.
 */
export class Peers {
  private readonly peers: (Peer | undefined)[] = [];
  /** What the others have not been told, by kind. */
  private readonly changed: readonly Set<string>[] = [new Set(), new Set(), new Set()];
  private readonly alone: boolean;
  private introduced = false;
  private told = true;
  private toldNode = '';
  private waiting: Waiting[] = [];

  constructor(
    private readonly core: Core,
    private readonly own: Own,
  ) {
    this.alone = core.settings.workers <= 1;
    if (this.alone) return;
    core.relay.on(COUNTS, (payload) => this.hear(payload as Counts));
    core.relay.on(JOINED, (worker) => {
      if (worker === core.settings.worker) return;
      for (const kind of Object.values(TopicKind)) for (const name of this.own.names(kind)) this.note(kind, name);
      this.tellSoon();
    });
  }

  /** Something about a topic of this worker has changed. */
  note(kind: TopicKindNumber, name: string): void {
    this.core.count(Counter.downstream_pubsub_changes_total);
    if (this.alone) return;
    this.changed[kind].add(name);
    this.tellSoon();
  }

  private tellSoon(): void {
    if (!this.told) return;
    this.told = false;
    this.core.runtime.defer(this.tell);
  }

  private readonly tell = (): void => {
    this.told = true;
    const { core, own } = this;
    const { worker } = core.settings;
    const version = core.stats[Counter.downstream_pubsub_changes_total];
    const { node } = own;
    this.toldNode = node;
    const none = () => ({ kinds: [], names: [], clients: [], links: [], users: [], nodes: [] });
    let counts: Counts = { worker, node, version, ...none() };
    for (const kind of Object.values(TopicKind)) {
      for (const name of this.changed[kind]) {
        if (counts.names.length === TOPICS_PER_MESSAGE_MAX) {
          core.runtime.tell(COUNTS, { ...counts, version: -1 });
          counts = { ...counts, ...none() };
        }
        const { clients, links, users, node: at } = own.known(kind, name);
        counts.kinds.push(kind);
        counts.names.push(name);
        counts.clients.push(clients);
        counts.links.push(links);
        counts.users.push(users);
        counts.nodes.push(at);
      }
      this.changed[kind].clear();
    }
    core.runtime.tell(COUNTS, counts);
  };

  tick(): void {
    if (this.alone) return;
    if (!this.introduced) {
      this.introduced = true;
      this.core.runtime.tell(JOINED, this.core.settings.worker);
    }
    if (this.own.node !== this.toldNode) this.tellSoon();
    if (this.waiting.length > 0) this.serveWaiting();
  }

  /** A worker is gone, and its clients with it; what comes in its place tells of itself. */
  forget(worker: number): void {
    const peer = this.peers[worker];
    if (peer === undefined) return;
    for (const topics of peer.topics) topics.clear();
    peer.version = this.made(worker);
    if (this.waiting.length > 0) this.serveWaiting();
  }

  private hear({ worker, node, version, kinds, names, clients, links, users, nodes }: Counts): void {
    if (worker === this.core.settings.worker) return;
    let peer = this.peers[worker];
    if (peer === undefined) {
      peer = { node, version: 0, topics: [new Map(), new Map(), new Map()] };
      this.peers[worker] = peer;
    }
    peer.node = node;
    for (let i = 0; i < names.length; i++) {
      const topics = peer.topics[kinds[i]];
      if (clients[i] === 0 && links[i] === 0) topics.delete(names[i]);
      else topics.set(names[i], { clients: clients[i], links: links[i], users: users[i], node: nodes[i] });
    }
    if (version >= 0) peer.version = version;
    if (this.waiting.length > 0) this.serveWaiting();
  }

  // ---------------------------------------------------------------- catching up

  /** Calls back when this worker has heard of all changes that others have made up to now: at once, nearly always. */
  whenCaughtUp(callback: () => void): void {
    if (this.caughtUp) {
      callback();
      return;
    }
    const versions: number[] = [];
    for (let worker = 0; worker < this.core.settings.workers; worker++) versions.push(this.made(worker));
    this.waiting.push({ versions, deadlineMs: this.core.nowMs + CATCH_UP_MS, callback });
  }

  /** No other worker has made a change that this one has not heard of. */
  get caughtUp(): boolean {
    if (this.alone) return true;
    const { workers } = this.core.settings;
    for (let worker = 0; worker < workers; worker++) if (this.heard(worker) < this.made(worker)) return false;
    return true;
  }

  private made(worker: number): number {
    if (worker === this.core.settings.worker) return 0;
    return this.core.ofWorker(worker, Counter.downstream_pubsub_changes_total);
  }

  private heard(worker: number): number {
    return this.peers[worker]?.version ?? 0;
  }

  private serveWaiting(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const each of waiting) {
      if (each.deadlineMs <= this.core.nowMs || each.versions.every((version, i) => this.heard(i) >= version)) {
        each.callback();
      } else this.waiting.push(each);
    }
  }

  // ---------------------------------------------------------------- what is known

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

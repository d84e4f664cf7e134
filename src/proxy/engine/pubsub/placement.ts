import type { Core } from '../core/core.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { latin1Bytes } from './encode.js';
import { type Topic, TopicKind, type TopicKindNumber } from './topic.js';

/** Channels in which a node announces what happens to its own keys. */
const NOTIFICATIONS = /^__key(space|event)@/;
/** Patterns that are meant for them: `__keyevent@0__:*`, `__key*__:*`. */
const NOTIFICATION_PATTERN = /^__key/;

/** Says at which nodes a topic is subscribed to. */
export class Placement {
  /** A cluster's nodes pass ordinary messages on to one another: one of them is enough, this one for patterns. */
  bus: UpstreamNode | null = null;
  private turn = 0;
  private masters: UpstreamNode[] = [];

  /** @param waits how long a node must not be tried, in milliseconds */
  constructor(
    private readonly core: Core,
    private readonly waits: (node: UpstreamNode) => number,
  ) {}

  /** A keyspace notification reaches only those who are subscribed at the node where it happens. */
  everywhere(kind: TopicKindNumber, name: string): boolean {
    if (kind === TopicKind.channel) return this.core.router.keySpace.clustered && NOTIFICATIONS.test(name);
    if (kind === TopicKind.shard) return false;
    // Single servers pass nothing on: what matches a pattern may be published at any of them.
    return !this.core.router.keySpace.clustered || NOTIFICATION_PATTERN.test(name);
  }

  /** The masters, or what divides names among servers, may be others now. */
  changed(): void {
    this.masters = [];
  }

  /** The cluster is another one. */
  moved(): void {
    this.masters = [];
    this.bus = null;
  }

  /** The slot of a name, one character a byte. */
  slotOf(name: string): number {
    const bytes = latin1Bytes(name, this.core.runtime.allocate);
    return this.core.router.keySpace.slotOf(bytes, 0, bytes.length);
  }

  /** True when messages to it are passed on between the nodes, so that any of them will do. */
  onBus(topic: Topic): boolean {
    return topic.kind !== TopicKind.shard && !topic.everywhere && this.core.router.keySpace.clustered;
  }

  /** The nodes at which the topic belongs now; none while that is not known. */
  nodesOf(topic: Topic): readonly UpstreamNode[] {
    if (this.onBus(topic)) {
      const node = topic.kind === TopicKind.channel ? this.homeOf(topic) : this.bus;
      return node === null ? [] : [node];
    }
    if (topic.everywhere) return this.allMasters();
    const { router } = this.core;
    if (topic.redirectedTo !== '') {
      for (const node of router.nodes()) if (node.address === topic.redirectedTo) return [node];
    }
    const node = router.nodeAt(router.slotMap.nodeOf(topic.slot));
    return node === undefined ? [] : [node];
  }

  /** It has to be subscribed to elsewhere: its node is none of the cluster any more, or a replica, which may go soon. */
  displaced(topic: Topic): boolean {
    return this.homeless(topic) || (topic.home as UpstreamNode).masterIndex >= 0;
  }

  private homeless({ home }: Topic): boolean {
    return home === null || !home.listed || !this.core.router.knows(home);
  }

  /**
   * A channel is subscribed to where it is published to, at the master of its slot: between nodes, small messages wait
   * for the acknowledgement of those before them (a cluster's links have Nagle's algorithm on, one way), 5 to 40 ms. It
   * stays there when the slot moves: messages come from any node. It leaves a master that has become a replica.
   */
  private homeOf(topic: Topic): UpstreamNode | null {
    if (!this.displaced(topic)) return topic.home;
    const { router } = this.core;
    const master = router.nodeAt(router.slotMap.nodeOf(topic.slot));
    if (master?.listed && this.waits(master) <= 0) topic.home = master;
    else if (this.homeless(topic)) topic.home = this.bus;
    return topic.home;
  }

  private allMasters(): readonly UpstreamNode[] {
    const { router } = this.core;
    if (this.masters.length === 0) this.masters = router.shards().map(({ node }) => node);
    return this.masters;
  }

  /** The bus's node is one that the topology does not list any more; or a replica, which may go soon. */
  get stale(): boolean {
    const { bus } = this;
    if (bus === null) return false;
    if (!bus.listed || !this.core.router.knows(bus)) return true;
    return bus.masterIndex >= 0 && this.allMasters().some((master) => master.listed && this.waits(master) <= 0);
  }

  /**
   * Chooses the next node for the bus: masters first, because a replica that loads its master's data is silent
   * meanwhile. Workers and proxies begin at different ones.
   */
  chooseBus(): void {
    const { worker, processId } = this.core.settings;
    const listed = [...this.core.router.nodes()].filter((node) => node.listed);
    listed.sort((a, b) => (a.address < b.address ? -1 : 1));
    const rotate = (nodes: UpstreamNode[]) => {
      const first = nodes.length === 0 ? 0 : (processId + worker + this.turn) % nodes.length;
      return [...nodes.slice(first), ...nodes.slice(0, first)];
    };
    const candidates = [
      ...rotate(listed.filter((node) => node.masterIndex < 0)),
      ...rotate(listed.filter((node) => node.masterIndex >= 0)),
    ];
    this.turn++;
    let best: UpstreamNode | null = null;
    let bestWait = Number.POSITIVE_INFINITY;
    for (const node of candidates) {
      const wait = this.waits(node);
      if (wait < bestWait) {
        best = node;
        bestWait = wait;
      }
    }
    this.bus = best;
  }
}

import { silentSince } from '../core/expiry.js';
import type { Lane } from '../core/lane.js';
import type { Router } from '../core/router.js';
import type { HostFailures } from '../core/runtime.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { Breakers } from './breakers.js';

/** What the main thread has decided of a node. */
export const NodeHealth = {
  ok: 0,
  /** A host of a sharded cluster: what is for it fails at once. A replica of a Redis Cluster: nothing is read from it. */
  out: 1,
  /** A master of a Redis Cluster that does not answer: what is for it waits until it does, or another has its slots. */
  silent: 2,
} as const;

/**
 * The health of one cluster's nodes, as a worker sees it. Failures are counted here, when they happen; what follows from
 * them, and from the checks, the main thread decides for all workers. A command looks at none of this: a node that is
 * not to be used has connections that take nothing (`Lane.inFlightMax`), and only what finds no way comes here.
 */
export class Health {
  readonly breakers: Breakers;
  /** Nodes with failures that the main thread has not been told of. */
  private readonly failing = new Set<UpstreamNode>();
  /** How long a connection to a node that does not answer has said nothing when it is given up. */
  private silentMs = Number.POSITIVE_INFINITY;

  constructor(private readonly router: Router) {
    this.breakers = new Breakers(router);
  }

  // ---------------------------------------------------------------- what is told

  /**
   * Takes what the main thread has decided, by the indices of nodes; all others are well.
   * @param out see `NodeHealth.out`
   * @param silent do not answer: their connections are not trusted, whatever is on its way over them
   * @param silentMs how long a connection has said nothing that is closed for it
   */
  know(out: readonly number[], silent: readonly number[], silentMs: number): void {
    const { router } = this;
    this.silentMs = silentMs;
    const outs = new Set(out.map((index) => router.nodeAt(index)));
    const silents = new Set(silent.map((index) => router.nodeAt(index)));
    const recovered: UpstreamNode[] = [];
    for (const node of router.nodes()) {
      const health = outs.has(node) ? NodeHealth.out : silents.has(node) ? NodeHealth.silent : NodeHealth.ok;
      const before = node.health;
      node.health = health;
      node.silent = silents.has(node);
      this.apply(node);
      if (node.silent) this.doubt(node);
      else if (health === NodeHealth.ok && before !== NodeHealth.ok) recovered.push(node);
    }
    for (const node of recovered) for (const lane of node.openLanes()) lane.sendWaiting();
    if (outs.size > 0 || silents.size > 0) router.reroute();
  }

  /** How many commands may be in flight on a connection; 0: it takes none. */
  roomOf({ node, readonly }: Lane): number {
    const { health } = node;
    if (health === NodeHealth.ok) return this.breakers.requestsMax;
    // A master of a Redis Cluster cannot be replaced by the proxy.
    if (health === NodeHealth.out && this.router.keySpace.clustered && !readonly) return this.breakers.requestsMax;
    return 0;
  }

  private apply(node: UpstreamNode): void {
    for (const lane of node.openLanes()) lane.inFlightMax = this.roomOf(lane);
  }

  /** The node does not answer: connections over which something is due since long are given up. */
  private doubt(node: UpstreamNode): void {
    const beforeMs = this.router.nowMs - this.silentMs;
    for (const lane of node.openLanes()) {
      if (lane.pauses === 0 && silentSince(lane, beforeMs)) lane.terminate('the node does not answer its health check');
    }
    this.router.dedicated.doubt(node, beforeMs);
  }

  /** True when the command was answered because the node is not to be used; it came to wait for a connection of it. */
  refuses(lane: Lane): boolean {
    return lane.node.health === NodeHealth.out && lane.inFlightMax === 0;
  }

  // ---------------------------------------------------------------- what is seen

  /** A connection was not made, or closed with commands on it; or commands timed out. */
  failed(node: UpstreamNode): void {
    if (this.router.settings.outlierDetection !== true) return;
    // Any byte from the node since the last failure is a success.
    for (const lane of node.openLanes()) {
      if (lane.lastReceivedMs > node.failedMs) node.failuresInRow = 0;
    }
    node.failedMs = this.router.nowMs;
    node.failuresInRow++;
    this.failing.add(node);
  }

  /** The other side has closed a connection. */
  closed(lane: Lane, established: boolean): void {
    // A node that does not accept a user is well.
    if (lane.identity !== null && !established) return;
    if (lane.inFlight > 0 || !established) this.failed(lane.node);
  }

  /** Tells the main thread of failures; called with every tick. */
  tick(): void {
    if (this.failing.size === 0) return;
    const hosts: HostFailures[] = [];
    for (const { address, failuresInRow } of this.failing) hosts.push({ address, consecutive: failuresInRow });
    this.failing.clear();
    this.router.core.runtime.hostsFailed?.(this.router.index, hosts);
  }

  /** Settings may be others since a reload. Called ten times a second or so. */
  sweep(unassigned: readonly { readonly start: number; readonly end: number }[]): void {
    for (const node of this.router.nodes()) {
      this.apply(node);
      // What was sent just before the node was known to be silent has its time, too.
      if (node.silent) this.doubt(node);
    }
    this.breakers.sweep(unassigned);
  }
}

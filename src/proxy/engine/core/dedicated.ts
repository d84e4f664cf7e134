import { Counter } from '../stats.js';
import type { Core } from './core.js';
import type { Scheduled } from './deadlines.js';
import { Lane, LaneState } from './lane.js';
import { reconnectDelay } from './reconnect.js';
import { Lost } from './request.js';
import type { Router } from './router.js';
import type { UpstreamNode } from './upstream-node.js';

/** What a connection is lent to. */
export interface DedicatedUser {
  /** The slot map has changed while it has the connection. It may give the connection back meanwhile. */
  mapChanged(): void;
}

/** A connection that is lent out. Due when what was sent over it may have been without a reply for an `op_timeout`. */
class Lent implements Scheduled {
  dueMs = Number.POSITIVE_INFINITY;

  constructor(
    private readonly pool: DedicatedPool,
    readonly lane: Lane,
    readonly user: DedicatedUser | null,
  ) {}

  due(): void {
    this.pool.expire(this.lane);
  }
}

interface Idle {
  readonly lane: Lane;
  readonly sinceMs: number;
}

/** What is still expected over a connection is looked at again no sooner than this. */
const EXPIRE_AGAIN_MS = 100;

/** The master of a slot, or any when it is below 0; null when it is not known. */
export function masterOf(router: Router, slot: number): UpstreamNode | null {
  if (slot < 0) return router.shards()[0]?.node ?? null;
  return router.nodeAt(router.slotMap.nodeOf(slot)) ?? null;
}

/** What is kept for one node. */
class NodeShelf {
  /** By their numbers (lane-id.ts), newest last. */
  readonly idle = new Map<number, Idle[]>();
  /** Attempts to connect that are going on. */
  connecting = 0;
  /** Lanes that wait until they may try. */
  readonly queue = new Set<Lane>();
  /** Failures in a row. */
  failures = 0;
  retryAtMs = 0;

  get unused(): boolean {
    return this.connecting === 0 && this.queue.size === 0 && this.idle.size === 0;
  }
}

/**
 * Connections to the nodes of one upstream cluster that are one client's own for a while: it blocks there, or has state
 * there (WATCH). They do not reconnect by themselves: when one is lost, what was sent over it fails, and whoever has it
 * gives it back and asks for another. Each worker has at most `max_dedicated_connections` of them.
 *
 * Attempts to connect are not bound by the rate of the shared connections' (`connectRatePerSecond`): a thousand clients
 * may block within a moment, each is served by a connection of its own, and none brings more than one. What protects a
 * node is that only `dedicatedConnectingMax` attempts to it go on at once, so that they come as fast as it takes them;
 * and after one that failed, one at a time with the shared connections' delays in between.
 */
export class DedicatedPool {
  private readonly shelves = new Map<UpstreamNode, NodeShelf>();
  private readonly lent = new Map<Lane, Lent>();
  /** At most `dedicatedConnectingMax` for each node. */
  private readonly connecting = new Set<Lane>();
  private idleCount = 0;
  /** The slot map's version that the users have been told of; -1: of none. */
  private mapVersion = -1;

  constructor(private readonly router: Router) {}

  private get core(): Core {
    return this.router.core;
  }

  /** Connections that are lent out. */
  get active(): number {
    return this.lent.size;
  }

  /** Connections that nobody has. */
  get idle(): number {
    return this.idleCount;
  }

  /**
   * Lends a connection to a node, with the number that a shared one would have (lane-id.ts): an idle one, or a new one
   * which connects when something is sent over it. Null when the worker has as many as it may (`max_dedicated_connections`), which is counted.
   * @param fresh it must be new: what others have done on it makes a difference
   */
  acquire(node: UpstreamNode, id: number, user: DedicatedUser | null = null, fresh = false): Lane | null {
    const idle = fresh ? undefined : this.shelf(node).idle.get(id)?.pop();
    const lane = idle?.lane ?? this.create(node, id);
    if (lane === null) {
      this.router.count(Counter.upstream_cx_dedicated_overflow);
      return null;
    }
    if (lane.state === LaneState.ready) this.idleCount--;
    lane.inFlightMax = this.router.health.roomOf(lane);
    this.lent.set(lane, new Lent(this, lane, user));
    this.router.add(Counter.upstream_cx_dedicated_active, 1);
    return lane;
  }

  private create(node: UpstreamNode, id: number): Lane | null {
    const most = this.router.settings.dedicatedMax ?? this.core.limits.dedicatedMax;
    if (this.lent.size + this.idleCount >= most && !this.closeOneIdle()) return null;
    if (!this.router.health.breakers.admitsConnection(false) && !this.closeOneIdle()) return null;
    this.router.count(Counter.upstream_cx_dedicated_total);
    return new Lane(this.core, node, id, false, this);
  }

  /** Takes a connection back for others. It must be clean: whatever was sent over it leaves no state behind. */
  release(lane: Lane): void {
    if (!this.lent.has(lane)) return;
    if (lane.state !== LaneState.ready || lane.inFlight > 0 || lane.waiting.length > 0 || lane.pauses > 0) {
      this.discard(lane);
      return;
    }
    this.forgetUser(lane);
    const shelf = this.shelf(lane.node);
    const idle = shelf.idle.get(lane.id) ?? [];
    shelf.idle.set(lane.id, idle);
    idle.push({ lane, sinceMs: this.core.nowMs });
    this.idleCount++;
    if (idle.length > this.core.limits.dedicatedIdleMax) this.close((idle.shift() as Idle).lane);
  }

  /** Takes a connection back and closes it at once; what is on its way over it fails. */
  discard(lane: Lane): void {
    if (!this.lent.has(lane)) return;
    this.forgetUser(lane);
    this.shelf(lane.node).queue.delete(lane);
    lane.terminate('nobody needs it any more');
    this.failWaiting(lane);
  }

  private forgetUser(lane: Lane): void {
    const lent = this.lent.get(lane) as Lent;
    this.core.deadlines.remove(lent);
    this.lent.delete(lane);
    this.router.add(Counter.upstream_cx_dedicated_active, -1);
  }

  /** Closes an idle connection. */
  private close(lane: Lane): void {
    this.idleCount--;
    lane.terminate('idle');
  }

  private closeOneIdle(): boolean {
    for (const { idle } of this.shelves.values()) {
      for (const lanes of idle.values()) {
        const oldest = lanes.shift();
        if (oldest === undefined) continue;
        this.close(oldest.lane);
        return true;
      }
    }
    return false;
  }

  /** The cluster is gone: takes everything back. */
  end(): void {
    for (const lane of [...this.lent.keys()]) this.discard(lane);
    while (this.closeOneIdle()) {}
  }

  /** The node does not answer: gives up connections to it that have said nothing since then, and those nobody has. */
  doubt(node: UpstreamNode, beforeMs: number): void {
    for (const lanes of this.shelves.get(node)?.idle.values() ?? []) {
      for (const { lane } of lanes.splice(0)) this.close(lane);
    }
    for (const lane of [...this.lent.keys()]) {
      if (lane.node === node && lane.quietSince(beforeMs)) lane.terminate('the node does not answer its health check');
    }
  }

  /** Adds the nodes that one user has such connections to. */
  nodesOf(identity: object, nodes: Set<UpstreamNode>): void {
    for (const lane of this.lent.keys()) if (lane.identity === identity) nodes.add(lane.node);
    for (const [node, { idle }] of this.shelves) {
      for (const [first] of idle.values()) if (first?.lane.identity === identity) nodes.add(node);
    }
  }

  /** Closes the connections of one user, to one node or to all. */
  closeUser(identity: object, node: UpstreamNode | null, reason: string): void {
    for (const [at, shelf] of this.shelves) {
      if (node !== null && at !== node) continue;
      for (const [id, lanes] of shelf.idle) {
        if (lanes[0]?.lane.identity !== identity) continue;
        shelf.idle.delete(id);
        for (const { lane } of lanes) this.close(lane);
      }
    }
    for (const lane of [...this.lent.keys()]) {
      if (lane.identity === identity && (node === null || lane.node === node)) lane.terminate(reason);
    }
  }

  private shelf(node: UpstreamNode): NodeShelf {
    let shelf = this.shelves.get(node);
    if (shelf === undefined) {
      shelf = new NodeShelf();
      this.shelves.set(node, shelf);
    }
    return shelf;
  }

  // ---------------------------------------------------------------- what the lanes say

  /** A lane asks whether it may try to connect now; when not, it is told to later. */
  mayConnect(lane: Lane): boolean {
    const shelf = this.shelf(lane.node);
    if (!this.hasRoom(shelf)) {
      shelf.queue.add(lane);
      return false;
    }
    shelf.connecting++;
    this.connecting.add(lane);
    return true;
  }

  private hasRoom(shelf: NodeShelf): boolean {
    const most = shelf.failures > 0 ? 1 : this.core.limits.dedicatedConnectingMax;
    return shelf.connecting < most && this.core.nowMs >= shelf.retryAtMs;
  }

  /** A lane is ready to be used. */
  connected(lane: Lane): void {
    if (!this.connecting.delete(lane)) return;
    const shelf = this.shelf(lane.node);
    shelf.connecting--;
    shelf.failures = 0;
    this.connectQueued(shelf);
  }

  /** A lane's connection was lost or not made. */
  lost(lane: Lane): void {
    const shelf = this.shelf(lane.node);
    if (this.connecting.delete(lane)) {
      shelf.connecting--;
      // What was given up before it was there says nothing about the node.
      if (this.lent.has(lane)) this.delay(shelf);
      this.connectQueued(shelf);
    }
    if (this.lent.has(lane)) {
      this.router.requestRefresh(shelf.failures > 0 ? 'connect_failed' : 'connection_lost');
      this.failWaiting(lane);
      return;
    }
    const idle = shelf.idle.get(lane.id) ?? [];
    const at = idle.findIndex((each) => each.lane === lane);
    if (at < 0) return;
    idle.splice(at, 1);
    this.idleCount--;
  }

  private delay(shelf: NodeShelf): void {
    shelf.retryAtMs = this.core.nowMs + reconnectDelay(this.core.limits, shelf.failures++, this.core.random());
  }

  /** What waits for a connection that is not made fails; it was never sent. */
  private failWaiting(lane: Lane): void {
    if (lane.waiting.length === 0) return;
    const waiting = lane.takeWaiting();
    this.router.add(Counter.upstream_rq_pending_active, -waiting.length);
    for (const request of waiting) {
      request.lost = Lost.unsent;
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
    }
  }

  private connectQueued(shelf: NodeShelf): void {
    for (const lane of shelf.queue) {
      if (!this.hasRoom(shelf)) return;
      shelf.queue.delete(lane);
      lane.connect();
    }
  }

  // ---------------------------------------------------------------- time

  /**
   * What was just sent over a lent connection has an `op_timeout`, which began at `startedMs`. Nothing else ends a wait
   * over such a connection: most may last for ever.
   */
  expectReply(lane: Lane, startedMs: number): void {
    const lent = this.lent.get(lane);
    if (lent === undefined) return;
    const dueMs = startedMs + this.router.settings.opTimeoutMs;
    if (dueMs < lent.dueMs) this.core.deadlines.add(lent, dueMs);
  }

  /** Gives up on what has waited over a lent connection for an `op_timeout`. */
  expire(lane: Lane): void {
    const { opTimeoutMs } = this.router.settings;
    lane.expire(this.core.nowMs - opTimeoutMs);
    const oldestMs = Math.min(lane.oldestStartedMs(), lane.waiting[0]?.startedMs ?? Number.POSITIVE_INFINITY);
    this.expectReply(lane, Math.max(oldestMs, this.core.nowMs + EXPIRE_AGAIN_MS - opTimeoutMs));
  }

  /** The slot map or the nodes in it have changed: those who wait are told with the next tick. */
  mapChanged(): void {
    this.mapVersion = -1;
  }

  /** Looks after time; called ten times a second or so. Costs nothing for those who wait, as long as nothing changes. */
  tick(): void {
    this.expireConnecting();
    this.tellUsers();
    for (const [node, shelf] of this.shelves) this.look(node, shelf);
  }

  private expireConnecting(): void {
    const { nowMs } = this.core;
    for (const lane of this.connecting) {
      if (nowMs - lane.connectStartedMs < this.router.settings.connectTimeoutMs) continue;
      this.router.count(Counter.upstream_cx_connect_timeout);
      this.router.health.failed(lane.node);
      lane.terminate('connect timeout');
    }
  }

  private tellUsers(): void {
    const version = this.router.slotMap.version();
    if (version === this.mapVersion) return;
    this.mapVersion = version;
    for (const { user } of this.lent.values()) user?.mapChanged();
  }

  /** Looks after the idle connections to a node, and after what waits until it can be reached. */
  private look(node: UpstreamNode, shelf: NodeShelf): void {
    const { nowMs, limits } = this.core;
    for (const [id, lanes] of shelf.idle) {
      while (lanes.length > 0 && (nowMs - lanes[0].sinceMs >= limits.dedicatedIdleMs || !this.router.knows(node))) {
        this.close((lanes.shift() as Idle).lane);
      }
      if (lanes.length === 0) shelf.idle.delete(id);
    }
    // What waits for a node that cannot be reached need not, once another has its slots.
    if (shelf.failures > 0 && !node.master) {
      for (const lane of [...shelf.queue]) {
        shelf.queue.delete(lane);
        this.failWaiting(lane);
      }
    }
    this.connectQueued(shelf);
    if (shelf.unused && nowMs >= shelf.retryAtMs) this.shelves.delete(node);
  }
}

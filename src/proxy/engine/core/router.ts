import type { Identity } from '../access/identity.js';
import { Health } from '../health/health.js';
import { Reads } from '../routing/reads.js';
import { hasHost } from '../routing/reslot.js';
import type { KeySpace } from '../sharding/key-space.js';
import { Counter } from '../stats.js';
import type { Core } from './core.js';
import { DedicatedPool } from './dedicated.js';
import { takeMasters } from './doubts.js';
import { sweepLane } from './expiry.js';
import { type ClusterFacts, NO_FACTS } from './facts.js';
import { type Greeting, makeGreeting, makeUserGreeting } from './greeting.js';
import { type Lane, LaneState } from './lane.js';
import { WAITING_HOLD_SHARE } from './limits.js';
import { refusedUser } from './login.js';
import { Nodes } from './nodes.js';
import type { Redirect } from './redirect.js';
import { type Request, RequestState, releaseRequest } from './request.js';
import { Retirement } from './retirement.js';
import type { RefreshReason } from './runtime.js';
import type { ClusterSettings } from './settings.js';
import type { SlotMap } from './slot-map.js';
import { connectBucket, type TokenBucket } from './token-bucket.js';
import type { UpstreamNode } from './upstream-node.js';

/** A node as the main thread announces it; `index` is what the slot map holds. */
export interface NodeEntry {
  readonly index: number;
  readonly host: string;
  readonly port: number;
  /** Of a replica: the index of its master. */
  readonly masterIndex?: number;
}

/** What a worker knows of an upstream cluster from the start. */
export interface Cluster {
  readonly settings: ClusterSettings;
  readonly keySpace: KeySpace;
  readonly slotMap: SlotMap;
  /** Its number, which it keeps; its place in the list when not given. */
  readonly number?: number;
  /** Another one when another cluster has its number. */
  readonly serial?: number;
}

/** A master, and a slot that it serves: commands for the shard as a whole are routed by it and follow a failover. */
export interface Shard {
  readonly slot: number;
  readonly node: UpstreamNode;
}

/** Commands that nobody can take at the moment are looked at this often. */
const SWEEP_INTERVAL_MS = 100;
/** A node that the topology does not list, such as the target of a first slot migration, is kept this long unused. */
const UNLISTED_IDLE_MS = 5000;

/** One upstream cluster: finds the connection for a command, and keeps those that have none. */
export class Router {
  /** Others after `configure`. */
  settings: ClusterSettings;
  /** See `Cluster`. */
  readonly serial: number;
  facts: ClusterFacts = NO_FACTS;
  retirement: Retirement | null = null;
  /** Of sharded servers: another one when hosts come or go. */
  keySpace: KeySpace;
  readonly slotMap: SlotMap;
  readonly health = new Health(this);
  readonly reads = new Reads(this);
  readonly dedicated = new DedicatedPool(this);
  private connects: TokenBucket;
  private greetings: (Greeting | undefined)[] = [];
  private readonly known: Nodes;
  private readonly byIndex: readonly (UpstreamNode | undefined)[];
  masters: readonly UpstreamNode[] = [];
  private nextMaster = 0;
  /** Commands whose slot has no node. */
  unassigned: Request[] = [];
  private sweptMs = 0;

  constructor(
    readonly core: Core,
    /** Its number among the clusters. */
    readonly index: number,
    cluster: Cluster,
    /** What to add to the index of an upstream counter. */
    readonly statsOffset: number,
  ) {
    this.settings = cluster.settings;
    this.serial = cluster.serial ?? 0;
    this.keySpace = cluster.keySpace;
    this.slotMap = cluster.slotMap;
    this.known = new Nodes(core, this);
    this.byIndex = this.known.byIndex;
    this.connects = connectBucket(cluster.settings, core.limits, core.nowMs);
  }

  // ---------------------------------------------------------------- configuration

  /** Takes other settings; connections that are there stay. */
  configure(settings: ClusterSettings): void {
    this.settings = settings;
    this.greetings = [];
    this.connects = connectBucket(settings, this.core.limits, this.core.nowMs);
  }

  /** The cluster is in the configuration no more: what is on its way is finished. */
  leave(): void {
    this.retirement = new Retirement(this, this.known);
  }

  // ---------------------------------------------------------------- small things

  count(counter: number): void {
    this.core.stats[counter + this.statsOffset]++;
  }

  add(counter: number, amount: number): void {
    this.core.stats[counter + this.statsOffset] += amount;
  }

  get nowMs(): number {
    return this.core.nowMs;
  }

  /** Answers a command that no node may take. */
  failNoUpstream(request: Request): void {
    this.core.replies.fail(request, this.core.texts.noUpstreamHost);
  }

  takeConnectToken(): boolean {
    return this.connects.take(this.core.nowMs);
  }

  requestRefresh(reason: RefreshReason): void {
    if (this.retirement !== null) return;
    this.core.runtime.requestRefresh(this.index, reason);
  }

  /** What a new connection says first, and how many replies that brings. */
  greeting(identity: Identity | null, proto: number, readonly: boolean): Greeting {
    const asks = readonly && this.keySpace.clustered;
    if (identity !== null) return makeUserGreeting(identity, proto, asks, this.core.runtime.allocate);
    const index = proto - 2 + (readonly ? 2 : 0);
    this.greetings[index] ??= makeGreeting(this.settings, proto, asks, this.core.runtime.allocate);
    return this.greetings[index];
  }

  /** The same with the password before the current one; null when there is none. */
  previousGreeting(proto: number, readonly: boolean): Greeting | null {
    const { upstreamPreviousPassword: previous } = this.settings;
    if (previous === undefined) return null;
    const settings = { ...this.settings, upstreamPassword: previous };
    return makeGreeting(settings, proto, readonly && this.keySpace.clustered, this.core.runtime.allocate);
  }

  /** The address of a node in the slot map; undefined when it is not known. */
  nodeAt(index: number): UpstreamNode | undefined {
    return this.byIndex[index];
  }

  /** The shared connection that a command for this slot takes now; null when the slot has no node. */
  laneOf(slot: number, id: number): Lane | null {
    return this.byIndex[this.slotMap.nodeOf(slot)]?.lane(id) ?? null;
  }

  /** All masters, each with the lowest slot that it serves, in the order of these slots. */
  shards(): Shard[] {
    return this.slotMap.owners(this.keySpace.slots).flatMap(({ slot, index }): Shard[] => {
      const node = this.byIndex[index];
      return node === undefined ? [] : [{ slot, node }];
    });
  }

  // ---------------------------------------------------------------- sending

  route(request: Request): void {
    if (request.read !== 0) {
      this.reads.route(request);
      return;
    }
    const node = request.slot >= 0 ? this.byIndex[this.slotMap.nodeOf(request.slot)] : this.anyMaster();
    if (node === undefined) {
      this.waitForTopology(request);
      return;
    }
    const lane = node.lane(request.laneId);
    if (lane.open) lane.send(request);
    else this.wait(lane, request);
  }

  /** Sends over a connection that was chosen already. */
  sendTo(lane: Lane, request: Request): void {
    if (lane.open) lane.send(request);
    else this.wait(lane, request);
  }

  private wait(lane: Lane, request: Request): void {
    if (lane.identity !== null && refusedUser(lane, request)) return;
    if (this.health.refuses(lane)) {
      this.failNoUpstream(request);
      return;
    }
    const { breakers } = this.health;
    // Long before there is no room, those who send are not read any more.
    if (lane.waiting.length * WAITING_HOLD_SHARE >= breakers.pendingMax) lane.holdClient(request);
    if (!breakers.admitsPending(lane.waiting.length, request.end - request.start)) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    request.state = RequestState.waiting;
    this.add(Counter.upstream_rq_pending_active, 1);
    lane.waiting.push(request);
    this.charge(request);
    lane.connect();
  }

  private charge(request: Request): void {
    (request.client ?? request.parent?.client)?.charge(request.end - request.start);
  }

  /** Keeps a command whose slot has no node. */
  waitForTopology(request: Request): void {
    if (this.retirement?.over) {
      this.failNoUpstream(request);
      return;
    }
    if (!this.health.breakers.admitsPending(this.unassigned.length, request.end - request.start)) {
      this.core.replies.fail(request, this.core.texts.noUpstreamHost);
      return;
    }
    request.state = RequestState.waiting;
    this.add(Counter.upstream_rq_pending_active, 1);
    this.unassigned.push(request);
    this.charge(request);
    this.requestRefresh('unassigned_slot');
  }

  /** Masters in turn, those with a connection first. */
  private anyMaster(): UpstreamNode | undefined {
    const { masters } = this;
    for (let tried = 0; tried < masters.length; tried++) {
      const node = masters[this.nextMaster++ % masters.length];
      if (node.lane(0).open) return node;
    }
    return masters[0];
  }

  /** False when the node has been forgotten. */
  knows(node: UpstreamNode): boolean {
    return this.known.has(node);
  }

  // ---------------------------------------------------------------- redirections

  /** The node that a redirection names; null when too many unknown ones are open. Notes where a moved slot is now. */
  redirected(redirect: Extract<Redirect, { slot: number }>, from: UpstreamNode): UpstreamNode | null {
    const host = redirect.host === '' ? from.host : redirect.host;
    const node = this.known.named(host, redirect.port);
    if (node === null) return null;
    if (redirect.type === 'moved' && this.keySpace.clustered) {
      const index = this.known.indexOf(node);
      if (index !== undefined) this.slotMap.assign(redirect.slot, index);
    }
    return node;
  }

  // ---------------------------------------------------------------- topology

  /** Takes another division of keys among independent servers, and these. */
  applyTable(keySpace: KeySpace, entries: readonly NodeEntry[]): void {
    this.keySpace = keySpace;
    this.slotMap.bump();
    this.applyNodes(entries);
  }

  /** Takes the nodes that the slot map's indices stand for. Waiting commands find their way anew. */
  applyNodes(entries: readonly NodeEntry[]): void {
    this.known.list(entries);
    this.reads.rebuild(this.known.all());
    this.mapChanged();
  }

  /** The slot map has new contents: notes the masters, and sends on what waited for them. */
  mapChanged(): void {
    // A message of the main thread, not an event of a socket: the copy is not taken yet.
    this.slotMap.version();
    this.masters = this.shards().map(({ node }) => node);
    takeMasters(this.core, this.known.all(), new Set(this.masters));
    for (const node of this.masters) node.lane(0).connect();
    this.dedicated.mapChanged();
    this.core.retries.mapChanged(this);
    this.reroute();
  }

  /** Takes all waiting commands and routes them again, in their order. */
  reroute(): void {
    let waiting = this.unassigned;
    this.unassigned = [];
    for (const node of this.known.all()) {
      for (const lane of node.openLanes()) {
        if (lane.waiting.length === 0 || (lane.established && lane.inFlightMax > 0)) continue;
        waiting = waiting.concat(lane.takeWaiting());
      }
    }
    if (waiting.length === 0) return;
    this.add(Counter.upstream_rq_pending_active, -waiting.length);
    waiting.sort((a, b) => a.order - b.order);
    for (const request of waiting) this.routeAgain(request);
  }

  private routeAgain(request: Request): void {
    // What an ASK sent elsewhere is not where the map says; it asks again. What is for one node is for no other.
    request.asking = false;
    if (request.client === null && request.parent === null) releaseRequest(request);
    else if (hasHost(request, this) && !(request.pinned && request.slot < 0)) this.route(request);
    else this.failNoUpstream(request);
  }

  /** A connection was lost or not made. */
  laneLost(lane: Lane): void {
    // What waits for a replica may go elsewhere.
    if ((lane.node.listed && !lane.readonly) || lane.waiting.length === 0) return;
    const waiting = lane.takeWaiting();
    this.add(Counter.upstream_rq_pending_active, -waiting.length);
    for (const request of waiting) this.routeAgain(request);
  }

  // ---------------------------------------------------------------- time

  tick(): void {
    const now = this.core.nowMs;
    const startedBeforeMs = now - this.settings.opTimeoutMs;
    const sweep = now - this.sweptMs >= SWEEP_INTERVAL_MS;
    for (const node of this.known.all()) {
      for (const lane of node.openLanes()) {
        if (lane.state === LaneState.idle && (lane.waiting.length > 0 || (node.master && lane.id === 0)))
          lane.connect();
        if (sweep) sweepLane(lane, now);
      }
      if (sweep && !node.listed) this.retire(node);
    }
    this.health.tick();
    this.reads.tick();
    if (!sweep) return;
    this.sweptMs = now;
    this.dedicated.tick();
    this.health.sweep(this.unassigned);
    this.gauge();
    this.expireUnassigned(startedBeforeMs);
  }

  /** Closes what the topology no longer lists, when nobody uses it. */
  private retire(node: UpstreamNode): void {
    for (const lane of node.openLanes()) {
      const recent = this.core.nowMs - Math.max(lane.lastReceivedMs, lane.connectStartedMs) < UNLISTED_IDLE_MS;
      if (recent || lane.inFlight > 0 || lane.waiting.length > 0) return;
    }
    for (const lane of node.openLanes()) {
      if (lane.state === LaneState.idle) continue;
      this.count(Counter.upstream_cx_drained);
      lane.terminate('the node left the topology');
    }
    this.known.forget(node);
  }

  /** Sets the gauge that would cost too much to keep with every command. */
  private gauge(): void {
    let inFlight = 0;
    for (const node of this.known.all()) for (const lane of node.openLanes()) inFlight += lane.inFlight;
    this.core.stats[Counter.upstream_rq_active + this.statsOffset] = inFlight;
  }

  private expireUnassigned(startedBeforeMs: number): void {
    if (this.unassigned.length === 0) return;
    const requests = this.unassigned;
    this.unassigned = [];
    for (const request of requests) {
      if (request.startedMs > startedBeforeMs && (request.client !== null || request.parent !== null)) {
        this.unassigned.push(request);
        continue;
      }
      this.add(Counter.upstream_rq_pending_active, -1);
      this.core.replies.timedOut(request);
    }
    if (this.unassigned.length > 0) this.requestRefresh('unassigned_slot');
  }

  /** The shared connections. */
  *lanes(): Generator<Lane> {
    for (const node of this.known.all()) yield* node.openLanes();
  }

  /** Known nodes, listed or not. */
  *nodes(): Generator<UpstreamNode> {
    yield* this.known.all();
  }
}

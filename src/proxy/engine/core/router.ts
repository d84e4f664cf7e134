import { SLOT_COUNT } from '../hash/crc16.js';
import { Counter } from '../stats.js';
import type { Core } from './core.js';
import { type Lane, LaneState } from './lane.js';
import { WAITING_HOLD_SHARE } from './limits.js';
import type { Redirect } from './redirect.js';
import { type Request, RequestState, releaseRequest } from './request.js';
import { NO_NODE } from './slot-map.js';
import { formatAddress, UpstreamNode } from './upstream-node.js';

/** A node as the main thread announces it; `index` is what the slot map holds. */
export interface NodeEntry {
  readonly index: number;
  readonly host: string;
  readonly port: number;
}

/** Commands that nobody can take at the moment are looked at this often. */
const SWEEP_INTERVAL_MS = 100;
/** A node that the topology does not list, such as the target of a first slot migration, is kept this long unused. */
const UNLISTED_IDLE_MS = 5000;

/** Finds the connection for a command, and keeps those that have none. */
export class Router {
  private readonly byIndex: (UpstreamNode | undefined)[] = [];
  private readonly byAddress = new Map<string, UpstreamNode>();
  private readonly indexOf = new Map<UpstreamNode, number>();
  private masters: UpstreamNode[] = [];
  private nextMaster = 0;
  private unknown = 0;
  /** Commands whose slot has no node. */
  private unassigned: Request[] = [];
  private sweptMs = 0;

  constructor(private readonly core: Core) {}

  // ---------------------------------------------------------------- sending

  route(request: Request): void {
    const node = request.slot >= 0 ? this.byIndex[this.core.slotMap.nodeOf(request.slot)] : this.anyMaster();
    if (node === undefined) {
      this.waitForTopology(request);
      return;
    }
    const lane = node.lane(request.proto);
    if (lane.open) lane.send(request);
    else this.wait(lane, request);
  }

  /** Sends over a connection that was chosen already. */
  sendTo(lane: Lane, request: Request): void {
    if (lane.open) lane.send(request);
    else this.wait(lane, request);
  }

  private wait(lane: Lane, request: Request): void {
    const { waitingMax } = this.core.limits;
    // Long before there is no room, those who send are not read any more.
    if (lane.waiting.length * WAITING_HOLD_SHARE >= waitingMax) lane.holdClient(request);
    if (lane.waiting.length >= waitingMax) {
      this.core.count(Counter.upstream_rq_pending_overflow);
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    request.state = RequestState.waiting;
    this.core.add(Counter.upstream_rq_pending_active, 1);
    lane.waiting.push(request);
    this.charge(request);
    lane.connect();
  }

  private charge(request: Request): void {
    const client = request.client ?? request.parent?.client;
    client?.charge(request.end - request.start);
  }

  private waitForTopology(request: Request): void {
    if (this.unassigned.length >= this.core.limits.waitingMax) {
      this.core.count(Counter.upstream_rq_pending_overflow);
      this.core.replies.fail(request, this.core.texts.noUpstreamHost);
      return;
    }
    request.state = RequestState.waiting;
    this.core.add(Counter.upstream_rq_pending_active, 1);
    this.unassigned.push(request);
    this.charge(request);
    this.core.runtime.requestRefresh('unassigned_slot');
  }

  /** Masters in turn, those with a connection first. */
  private anyMaster(): UpstreamNode | undefined {
    const { masters } = this;
    for (let tried = 0; tried < masters.length; tried++) {
      const node = masters[this.nextMaster++ % masters.length];
      if (node.lane(2).state === LaneState.ready) return node;
    }
    return masters[0];
  }

  /** False when the node has been forgotten. */
  knows(node: UpstreamNode): boolean {
    return this.byAddress.get(node.address) === node;
  }

  // ---------------------------------------------------------------- redirections

  /** The node that a redirection names; null when too many unknown ones are open. Notes where a moved slot is now. */
  redirected(redirect: Extract<Redirect, { slot: number }>, from: UpstreamNode): UpstreamNode | null {
    const host = redirect.host === '' ? from.host : redirect.host;
    const address = formatAddress(host, redirect.port);
    let node = this.byAddress.get(address);
    if (node === undefined) {
      if (this.unknown >= this.core.limits.upstreamUnknownMax) {
        this.core.count(Counter.max_upstream_unknown_connections_reached);
        return null;
      }
      node = new UpstreamNode(this.core, host, redirect.port);
      this.byAddress.set(address, node);
      this.unknown++;
    }
    if (redirect.type === 'moved') {
      const index = this.indexOf.get(node);
      if (index !== undefined) this.core.slotMap.assign(redirect.slot, index);
    }
    return node;
  }

  // ---------------------------------------------------------------- topology

  /** Takes the nodes that the slot map's indices stand for. Waiting commands find their way anew. */
  applyNodes(entries: readonly NodeEntry[]): void {
    const listed = new Set<UpstreamNode>();
    this.byIndex.length = 0;
    this.indexOf.clear();
    for (const entry of entries) {
      const address = formatAddress(entry.host, entry.port);
      let node = this.byAddress.get(address);
      if (node === undefined) {
        node = new UpstreamNode(this.core, entry.host, entry.port);
        this.byAddress.set(address, node);
      } else if (!node.listed) this.unknown--;
      node.listed = true;
      this.byIndex[entry.index] = node;
      this.indexOf.set(node, entry.index);
      listed.add(node);
    }
    for (const node of this.byAddress.values()) {
      if (node.listed && !listed.has(node)) {
        node.listed = false;
        this.unknown++;
      }
    }
    this.mapChanged();
  }

  /** The slot map has new contents: notes the masters, and sends on what waited for them. */
  mapChanged(): void {
    const masters = new Set<UpstreamNode>();
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const index = this.core.slotMap.nodeOf(slot);
      if (index === NO_NODE) continue;
      const node = this.byIndex[index];
      if (node !== undefined) masters.add(node);
    }
    this.masters = [...masters];
    for (const node of this.byAddress.values()) node.master = masters.has(node);
    for (const node of masters) node.lane(2).connect();
    this.reroute();
  }

  /** Takes all waiting commands and routes them again, in their order. */
  private reroute(): void {
    let waiting = this.unassigned;
    this.unassigned = [];
    for (const node of this.byAddress.values()) {
      for (const lane of node.openLanes()) {
        if (lane.waiting.length === 0 || lane.state === LaneState.ready) continue;
        waiting = waiting.concat(lane.takeWaiting());
      }
    }
    if (waiting.length === 0) return;
    this.core.add(Counter.upstream_rq_pending_active, -waiting.length);
    waiting.sort((a, b) => a.order - b.order);
    for (const request of waiting) {
      // What an ASK sent elsewhere is not where the map says; it goes back and asks again.
      request.asking = false;
      if (request.client === null && request.parent === null) releaseRequest(request);
      else this.route(request);
    }
  }

  /** A connection was lost or not made. */
  laneLost(lane: Lane): void {
    if (lane.node.listed || lane.waiting.length === 0) return;
    const waiting = lane.takeWaiting();
    this.core.add(Counter.upstream_rq_pending_active, -waiting.length);
    for (const request of waiting) {
      request.asking = false;
      if (request.client === null && request.parent === null) releaseRequest(request);
      else this.route(request);
    }
  }

  // ---------------------------------------------------------------- time

  tick(startedBeforeMs: number): void {
    const now = this.core.nowMs;
    const sweep = now - this.sweptMs >= SWEEP_INTERVAL_MS;
    for (const node of this.byAddress.values()) {
      for (const lane of node.openLanes()) {
        if (lane.state === LaneState.idle && (lane.waiting.length > 0 || (node.master && lane.proto === 2)))
          lane.connect();
        if (sweep) this.sweep(lane, now, startedBeforeMs);
      }
      if (sweep && !node.listed) this.retire(node);
    }
    if (!sweep) return;
    this.sweptMs = now;
    this.gauge();
    this.expireUnassigned(startedBeforeMs);
  }

  private sweep(lane: Lane, now: number, startedBeforeMs: number): void {
    if (lane.state === LaneState.connecting || lane.state === LaneState.handshake) {
      if (now - lane.connectStartedMs >= this.core.settings.connectTimeoutMs) {
        this.core.count(Counter.upstream_cx_connect_timeout);
        lane.terminate('connect timeout');
      }
    } else if (lane.pauses === 0 && lane.silentSince(startedBeforeMs - this.core.settings.opTimeoutMs)) {
      lane.terminate('no reply within twice the op_timeout');
    }
    lane.expire(startedBeforeMs);
    // Somebody waits for a node that is not there: the cluster may have given its slots to another by now.
    if (lane.waiting.length > 0 && lane.state !== LaneState.ready) this.core.runtime.requestRefresh('connect_failed');
  }

  /** Closes what the topology no longer lists, when nobody uses it. */
  private retire(node: UpstreamNode): void {
    for (const lane of node.openLanes()) {
      const recent = this.core.nowMs - Math.max(lane.lastReceivedMs, lane.connectStartedMs) < UNLISTED_IDLE_MS;
      if (recent || lane.inFlight > 0 || lane.waiting.length > 0) return;
    }
    for (const lane of node.openLanes()) {
      if (lane.state === LaneState.idle) continue;
      this.core.count(Counter.upstream_cx_drained);
      lane.terminate('the node left the topology');
    }
    this.byAddress.delete(node.address);
    this.unknown--;
  }

  /** Sets the gauges that would cost too much to keep with every command. */
  private gauge(): void {
    let inFlight = 0;
    for (const node of this.byAddress.values()) for (const lane of node.openLanes()) inFlight += lane.inFlight;
    this.core.stats[Counter.upstream_rq_active] = inFlight;
    let pending = 0;
    for (const client of this.core.clients) pending += client.pending;
    this.core.stats[Counter.downstream_rq_active] = pending;
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
      this.core.add(Counter.upstream_rq_pending_active, -1);
      this.core.replies.timedOut(request);
    }
    if (this.unassigned.length > 0) this.core.runtime.requestRefresh('unassigned_slot');
  }

  /** Upstream connections, for statistics. */
  *nodes(): Generator<UpstreamNode> {
    yield* this.byAddress.values();
  }
}

import type { Lane } from '../core/lane.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { NodeHealth } from '../health/health.js';
import { Read } from './table.js';

/** A replica that turned a command away (LOADING, MASTERDOWN, MOVED) is not asked again for so long. */
const REST_MS = 1000;

const NONE: readonly UpstreamNode[] = [];

/** Sends commands that only read to masters or replicas, as the read policy has it. */
export class Reads {
  /** Some route reads from replicas: they are kept connected. */
  used = false;
  /** By the index of their master. */
  private replicas: (UpstreamNode[] | undefined)[] = [];
  private turn = 0;

  constructor(private readonly router: Router) {}

  use(): void {
    this.used = true;
  }

  /** Takes the replicas from a new table of nodes. */
  rebuild(nodes: Iterable<UpstreamNode>): void {
    this.replicas = [];
    for (const node of nodes) {
      if (!node.listed || node.masterIndex < 0) continue;
      const others = this.replicas[node.masterIndex];
      if (others === undefined) this.replicas[node.masterIndex] = [node];
      else others.push(node);
      if (this.used) node.replicaLane(0).connect();
    }
  }

  /** Sends a command to a node that its policy allows, the best one that can take it now. */
  route(request: Request): void {
    const { router } = this;
    const index = router.slotMap.nodeOf(request.slot);
    const master = router.nodeAt(index);
    if (master === undefined) {
      router.waitForTopology(request);
      return;
    }
    const replicas = this.replicas[index] ?? NONE;
    const lane = this.choose(request, master, replicas);
    if (lane !== null) lane.send(request);
    else if (request.read === Read.replica) this.waitForReplica(request, master, replicas);
    else router.sendTo(master.lane(request.laneId), request);
  }

  /** The open connection to use; null when no node that the policy prefers can take the command now. */
  private choose({ read, laneId }: Request, master: UpstreamNode, replicas: readonly UpstreamNode[]): Lane | null {
    switch (read) {
      case Read.preferMaster:
        return (
          openMaster(master, laneId) ??
          (master.silent || master.lane(laneId).failures > 0 ? this.pick(replicas, laneId, false) : null)
        );
      case Read.any: {
        // The master is one among the replicas.
        const turn = this.turn++ % (replicas.length + 1);
        if (turn === replicas.length) return openMaster(master, laneId) ?? this.pick(replicas, laneId, false);
        return this.pick(replicas, laneId, false);
      }
      case Read.localZone:
        return this.pick(replicas, laneId, true) ?? this.pick(replicas, laneId, false);
      case Read.localZoneAndPrimary:
        return (
          this.pick(replicas, laneId, true) ??
          (master.local ? openMaster(master, laneId) : null) ??
          this.pick(replicas, laneId, false)
        );
      default:
        return this.pick(replicas, laneId, false);
    }
  }

  /** Usable replicas in turn. */
  private pick(replicas: readonly UpstreamNode[], laneId: number, localOnly: boolean): Lane | null {
    const now = this.router.nowMs;
    const first = this.turn++;
    for (let i = 0; i < replicas.length; i++) {
      const node = replicas[(first + i) % replicas.length];
      if (node.lagging || node.restUntilMs > now || (localOnly && !node.local)) continue;
      const lane = node.replicaLane(laneId);
      if (lane.open) return lane;
      lane.connect();
    }
    return null;
  }

  /** Policy REPLICA, and no replica can take the command now. */
  private waitForReplica(request: Request, master: UpstreamNode, replicas: readonly UpstreamNode[]): void {
    const { router } = this;
    const usable = replicas.filter((node) => !node.lagging && node.health === NodeHealth.ok);
    if (usable.length > 0) {
      const node = usable[this.turn++ % usable.length];
      router.sendTo(node.replicaLane(request.laneId), request);
    } else if (replicas.length === 0 && master.masterIndex >= 0) {
      // It was promoted a moment ago: who follows it is not known yet.
      router.waitForTopology(request);
    } else router.failNoUpstream(request);
  }

  /** Takes what the main thread knows of nodes: replicas too far behind, and who is in the proxy's own zone. */
  know(lagging: readonly number[], local: readonly number[]): void {
    for (const node of this.router.nodes()) {
      node.lagging = false;
      node.local = false;
    }
    for (const index of lagging) {
      const node = this.router.nodeAt(index);
      if (node !== undefined) node.lagging = true;
    }
    for (const index of local) {
      const node = this.router.nodeAt(index);
      if (node !== undefined) node.local = true;
    }
  }

  /** A replica has turned a command away. */
  turnedAway(node: UpstreamNode): void {
    node.restUntilMs = this.router.nowMs + REST_MS;
  }

  /** Keeps replicas connected; called with every tick. */
  tick(): void {
    if (!this.used) return;
    for (const group of this.replicas) {
      if (group !== undefined) for (const node of group) node.replicaLane(0).connect();
    }
  }
}

function openMaster(master: UpstreamNode, laneId: number): Lane | null {
  const lane = master.lane(laneId);
  return lane.open ? lane : null;
}

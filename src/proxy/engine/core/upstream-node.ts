import { NodeHealth } from '../health/health.js';
import type { Core } from './core.js';
import { Lane, LaneState } from './lane.js';
import { LANES_PER_IDENTITY, READS } from './lane-id.js';
import type { Router } from './router.js';

/** Nodes that this thread has met; their bits are given out in turn. */
let met = 0;

/** A Redis node, with this worker's connections to it. */
export class UpstreamNode {
  readonly address: string;
  /** Stands for it in the set of nodes that a client has written to; of more than 31 nodes, several share one. */
  readonly bit = 1 << (met++ % 31);
  /** The proxy's own, by their numbers (lane-id.ts). */
  private readonly own: (Lane | null)[] = [null, null, null, null];
  /** Those of users that Redis knows, in the same way. */
  private readonly users = new Map<number, Lane>();
  /** All of them. Another array when one is added or goes: whoever goes through it is not disturbed. */
  private opened: readonly Lane[] = [];
  /** Listed in the topology; a node known only from a redirection is not. */
  listed = false;
  /** Owns slots; kept connected. */
  master = false;
  /** Owned slots, and all of them are others' now. */
  deposed = false;
  /** Of a replica: the index of its master in the slot map; below 0 for others. */
  masterIndex = -1;
  /** Of a replica: too far behind its master to be read from, or not known not to be. */
  lagging = false;
  /** In the proxy's own zone. */
  local = false;
  /** Of a replica that turned a command away: no reads before this time. */
  restUntilMs = 0;
  /** One of `NodeHealth`. */
  health: number = NodeHealth.ok;
  /** It does not answer its health check. */
  silent = false;
  /** Failures since it last said anything, and when the last one was. */
  failuresInRow = 0;
  failedMs = 0;
  /** When a connection to it was lost while it was master; and when it last said that the cluster is down. */
  lostMs = Number.NEGATIVE_INFINITY;
  downMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly core: Core,
    readonly router: Router,
    readonly host: string,
    readonly port: number,
  ) {
    this.address = formatAddress(host, port);
  }

  /** The shared connection with a number (lane-id.ts). */
  lane(id: number): Lane {
    return (id < LANES_PER_IDENTITY ? this.own[id] : this.users.get(id)) ?? this.open(id);
  }

  /** The same for reads from a replica: it says READONLY first. */
  replicaLane(id: number): Lane {
    return this.lane(id + READS);
  }

  private open(id: number): Lane {
    const lane = new Lane(this.core, this, id, (id & READS) !== 0);
    if (lane.identity === null) this.own[id] = lane;
    // What a user that is gone has left behind finds a connection that is never made.
    else if (lane.identity.closed) return lane;
    else this.users.set(id, lane);
    this.opened = [...this.opened, lane];
    return lane;
  }

  /** One user has shared connections to it. */
  hasLanes(identity: object): boolean {
    return this.opened.some((lane) => lane.identity === identity && lane.state !== LaneState.idle);
  }

  /** Closes the connections of one user. */
  closeLanes(identity: object, reason: string): void {
    const lanes = this.opened.filter((lane) => lane.identity === identity);
    if (lanes.length === 0) return;
    this.opened = this.opened.filter((lane) => lane.identity !== identity);
    for (const lane of lanes) {
      this.users.delete(lane.id);
      lane.retire(reason);
    }
  }

  /** This worker has no connection to it, and is not making one. */
  get unconnected(): boolean {
    return this.opened.every((lane) => lane.state === LaneState.idle);
  }

  /** The lanes that have been used. */
  openLanes(): readonly Lane[] {
    return this.opened;
  }
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

import type { Core } from './core.js';
import { Lane } from './lane.js';
import type { Router } from './router.js';

/** Nodes that this thread has met; their bits are given out in turn. */
let met = 0;

/** A Redis node, with this worker's connections to it. */
export class UpstreamNode {
  readonly address: string;
  /** Stands for it in the set of nodes that a client has written to; of more than 31 nodes, several share one. */
  readonly bit = 1 << (met++ % 31);
  /** By RESP version, then the same with READONLY. */
  private readonly lanes: (Lane | null)[] = [null, null, null, null];
  /** Listed in the topology; a node known only from a redirection is not. */
  listed = false;
  /** Owns slots; kept connected. */
  master = false;
  /** Of a replica: the index of its master in the slot map; below 0 for others. */
  masterIndex = -1;
  /** Of a replica: too far behind its master to be read from, or not known not to be. */
  lagging = false;
  /** In the proxy's own zone. */
  local = false;
  /** Of a replica that turned a command away: no reads before this time. */
  restUntilMs = 0;

  constructor(
    private readonly core: Core,
    readonly router: Router,
    readonly host: string,
    readonly port: number,
  ) {
    this.address = formatAddress(host, port);
  }

  /** The shared connection for replies of a RESP version. */
  lane(proto: number): Lane {
    const index = proto - 2;
    return this.lanes[index] ?? this.open(proto, index, false);
  }

  /** The same for reads from a replica: it says READONLY first. */
  replicaLane(proto: number): Lane {
    return this.lanes[proto] ?? this.open(proto, proto, true);
  }

  private open(proto: number, index: number, readonly: boolean): Lane {
    const lane = new Lane(this.core, this, proto, readonly);
    this.lanes[index] = lane;
    return lane;
  }

  /** The lanes that have been used. */
  *openLanes(): Generator<Lane> {
    for (const lane of this.lanes) if (lane !== null) yield lane;
  }
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

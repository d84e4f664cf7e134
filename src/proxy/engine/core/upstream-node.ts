import type { Core } from './core.js';
import { Lane } from './lane.js';

/** A Redis node, with this worker's connections to it. */
export class UpstreamNode {
  readonly address: string;
  private readonly lanes: [Lane | null, Lane | null] = [null, null];
  /** Listed in the topology; a node known only from a redirection is not. */
  listed = false;
  /** Owns slots; kept connected. */
  master = false;

  constructor(
    private readonly core: Core,
    readonly host: string,
    readonly port: number,
  ) {
    this.address = formatAddress(host, port);
  }

  /** The connection for replies of a RESP version. */
  lane(proto: number): Lane {
    const index = proto - 2;
    return this.lanes[index] ?? this.open(proto, index);
  }

  private open(proto: number, index: number): Lane {
    const lane = new Lane(this.core, this, proto);
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

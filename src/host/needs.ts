/** What is to run on a host: what its settings are judged by. Pure. */

/** Connections that wait to be accepted: `tcp-backlog` of Redis, and what the proxy listens with. */
export const BACKLOG = 511;
/** Redis's own `maxclients`. */
export const CLIENTS_MAX = 10_000;
/** Files that a node needs besides its clients (redis: server.h, CONFIG_MIN_RESERVED_FDS), and links of the cluster bus. */
export const FILES_RESERVED = 32;
/** A port and the bus port above it. */
const BUS_OFFSET = 10_000;
const PORT_MAX = 65_535;

export interface HostNeeds {
  /** Ports that will be listened on, the bus's among them. */
  readonly ports: readonly number[];
  /** Nodes that run there; 0 when not known. */
  readonly nodes: number;
  /** `maxmemory` of all of them together, bytes; undefined when not known. */
  readonly maxmemoryBytes?: number;
  /** Open files of one node. */
  readonly filesPerNode: number;
  readonly backlog: number;
}

export interface NodeNeeds {
  readonly port: number;
  /** port + 10000 when not told. */
  readonly busPort?: number;
  readonly maxmemoryBytes?: number;
}

/** The needs of these nodes on one host. Their memory is known only when it is known of all. */
export function needsOf(nodes: readonly NodeNeeds[], otherPorts: readonly number[] = []): HostNeeds {
  const memories = nodes.flatMap(({ maxmemoryBytes }) => (maxmemoryBytes === undefined ? [] : [maxmemoryBytes]));
  const ports = nodes.flatMap(({ port, busPort }) => [port, busPort ?? port + BUS_OFFSET]);
  return {
    ports: [...new Set([...ports, ...otherPorts])]
      .filter((port) => port >= 1 && port <= PORT_MAX)
      .sort((a, b) => a - b),
    nodes: nodes.length,
    maxmemoryBytes:
      nodes.length > 0 && memories.length === nodes.length ? memories.reduce((sum, each) => sum + each, 0) : undefined,
    filesPerNode: CLIENTS_MAX + FILES_RESERVED,
    backlog: BACKLOG,
  };
}

/** What a host needs of which nothing is known. */
export const NEEDS_DEFAULT: HostNeeds = needsOf([]);

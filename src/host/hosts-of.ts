/** The hosts of a cluster, and what runs on each. Pure. */
import type { HostToCheck } from './look.js';
import { type NodeNeeds, needsOf } from './needs.js';
import { type HostTarget, ownNames, parseTarget } from './target.js';
import { parseMemory } from './words.js';

/** What of a cluster of forge.yaml is looked at here. */
export interface ClusterHosts {
  readonly nodes: readonly {
    readonly host: string;
    readonly port: number;
    readonly docker_host?: string;
    readonly bus_port?: number;
  }[];
  readonly hosts?: Readonly<Record<string, HostEntry>>;
  readonly redis?: {
    readonly data?: string;
    readonly settings?: Readonly<Record<string, readonly string[]>>;
  };
}

export interface HostEntry {
  readonly docker?: string;
  readonly context?: string;
  readonly address?: string;
}

export interface HostsOptions {
  /** `maxmemory` of each node, bytes; forge.yaml's when not told. */
  readonly maxmemoryBytes?: number;
  /** Folders that data is in; forge.yaml's, else docker's, when not told. */
  readonly folders?: readonly string[];
  readonly own?: ReadonlySet<string>;
}

/** What `hosts` says of a node's machine: by `docker_host`, else the entry of the same name or address. */
function entryOf(cluster: ClusterHosts, node: ClusterHosts['nodes'][number]): [string, HostEntry] | undefined {
  const entries = Object.entries(cluster.hosts ?? {});
  if (node.docker_host !== undefined) return entries.find(([name]) => name === node.docker_host);
  return entries.find(([name, { address }]) => name === node.host || address === node.host);
}

/** The engine's host, where the engine says it; a context says nothing, so that the address must do. */
function targetOf(
  name: string,
  { docker, address }: HostEntry,
  fallback: string,
  own: ReadonlySet<string>,
): HostTarget {
  const engine = docker?.startsWith('ssh://') || docker?.startsWith('unix://') ? docker : undefined;
  return { ...parseTarget(engine ?? address ?? fallback, own), name };
}

function foldersOf({ redis }: ClusterHosts, { folders }: HostsOptions): readonly string[] | undefined {
  if (folders !== undefined && folders.length > 0) return folders;
  return redis?.data?.startsWith('/') ? [redis.data] : undefined;
}

/**
 * The machines that nodes of the cluster run on, in the order of the nodes. Where two addresses lead to the same one, it is
 * there once, with the needs of both.
 */
export function hostsOf(cluster: ClusterHosts, options: HostsOptions = {}): HostToCheck[] {
  const own = options.own ?? ownNames();
  const told = cluster.redis?.settings?.['maxmemory']?.at(-1);
  const maxmemoryBytes = options.maxmemoryBytes ?? (told === undefined ? undefined : parseMemory(told));
  const hosts = new Map<string, { readonly target: HostTarget; readonly nodes: NodeNeeds[] }>();
  for (const node of cluster.nodes) {
    const [name, entry] = entryOf(cluster, node) ?? [];
    const target = name === undefined ? parseTarget(node.host, own) : targetOf(name, entry ?? {}, node.host, own);
    const key = JSON.stringify(target.ssh ?? null);
    const found = hosts.get(key) ?? { target, nodes: [] };
    found.nodes.push({ port: node.port, busPort: node.bus_port, maxmemoryBytes });
    hosts.set(key, found);
  }
  const folders = foldersOf(cluster, options);
  return [...hosts.values()].map(({ target, nodes }) => ({
    target,
    needs: needsOf(nodes),
    ...(folders === undefined ? {} : { folders }),
  }));
}

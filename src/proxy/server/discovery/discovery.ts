import type { ClusterFacts } from '../../engine/core/facts.js';
import type { NodeEntry } from '../../engine/core/router.js';
import type { HostTable } from '../../engine/routing/host-table.js';
import type { ClusterHealth } from '../health/cluster-health.js';

/** What the workers are told about a cluster. */
export interface DiscoveryEvents {
  /** The table of nodes has changed; called before the map does. */
  nodes(entries: NodeEntry[], facts: ClusterFacts | null): void;
  /** The slot map has changed. */
  map(): void;
  /** Independent servers have another table; `slots` is one more than the highest number of a host. */
  table(table: HostTable, slots: number, entries: NodeEntry[], facts: ClusterFacts | null): void;
}

/** A host as the admin pages show it. */
export interface HostView {
  readonly address: string;
  readonly role: 'master' | 'replica';
  /** Slots of a Redis Cluster, or entries of the table of independent servers. */
  readonly slots: number;
  /** Of a Redis Cluster. */
  readonly ranges: readonly string[];
  /** Of an independent server: what is hashed, and its share. */
  readonly hash_key?: string;
  readonly weight?: number;
}

/** Knows which nodes make up a cluster and which serves what, and keeps the workers told. */
export interface Discovery {
  /** When it was last read; 0 when never. */
  readonly readMs: number;
  readonly refreshes: number;
  readonly failures: number;
  readonly lastError: string;
  /** Null as long as no node has said them. */
  readonly facts: ClusterFacts | null;
  start(): void;
  stop(): void;
  /** Asks for a refresh soon. */
  request(): void;
  /** The nodes as the workers get them. */
  entries(): NodeEntry[];
  hosts(): HostView[];
  /**
   * Goes on from what another one knew of the same cluster, whose settings were others: the workers know its nodes by
   * their numbers. Called once, before `start`; the other one is stopped.
   */
  inherit(before: Discovery): void;
  /** Divides keys among the hosts without these, as long as some are left. Of independent servers only. */
  exclude?(addresses: ReadonlySet<string>): void;
  /** Null when nothing looks after it. */
  health?: ClusterHealth | null;
}

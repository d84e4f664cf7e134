/** Snapshots for tests of pure functions: written down as nodes would answer. */
import { parseReport } from '../../../src/cluster/snapshot/node-report.js';
import type { RawNode } from '../../../src/cluster/snapshot/raw.js';
import { ClusterSnapshot, type SnapshotParts } from '../../../src/cluster/snapshot/snapshot.js';

/** The id of node number `n`. */
export const idOf = (n: number): string => n.toString(16).padStart(40, '0');

export interface DescribedNode {
  readonly n: number;
  /** `0-5460`, `1-2 [5->-<id>]`. */
  readonly slots?: string;
  /** Number of its master. */
  readonly replicaOf?: number;
  readonly flags?: string;
  readonly info?: Record<string, string | number>;
  readonly state?: string;
}

function line(node: DescribedNode, viewer: number): string {
  const { n, slots = '', replicaOf, flags } = node;
  const role = replicaOf === undefined ? 'master' : 'slave';
  const own = n === viewer ? 'myself,' : '';
  const all = `${own}${flags ?? role}`;
  // Only a node itself tells its open slots.
  const shown = n === viewer ? slots : slots.replace(/ ?\[[^\]]*\]/g, '');
  const master = replicaOf === undefined ? '-' : idOf(replicaOf);
  return `${idOf(n)} 10.0.0.${n}:6379@16379 ${all} ${master} 0 0 ${n} connected ${shown}`.trimEnd();
}

export function rawNode(viewer: DescribedNode, table: readonly DescribedNode[]): RawNode {
  const info: Record<string, string | number> = {
    redis_version: '7.0.15',
    cluster_enabled: 1,
    role: viewer.replicaOf === undefined ? 'master' : 'slave',
    used_memory: 1_000_000,
    used_memory_dataset: 500_000,
    maxmemory: 0,
    ...viewer.info,
  };
  return {
    address: `10.0.0.${viewer.n}:6379`,
    ip: `10.0.0.${viewer.n}`,
    port: 6379,
    latencyMs: 1,
    nodes: table.map((node) => line(node, viewer.n)).join('\n'),
    clusterInfo: `cluster_state:${viewer.state ?? 'ok'}\ncluster_slots_assigned:16384\ncluster_current_epoch:${table.length}`,
    info: Object.entries(info)
      .map(([key, value]) => `${key}:${value}`)
      .join('\r\n'),
    commands: ['migrate'],
  };
}

export const THREE: readonly DescribedNode[] = [
  { n: 1, slots: '0-5460' },
  { n: 2, slots: '5461-10922' },
  { n: 3, slots: '10923-16383' },
];

/** All nodes see the same table; `silent` ones do not answer. */
export function snapshotOf(
  table: readonly DescribedNode[] = THREE,
  options: { silent?: readonly number[]; strangers?: readonly DescribedNode[] } & Partial<
    Omit<SnapshotParts, 'strangers'>
  > = {},
): ClusterSnapshot {
  const { silent = [], strangers = [], ...parts } = options;
  return new ClusterSnapshot({
    reports: table.filter(({ n }) => !silent.includes(n)).map((node) => parseReport(rawNode(node, table))),
    strangers: strangers.map((node) => parseReport(rawNode(node, [node]))),
    ...parts,
  });
}

/** A cluster as an operator wants to see it: shards, nodes, and numbers. Pure. */
import { type ClusterNode, hasFlag, isFailing } from '../../cluster/cluster-node.js';
import { countSlots, type SlotSet } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';

/** Fields of a node that did not answer are null. */
export interface NodeOverview {
  readonly id: string;
  readonly address: string;
  readonly role: 'master' | 'replica';
  /** `dead`: the cluster says so. `suspected`: the node that was asked says so. `silent`: it did not answer here. */
  readonly state: 'ok' | 'silent' | 'suspected' | 'dead' | 'loading' | 'syncing' | 'disconnected';
  readonly zone: string | null;
  readonly version: string | null;
  readonly keys: number | null;
  readonly memoryBytes: number | null;
  /** 0: no limit. */
  readonly memoryMaxBytes: number | null;
  readonly opsPerSecond: number | null;
  readonly clients: number | null;
  readonly uptimeSeconds: number | null;
  /** Milliseconds until it had answered. */
  readonly latencyMs: number | null;
  /** Bytes behind its master; null of a master. */
  readonly lagBytes: number | null;
}

export interface ShardOverview {
  readonly slots: SlotSet;
  readonly slotCount: number;
  readonly nodes: readonly NodeOverview[];
}

export interface ClusterOverview {
  readonly masters: number;
  readonly replicas: number;
  /** Of 16,384: those of masters that answer and are not failing. */
  readonly slotsServed: number;
  readonly keys: number;
  readonly memoryBytes: number;
  readonly opsPerSecond: number;
  /** By the lowest slot; masters without slots and replicas without a master come last. */
  readonly shards: readonly ShardOverview[];
}

function stateOf(snapshot: ClusterSnapshot, node: ClusterNode): NodeOverview['state'] {
  if (hasFlag(node, 'fail')) return 'dead';
  const report = snapshot.report(node.id);
  if (report === undefined) return isFailing(node) ? 'suspected' : 'silent';
  if (isFailing(node)) return 'suspected';
  if (report.loading) return 'loading';
  if (report.replication.syncing) return 'syncing';
  return report.replication.linkUp ? 'ok' : 'disconnected';
}

function nodeOverview(snapshot: ClusterSnapshot, node: ClusterNode): NodeOverview {
  const report = snapshot.report(node.id);
  const { version } = report ?? {};
  return {
    id: node.id,
    address: snapshot.addressOf(node.id),
    role: node.role,
    state: stateOf(snapshot, node),
    zone: node.zone ?? null,
    version: version === undefined ? null : `${version.product} ${version.text}`,
    keys: report?.keys ?? null,
    memoryBytes: report?.memory.usedBytes ?? null,
    memoryMaxBytes: report?.memory.maxBytes ?? null,
    opsPerSecond: report?.opsPerSecond ?? null,
    clients: report?.clients ?? null,
    uptimeSeconds: report?.uptimeSeconds ?? null,
    latencyMs: report?.latencyMs ?? null,
    lagBytes: node.role === 'replica' ? (snapshot.lagBytes(node.id) ?? null) : null,
  };
}

export function overviewOf(snapshot: ClusterSnapshot): ClusterOverview {
  const { topology } = snapshot;
  const of = (node: ClusterNode) => nodeOverview(snapshot, node);
  const shards = topology.shards.map(({ master, replicas }) => ({
    slots: master.slots,
    slotCount: countSlots(master.slots),
    nodes: [of(master), ...replicas.map(of)],
  }));
  const orphans = topology.orphans.map((node) => ({ slots: [], slotCount: 0, nodes: [of(node)] }));
  const masters = shards.map(({ nodes: [master] }) => master as NodeOverview);
  const serves = ({ state }: NodeOverview) => state === 'ok';
  const sum = (field: 'keys' | 'memoryBytes' | 'opsPerSecond', list: readonly NodeOverview[]) =>
    list.reduce((total, node) => total + (node[field] ?? 0), 0);
  return {
    masters: masters.length,
    replicas: topology.replicas.length,
    slotsServed: shards.reduce((total, { slotCount, nodes: [master] }) => {
      return total + (master !== undefined && serves(master) ? slotCount : 0);
    }, 0),
    keys: sum('keys', masters),
    memoryBytes: sum('memoryBytes', masters),
    opsPerSecond: sum(
      'opsPerSecond',
      shards.flatMap(({ nodes }) => nodes),
    ),
    shards: [...shards, ...orphans],
  };
}

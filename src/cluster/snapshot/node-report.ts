/** One node by its own word: identity, view of the cluster, memory, keys, replication. Pure. */
import { ForgeError } from '../../errors.js';
import type { ClusterNode, NodeRole } from '../cluster-node.js';
import {
  type ClusterInfo,
  infoNumber,
  parseClusterInfo,
  parseInfo,
  parseServerVersion,
  type ServerVersion,
} from '../parse-info.js';
import { type KnownLines, parseClusterNodes } from '../parse-nodes.js';
import { Topology } from '../topology.js';
import { type Capabilities, capabilitiesOf } from './capabilities.js';
import type { RawNode } from './raw.js';

export interface Memory {
  readonly usedBytes: number;
  /** Bytes of keys and values, without the server's own overhead; 0 where the server does not tell. */
  readonly datasetBytes: number;
  /** 0 for no limit. */
  readonly maxBytes: number;
  /** `noeviction`, `allkeys-lru`, … */
  readonly policy: string;
}

/** A replica as its master sees it. */
export interface AttachedReplica {
  readonly ip: string;
  readonly port: number;
  readonly online: boolean;
  readonly offset: number;
  /** Seconds since its last acknowledgement. */
  readonly lagSeconds: number;
}

export interface ReplicationReport {
  readonly role: NodeRole;
  /** The stream of writes that `offset` is a place in; empty where the server does not tell. */
  readonly streamId: string;
  /** A master: bytes written to its stream. A replica: bytes that it has applied. */
  readonly offset: number;
  /** A replica: whether its link to the master stands; true for a master. */
  readonly linkUp: boolean;
  /** A replica: whether it receives a whole data set at the moment. */
  readonly syncing: boolean;
  /** `master_failover_state`: anything but `no-failover` is a planned failover on its way. */
  readonly failoverState: string;
  readonly replicas: readonly AttachedReplica[];
}

export interface NodeReport {
  readonly id: string;
  /** `host:port` at which it was reached. */
  readonly address: string;
  /** The IP address and port at which it was reached from here; its peers may know it by another. */
  readonly ip: string;
  readonly port: number;
  /** Itself in its own table: slots that it claims, its open slots. */
  readonly myself: ClusterNode;
  /** The cluster as this node sees it. */
  readonly view: Topology;
  readonly cluster: ClusterInfo;
  readonly version: ServerVersion | undefined;
  /** Another one after every start of the server; empty where the server does not tell. */
  readonly runId: string;
  /** Whether it writes an append-only file. */
  readonly appendOnly: boolean;
  /** Whether its last write to the append-only file failed: a master refuses writes until one succeeds. */
  readonly appendFailed: boolean;
  /** Whether its last snapshot failed. */
  readonly snapshotFailed: boolean;
  readonly capabilities: Capabilities;
  readonly loading: boolean;
  /** Keys in all databases. */
  readonly keys: number;
  readonly memory: Memory;
  readonly replication: ReplicationReport;
  readonly opsPerSecond: number;
  readonly clients: number;
  readonly uptimeSeconds: number;
  /** Milliseconds until its replies were here. */
  readonly latencyMs: number;
}

type Info = ReadonlyMap<string, string>;

function parseReplicas(info: Info): AttachedReplica[] {
  const replicas: AttachedReplica[] = [];
  for (const [key, value] of info) {
    if (!/^(slave|replica)[0-9]+$/.test(key)) continue;
    const fields = new Map(value.split(',').map((pair) => pair.split('=', 2) as [string, string]));
    const field = (name: string) => infoNumber(fields, name) ?? 0;
    replicas.push({
      ip: fields.get('ip') ?? '',
      port: field('port'),
      online: fields.get('state') === 'online',
      offset: field('offset'),
      lagSeconds: field('lag'),
    });
  }
  return replicas;
}

function replicationOf(info: Info): ReplicationReport {
  const replica = info.get('role') === 'slave';
  const offset = replica ? 'slave_repl_offset' : 'master_repl_offset';
  return {
    role: replica ? 'replica' : 'master',
    streamId: info.get('master_replid') ?? '',
    offset: infoNumber(info, offset) ?? 0,
    linkUp: !replica || info.get('master_link_status') === 'up',
    syncing: replica && info.get('master_sync_in_progress') === '1',
    failoverState: info.get('master_failover_state') ?? 'no-failover',
    replicas: parseReplicas(info),
  };
}

function keysOf(info: Info): number {
  let keys = 0;
  for (const [key, value] of info) {
    if (/^db[0-9]+$/.test(key)) keys += Number(/^keys=([0-9]{1,16})/.exec(value)?.[1] ?? 0);
  }
  return keys;
}

/**
 * Reads what a node answered.
 * @param known shared by the nodes of one cluster, to read them faster
 * @throws ForgeError `refused` when it is not in cluster mode, `verification` when its replies are none of a cluster node
 */
export function parseReport(raw: RawNode, known?: KnownLines): NodeReport {
  const info = parseInfo(raw.info);
  if (infoNumber(info, 'cluster_enabled') === 0) {
    throw new ForgeError('refused', `${raw.address} is not in cluster mode.`, {
      host: raw.address,
      next: 'Set cluster-enabled yes in its configuration and restart it.',
    });
  }
  const view = new Topology(parseClusterNodes(raw.nodes, raw.address, known));
  const { myself } = view;
  if (myself === undefined) {
    throw new ForgeError('verification', `${raw.address} does not list itself in CLUSTER NODES.`, {
      host: raw.address,
    });
  }
  const field = (name: string) => infoNumber(info, name) ?? 0;
  return {
    id: myself.id,
    address: raw.address,
    ip: raw.ip,
    port: raw.port,
    myself,
    view,
    cluster: parseClusterInfo(raw.clusterInfo),
    version: parseServerVersion(info),
    runId: info.get('run_id') ?? '',
    appendOnly: info.get('aof_enabled') === '1',
    appendFailed: info.get('aof_last_write_status') === 'err',
    snapshotFailed: info.get('rdb_last_bgsave_status') === 'err',
    capabilities: capabilitiesOf(raw.commands),
    loading: info.get('loading') === '1',
    keys: keysOf(info),
    memory: {
      usedBytes: field('used_memory'),
      datasetBytes: field('used_memory_dataset'),
      maxBytes: field('maxmemory'),
      policy: info.get('maxmemory_policy') ?? 'unknown',
    },
    replication: replicationOf(info),
    opsPerSecond: field('instantaneous_ops_per_sec'),
    clients: field('connected_clients'),
    uptimeSeconds: field('uptime_in_seconds'),
    latencyMs: raw.latencyMs,
  };
}

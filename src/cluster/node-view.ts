/** What one node says about itself and its cluster, read in one round trip. */
import type { NodeConnection } from './node-connection.js';
import {
  type ClusterInfo,
  infoNumber,
  parseClusterInfo,
  parseInfo,
  parseServerVersion,
  type ServerVersion,
} from './parse-info.js';
import { parseClusterNodes } from './parse-nodes.js';
import { Topology } from './topology.js';

export interface Replication {
  readonly role: 'master' | 'replica';
  /** A replica: whether it is linked to its master and has the whole data set. */
  readonly synced: boolean;
  /** A master: how many replicas receive its stream. */
  readonly onlineReplicas: number;
}

export interface NodeView {
  readonly topology: Topology;
  readonly cluster: ClusterInfo;
  readonly replication: Replication;
}

/** Parses INFO replication. */
export function parseReplication(info: ReadonlyMap<string, string>): Replication {
  const replica = info.get('role') === 'slave';
  let onlineReplicas = 0;
  for (const [key, value] of info) {
    if (/^(slave|replica)[0-9]+$/.test(key) && value.includes('state=online')) onlineReplicas++;
  }
  return {
    role: replica ? 'replica' : 'master',
    synced: replica && info.get('master_link_status') === 'up' && info.get('master_sync_in_progress') !== '1',
    onlineReplicas,
  };
}

export async function readView(connection: NodeConnection): Promise<NodeView> {
  const [nodes, cluster, replication] = await Promise.all([
    connection.callText('CLUSTER', 'NODES'),
    connection.callText('CLUSTER', 'INFO'),
    connection.callText('INFO', 'replication'),
  ]);
  return {
    topology: new Topology(parseClusterNodes(nodes, connection.label)),
    cluster: parseClusterInfo(cluster),
    replication: parseReplication(parseInfo(replication)),
  };
}

export interface NodeFacts {
  readonly clusterEnabled: boolean;
  readonly version: ServerVersion | undefined;
  /** Keys in all databases. */
  readonly keys: number;
  readonly loading: boolean;
}

export async function readFacts(connection: NodeConnection): Promise<NodeFacts> {
  const info = parseInfo(await connection.callText('INFO'));
  let keys = 0;
  for (const [key, value] of info) {
    if (/^db[0-9]+$/.test(key)) keys += Number(/^keys=([0-9]{1,16})/.exec(value)?.[1] ?? 0);
  }
  return {
    clusterEnabled: infoNumber(info, 'cluster_enabled') === 1,
    version: parseServerVersion(info),
    keys,
    loading: info.get('loading') === '1',
  };
}

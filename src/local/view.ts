/** What one node says about itself and its cluster, in one look. */
import type { ClusterNode } from '../cluster/cluster-node.js';
import { isMyself } from '../cluster/cluster-node.js';
import { connectNode } from '../cluster/node-connection.js';
import { infoNumber, parseClusterInfo, parseInfo } from '../cluster/parse-info.js';
import { parseClusterNodes } from '../cluster/parse-nodes.js';
import { ForgeError } from '../errors.js';

/** On loopback a node answers within a millisecond, or is busy. */
const CONNECT_TIMEOUT_MS = 1_000;
const COMMAND_TIMEOUT_MS = 3_000;

export interface NodeView {
  /** It answers. Nothing below is known when it does not. */
  reachable: boolean;
  /** Why it does not answer. */
  fault?: string;
  /** 0 to 100 while it loads its data; then nothing below is known either. */
  loadingPercent?: number;
  /** It belongs to no cluster; then nothing below but the memory is known. */
  independent?: boolean;
  /** The node's own line of CLUSTER NODES. */
  myself?: ClusterNode;
  /** `ok` or `fail`, by the node's own judgement. */
  clusterState?: string;
  knownNodes?: number;
  /** For a replica: connected to its master, first copy done. */
  inSync?: boolean;
  /** Bytes that Redis holds for data and buffers. */
  usedMemoryBytes?: number;
}

/**
 * Looks at the node on this port of loopback. A node that does not answer is an answer, too.
 * @throws ForgeError `denied` when the password is not the node's
 */
export async function viewNode(port: number, adminPassword: string, signal?: AbortSignal): Promise<NodeView> {
  try {
    const connection = await connectNode({
      host: '127.0.0.1',
      port,
      username: 'admin',
      password: adminPassword,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      signal,
    });
    try {
      // INFO first: it is what a node answers while it loads.
      const info = parseInfo(await connection.callText('INFO', 'memory', 'persistence', 'replication', 'cluster'));
      const usedMemoryBytes = infoNumber(info, 'used_memory');
      if (info.get('loading') === '1') {
        return { reachable: true, loadingPercent: Math.floor(Number(info.get('loading_loaded_perc') ?? 0)) };
      }
      const memory = usedMemoryBytes === undefined ? {} : { usedMemoryBytes };
      if (info.get('cluster_enabled') === '0') return { reachable: true, independent: true, ...memory };
      const [nodes, cluster] = await Promise.all([
        connection.callText('CLUSTER', 'NODES'),
        connection.callText('CLUSTER', 'INFO'),
      ]);
      const { state, knownNodes } = parseClusterInfo(cluster);
      return {
        reachable: true,
        myself: parseClusterNodes(nodes, connection.label).find(isMyself),
        clusterState: state,
        knownNodes,
        inSync: info.get('role') !== 'slave' || info.get('master_link_status') === 'up',
        ...memory,
      };
    } finally {
      connection.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof ForgeError && error.kind !== 'denied') return { reachable: false, fault: error.message };
    throw error;
  }
}

/** Why this node is not (yet) a healthy part of a cluster of `nodes` nodes; undefined when it is. Pure. */
export function nodeFault(view: NodeView, nodes: number): string | undefined {
  if (!view.reachable) return view.fault ?? 'it does not answer';
  if (view.loadingPercent !== undefined) return `it loads its data (${view.loadingPercent} %)`;
  if (view.independent) return undefined;
  if ((view.knownNodes ?? 0) < nodes) return `it knows ${view.knownNodes ?? 0} of ${nodes} nodes`;
  if (view.clusterState !== 'ok') return `its cluster state is "${view.clusterState}"`;
  if (view.inSync === false) return 'it is not in sync with its master';
  return undefined;
}

/** Members as `inspectNodes` makes them, without servers: what is not said is as on an empty node. */
import type { Member } from '../../../../src/cluster/init/member.js';
import { parseClusterInfo } from '../../../../src/cluster/parse-info.js';
import { parseClusterNodes } from '../../../../src/cluster/parse-nodes.js';
import { Topology } from '../../../../src/cluster/topology.js';

export const idOf = (number: number) => number.toString(16).padStart(40, '0');

/** One line of CLUSTER NODES. */
export const line = (number: number, flags: string, master: number | undefined, slots = '', link = 'connected') =>
  `${idOf(number)} 10.0.0.${number}:6379@16379 ${flags} ${master === undefined ? '-' : idOf(master)} 0 0 ${number} ${link} ${slots}`;

export interface MemberOptions {
  ip?: string;
  version?: string;
  keys?: number;
  loading?: boolean;
  masterPasswordMissing?: boolean;
  nodeTimeoutMs?: number;
  /** Lines of CLUSTER NODES; alone and empty when not given. */
  table?: string[];
  id?: string;
}

export function member(number: number, options: MemberOptions = {}): Member {
  const ip = options.ip ?? `10.0.0.${number}`;
  const table = options.table ?? [line(number, 'myself,master', undefined)];
  const topology = new Topology(parseClusterNodes(table.join('\n')));
  const [major = 7, minor = 0] = (options.version ?? '7.0.15').split('.').map(Number);
  return {
    label: `10.0.0.${number}:6379`,
    address: { host: `10.0.0.${number}`, port: 6379 },
    connection: undefined as never,
    id: options.id ?? idOf(number),
    ip,
    busPort: 16_379,
    masterPasswordMissing: options.masterPasswordMissing ?? false,
    nodeTimeoutMs: options.nodeTimeoutMs,
    facts: {
      clusterEnabled: true,
      version: { product: 'redis', text: options.version ?? '7.0.15', major, minor },
      keys: options.keys ?? 0,
      loading: options.loading ?? false,
    },
    view: {
      topology,
      cluster: parseClusterInfo('cluster_state:ok\r\ncluster_slots_ok:16384\r\n'),
      replication: { role: 'master', synced: false, onlineReplicas: 0 },
    },
  };
}

/** What nodes of a cluster say of it and of themselves: CLUSTER NODES (and nodes.conf), SLOTS, SHARDS, INFO. */
import fc from 'fast-check';
import { ownIdOf } from '../../../../src/backup/source/files/choose.js';
import { parseFileState } from '../../../../src/backup/source/files/server.js';
import type { ClusterNode } from '../../../../src/cluster/cluster-node.js';
import { parseReplication } from '../../../../src/cluster/node-view.js';
import { parseClusterInfo, parseInfo, parseServerVersion } from '../../../../src/cluster/parse-info.js';
import { parseClusterNodes } from '../../../../src/cluster/parse-nodes.js';
import { parseClusterShards, parseClusterSlots } from '../../../../src/cluster/parse-shards.js';
import { isSlot } from '../../../../src/cluster/slots.js';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { Topology } from '../../../../src/cluster/topology.js';
import { ForgeError } from '../../../../src/errors.js';
import { examine } from '../../../../src/operations/health/health.js';
import { overviewOf } from '../../../../src/operations/health/overview.js';
import { mutations } from '../../../support/mutations.js';
import { idOf, rawNode, THREE } from '../../operations/support.js';
import { textLike } from '../mutate.js';
import { must, mustEqual, resultOf, target } from '../target.js';

const TABLE = [
  `${idOf(1)} 10.0.0.1:6379@16379,,tls-port=0,shard-id=${idOf(91)} myself,master - 0 0 1 connected 0-5460 [5461-<-${idOf(2)}] [7->-${idOf(3)}]`,
  `${idOf(2)} 10.0.0.2:6379@16379,redis-2.example master - 0 1700000000000 2 connected 5461-10922`,
  `${idOf(3)} 2001:db8::3:6379@16379 master,fail? - 1 2 3 disconnected 10923-16382 16383`,
  `${idOf(4)} 10.0.0.4:6379@16379 slave ${idOf(1)} 0 1 1 connected`,
  `${idOf(5)} 10.0.0.5:6379@16379 slave,noaddr ${idOf(77)} 0 1 1 disconnected`,
  `${idOf(6)} 10.0.0.6:6379@16379 handshake - 0 0 0 disconnected`,
  `${idOf(7)} :0@0 master,noaddr,nofailover - 0 0 0 disconnected`,
].join('\n');
const TABLES = [TABLE, `${TABLE}\nvars currentEpoch 7 lastVoteEpoch 0\n`, `${TABLE.split('\n')[0]}\n`, ''];

const INFO = [
  ...['# Server', 'redis_version:7.0.15', 'run_id:abc', 'tcp_port:6379', 'uptime_in_seconds:100', '# Clients'],
  ...['connected_clients:12', '# Memory', 'used_memory:1000000', 'used_memory_dataset:500000', 'maxmemory:2000000'],
  ...['maxmemory_policy:noeviction', '# Persistence', 'loading:0', 'async_loading:0', 'rdb_bgsave_in_progress:0'],
  ...['rdb_last_bgsave_status:ok', 'rdb_saves:3', 'aof_enabled:1', 'aof_rewrite_in_progress:0', 'aof_current_size:88'],
  ...['aof_base_size:88', 'aof_buffer_length:0', 'aof_last_write_status:ok', '# Replication', 'role:master'],
  ...['connected_slaves:1', 'slave0:ip=10.0.0.4,port=6379,state=online,offset=1234,lag=0', 'master_replid:abc'],
  ...['master_failover_state:no-failover', 'master_repl_offset:1234', '# Cluster', 'cluster_enabled:1', '# Keyspace'],
  'db0:keys=5,expires=1,avg_ttl=0',
].join('\r\n');
const INFOS = [
  INFO,
  INFO.replace('redis_version:7.0.15', 'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.1'),
  INFO.replace(
    'role:master',
    'role:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:7',
  ),
  'cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\ncluster_known_nodes:6\r\ncluster_size:3\r\ncluster_current_epoch:6\r\ncluster_my_epoch:1\r\n',
];

const SLOTS: unknown = [
  [0, 5460, ['10.0.0.1', 6379, idOf(1), ['hostname', 'redis-1']], ['10.0.0.4', 6379, idOf(4), []]],
  [5461, 10_922, ['', 6379, idOf(2)]],
  [10_923, 16_383, [null, 6379, idOf(3)]],
];
const member = (n: number, role: string, health = 'online') => [
  ...['id', idOf(n), 'port', 6379, 'ip', `10.0.0.${n}`, 'endpoint', `10.0.0.${n}`, 'hostname', ''],
  ...['role', role, 'replication-offset', 12, 'health', health],
];
const SHARDS: unknown = [
  ['slots', [0, 8191], 'nodes', [member(1, 'master'), member(4, 'replica')]],
  [
    'slots',
    [8192, 16_383],
    'nodes',
    [member(2, 'master', 'fail'), member(3, 'master'), member(5, 'replica', 'loading')],
  ],
];
const ODD = [16_384, 2 ** 40, -5, Number.NaN, Number.POSITIVE_INFINITY, 'x'.repeat(300), idOf(1), '?', ['id', 1]];

function checkNodes(nodes: readonly ClusterNode[]): void {
  for (const { id, port, busPort, slots, configEpoch } of nodes) {
    must(/^[0-9a-f]{40}$/.test(id), 'a node has an id');
    must(port >= 0 && port <= 65_535 && busPort >= 0 && busPort <= 75_535, 'a node has a port');
    must(Number.isSafeInteger(configEpoch) && configEpoch >= 0, 'a node has an epoch');
    must(
      slots.every(({ start, end }) => isSlot(start) && isSlot(end) && start <= end),
      'a node serves slots',
    );
  }
  const topology = new Topology(nodes);
  must(topology.nodes.length + topology.handshakes.length === nodes.length, 'no node is lost');
  must(topology.signature.length === 64, 'it can be compared');
  for (const slot of [0, 8191, 16_383]) topology.ownerOf(slot);
  must(
    topology.conflicts.every(({ nodeIds }) => nodeIds.length >= 2),
    'a conflict has two sides',
  );
}

function checkNumbers(value: unknown): void {
  if (typeof value === 'number') must(Number.isFinite(value) && value >= 0, `numbers are numbers: ${value}`);
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) checkNumbers(each);
}

export const clusters = [
  target('nodes.conf, CLUSTER NODES', textLike(TABLES), (text) => {
    ownIdOf(text);
    const known = new Map<string, ClusterNode>();
    const first = resultOf(() => parseClusterNodes(text, 'x', known), ForgeError);
    if (first.refusal !== undefined) must(first.refusal.kind === 'verification', 'it is told what it is');
    else {
      checkNodes(first.result);
      mustEqual(parseClusterNodes(text, 'x', known), first.result, 'lines that are known are read as they were');
    }
  }),
  target('CLUSTER SLOTS', mutations(SLOTS, ODD), (reply) => {
    const { result = [] } = { result: undefined, ...resultOf(() => parseClusterSlots(reply, 'x'), ForgeError) };
    checkNodes(result);
  }),
  target('CLUSTER SHARDS', mutations(SHARDS, ODD), (reply) => {
    const { result = [] } = { result: undefined, ...resultOf(() => parseClusterShards(reply, 'x'), ForgeError) };
    checkNodes(result);
  }),
  target('INFO', textLike(INFOS), (text) => {
    const info = parseInfo(text);
    checkNumbers([parseClusterInfo(text), parseServerVersion(info), parseFileState(text), parseReplication(info)]);
  }),
  target(
    'a cluster one node of which answers anything',
    fc.record({ nodes: textLike(TABLES), info: textLike(INFOS), clusterInfo: textLike(INFOS) }),
    (said) => {
      const others = THREE.map((node) => parseReport(rawNode(node, THREE)));
      const raw = rawNode({ n: 1 }, THREE);
      for (const each of [said, { ...said, nodes: raw.nodes }, { ...said, info: raw.info }]) {
        const { result: report } = {
          result: undefined,
          ...resultOf(() => parseReport({ ...raw, ...each }), ForgeError),
        };
        if (report === undefined) continue;
        const snapshot = new ClusterSnapshot({ reports: [report, ...others.filter(({ id }) => id !== report.id)] });
        const { findings } = examine(snapshot);
        must(findings.length > 0, 'it is judged');
        overviewOf(snapshot);
      }
    },
  ),
];

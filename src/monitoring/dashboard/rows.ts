/** The rows of the dashboard: the cluster at a glance, nodes, replication, persistence, the proxy, upkeep, hosts. Pure. */
import { BACKUP_METRIC, CERTIFICATE_METRIC } from '../textfile.js';
import { of, ofNode, type Row, rate, series, stat, state } from './panel.js';

const NODE = '{{instance}}';
const quantile = (share: number, metric: string, by: string) =>
  `histogram_quantile(${share}, sum by (${by}, le) (${rate(of(`${metric}_bucket`))}))`;

const glance: Row = {
  title: 'At a glance',
  panels: [
    state('Cluster', '1: every node says cluster_state:ok.', `min(${of('redis_cluster_state')})`),
    stat('Slots covered', '16384 of 16384: every key has a node that answers.', `max(${of('redis_cluster_slots_ok')})`),
    stat('Nodes down', 'Nodes that do not answer their exporter.', `sum(${of('redis_up')} == bool 0)`),
    stat('Masters', 'Nodes that have the role of a master.', `count(${of('redis_instance_info', 'role="master"')})`),
    stat('Commands', 'Commands a second, of all nodes.', `sum(${rate(of('redis_commands_processed_total'))})`, 'ops'),
    stat('Memory used', 'Of all nodes, replicas too.', `sum(${of('redis_memory_used_bytes')})`, 'bytes'),
  ],
};

const nodes: Row = {
  title: 'Nodes',
  panels: [
    series('Commands', 'Commands a second of each node.', 'ops', [
      rate(ofNode('redis_commands_processed_total')),
      NODE,
    ]),
    series('Commands by name', 'The ten that are given most.', 'ops', [
      `topk(10, sum by (cmd) (${rate(ofNode('redis_commands_total'))}))`,
      '{{cmd}}',
    ]),
    series('Time of a command', 'The mean inside Redis, without network and queues.', 's', [
      `${rate(ofNode('redis_commands_duration_seconds_total', 'cmd=~"get|set|hget|hset|mget|eval|evalsha"'))} / (${rate(ofNode('redis_commands_total', 'cmd=~"get|set|hget|hset|mget|eval|evalsha"'))} > 0)`,
      '{{cmd}} {{instance}}',
    ]),
    series(
      'Memory',
      'Used, and what it may use.',
      'bytes',
      [ofNode('redis_memory_used_bytes'), NODE],
      [`max(${ofNode('redis_memory_max_bytes')})`, 'maxmemory'],
    ),
    series('Fragmentation', 'Resident memory by used memory; above 1.5 it is wasted.', 'short', [
      ofNode('redis_mem_fragmentation_ratio'),
      NODE,
    ]),
    series('Keys', 'Keys of each node.', 'short', [`sum by (instance) (${ofNode('redis_db_keys')})`, NODE]),
    series(
      'Evicted and expired',
      'Keys a second.',
      'ops',
      [rate(ofNode('redis_evicted_keys_total')), 'evicted {{instance}}'],
      [rate(ofNode('redis_expired_keys_total')), 'expired {{instance}}'],
    ),
    series('Hits', 'The share of reads that found their key.', 'percentunit', [
      `${rate(ofNode('redis_keyspace_hits_total'))} / (${rate(ofNode('redis_keyspace_hits_total'))} + ${rate(ofNode('redis_keyspace_misses_total'))})`,
      NODE,
    ]),
    series(
      'Clients',
      'Connected, and those that wait in a blocking command.',
      'short',
      [ofNode('redis_connected_clients'), NODE],
      [ofNode('redis_blocked_clients'), 'blocked {{instance}}'],
    ),
    series('Turned away', 'Clients a second, for maxclients.', 'ops', [
      rate(ofNode('redis_rejected_connections_total')),
      NODE,
    ]),
    series(
      'Network',
      'Bytes a second, in and out.',
      'Bps',
      [rate(ofNode('redis_net_input_bytes_total')), 'in {{instance}}'],
      [rate(ofNode('redis_net_output_bytes_total')), 'out {{instance}}'],
    ),
    series('Errors', 'Error replies a second, by their first word.', 'ops', [
      `sum by (err) (${rate(ofNode('redis_errors_total'))})`,
      '{{err}}',
    ]),
    series('Slow log', 'Entries a minute.', 'short', [`60 * ${rate(ofNode('redis_slowlog_last_id'))}`, NODE]),
    series('Output buffers', 'The largest that a client had lately.', 'bytes', [
      ofNode('redis_client_recent_max_output_buffer_bytes'),
      NODE,
    ]),
    series('Processor time', 'Seconds a second of the main thread: at 1 a node can do no more.', 'short', [
      `${rate(ofNode('redis_cpu_user_main_thread_seconds_total'))} + ${rate(ofNode('redis_cpu_sys_main_thread_seconds_total'))}`,
      NODE,
    ]),
  ],
};

const replication: Row = {
  title: 'Replication',
  panels: [
    series('Behind', 'Seconds since a replica last said how far it is.', 's', [
      of('redis_connected_slave_lag_seconds'),
      '{{slave_ip}}:{{slave_port}}',
    ]),
    series('Behind, in bytes', 'What a master has written and a replica has not taken yet.', 'bytes', [
      `${of('redis_master_repl_offset')} - on (cluster, instance) group_right () ${of('redis_connected_slave_offset_bytes')}`,
      '{{slave_ip}}:{{slave_port}}',
    ]),
    series('Link to the master', '1: it is up.', 'short', [of('redis_master_link_up'), NODE]),
    series('Full synchronisations', 'Each copies the whole of a master.', 'short', [
      `increase(${of('redis_replica_resyncs_full')}[$__rate_interval])`,
      NODE,
    ]),
    series('Replicas', 'Of each master.', 'short', [
      `${of('redis_connected_slaves')} + on (cluster, instance) group_left () 0 * ${of('redis_instance_info', 'role="master"')}`,
      NODE,
    ]),
    series('Epoch', 'Rises with every failover.', 'short', [`max(${of('redis_cluster_current_epoch')})`, 'current']),
  ],
};

const persistence: Row = {
  title: 'Persistence',
  panels: [
    series('Append-only file', 'Its size; a rewrite makes it small again.', 'bytes', [
      ofNode('redis_aof_current_size_bytes'),
      NODE,
    ]),
    series('Delayed by the disk', 'Writes of the file that had to wait, a second.', 'ops', [
      rate(ofNode('redis_aof_delayed_fsync')),
      NODE,
    ]),
    series('Last snapshot', 'How long ago.', 's', [
      `time() - ${ofNode('redis_rdb_last_save_timestamp_seconds')}`,
      NODE,
    ]),
    series('Changes since the snapshot', 'Writes that only the append-only file has.', 'short', [
      ofNode('redis_rdb_changes_since_last_save'),
      NODE,
    ]),
    series('Last fork', 'How long the node stood still for it.', 's', [ofNode('redis_latest_fork_seconds'), NODE]),
    series(
      'Last writes',
      '1: they went well.',
      'short',
      [ofNode('redis_aof_last_write_status'), 'append-only file {{instance}}'],
      [ofNode('redis_aof_last_bgrewrite_status'), 'rewrite {{instance}}'],
      [ofNode('redis_rdb_last_bgsave_status'), 'snapshot {{instance}}'],
    ),
  ],
};

const proxy: Row = {
  title: 'Proxy',
  panels: [
    state('Live', '1: every proxy serves.', `min(${of('envoy_server_live')})`),
    stat('Clients', 'Connections of clients.', `sum(${of('envoy_redis_downstream_cx_active')})`),
    stat('Commands', 'Commands a second.', `sum(${rate(of('envoy_redis_downstream_rq_total'))})`, 'ops'),
    stat(
      'p99',
      'What 1 % of the commands take longer than.',
      quantile(0.99, 'envoy_redis_downstream_rq_time', 'cluster'),
      'ms',
    ),
    stat(
      'Failures',
      'Commands a second that got an error of the proxy.',
      `sum(${rate(of('envoy_cluster_upstream_rq_xx', 'response_code_class="5"'))})`,
      'ops',
    ),
    stat('Workers', 'Threads of all proxies.', `sum(${of('envoy_server_concurrency')})`),
    series(
      'Times',
      'Downstream: what clients wait. Upstream: Redis and the network to it.',
      'ms',
      [quantile(0.5, 'envoy_redis_downstream_rq_time', 'instance'), 'p50 {{instance}}'],
      [quantile(0.99, 'envoy_redis_downstream_rq_time', 'instance'), 'p99 {{instance}}'],
      [quantile(0.99, 'envoy_cluster_upstream_rq_time', 'instance'), 'p99 upstream {{instance}}'],
    ),
    series('Answers by class', '2: replies, 4: errors of nodes, 5: errors of the proxy.', 'ops', [
      `sum by (response_code_class) (${rate(of('envoy_cluster_upstream_rq_xx'))})`,
      '{{response_code_class}}xx',
    ]),
    series('Commands by name', 'The ten that are given most.', 'ops', [
      `topk(10, sum by (envoy_redis_command) (${rate(of('envoy_redis_command_total'))}))`,
      '{{envoy_redis_command}}',
    ]),
    series(
      'Connections',
      'Of clients, and to nodes.',
      'short',
      [`sum by (instance) (${of('envoy_redis_downstream_cx_active')})`, 'clients {{instance}}'],
      [`sum by (instance) (${of('envoy_cluster_upstream_cx_active')})`, 'nodes {{instance}}'],
    ),
    series(
      'In flight and waiting',
      'Commands that a node has not answered, and those that wait for a connection.',
      'short',
      [`sum by (instance) (${of('envoy_cluster_upstream_rq_active')})`, 'in flight {{instance}}'],
      [`sum by (instance) (${of('envoy_cluster_upstream_rq_pending_active')})`, 'waiting {{instance}}'],
    ),
    series(
      'Redirections and retries',
      'What clients do not see.',
      'ops',
      [`sum(${rate(of('envoy_cluster_upstream_rq_moved'))})`, 'MOVED'],
      [`sum(${rate(of('envoy_cluster_upstream_rq_ask'))})`, 'ASK'],
      [`sum(${rate(of('envoy_cluster_upstream_rq_retry'))})`, 'retries'],
    ),
    series(
      'Troubles',
      'A second: timeouts, failed connections, failed logins.',
      'ops',
      [`sum(${rate(of('envoy_cluster_upstream_rq_timeout'))})`, 'timeouts'],
      [`sum(${rate(of('envoy_cluster_upstream_cx_connect_fail'))})`, 'failed connections'],
      [`sum(${rate(of('envoy_redis_downstream_auth_failure'))})`, 'failed logins'],
    ),
    series(
      'Bytes of clients',
      'Bytes a second, in and out.',
      'Bps',
      [`sum(${rate(of('envoy_redis_downstream_cx_rx_bytes_total'))})`, 'in'],
      [`sum(${rate(of('envoy_redis_downstream_cx_tx_bytes_total'))})`, 'out'],
    ),
    series('Memory', 'Resident memory of each proxy.', 'bytes', [of('envoy_server_memory_physical_size'), NODE]),
  ],
};

const upkeep: Row = {
  title: 'Upkeep',
  panels: [
    stat('Last backup', 'How long ago.', `time() - max(${BACKUP_METRIC}{redis_cluster="$cluster"})`, 's'),
    stat(
      'First certificate expires',
      'In how long.',
      `min(${CERTIFICATE_METRIC}{redis_cluster="$cluster"}) - time()`,
      's',
    ),
    stat(
      'Proxy certificate expires',
      'In how long, by what the proxies themselves use.',
      `min(${of('envoy_server_seconds_until_first_cert_expiring')})`,
      's',
    ),
    stat(
      'Alerts',
      'Those that are raised now, without the watchdog.',
      'count(ALERTS{cluster="$cluster",alertstate="firing",severity!="none"}) or vector(0)',
    ),
  ],
};

const hosts: Row = {
  title: 'Hosts',
  panels: [
    series('Processors', 'The share that is in use.', 'percentunit', [
      `1 - avg by (instance) (${rate(of('node_cpu_seconds_total', 'mode="idle"'))})`,
      NODE,
    ]),
    series('Memory left', 'What programs can still get.', 'bytes', [of('node_memory_MemAvailable_bytes'), NODE]),
    series('Disks', 'How full they are.', 'percentunit', [
      `1 - ${of('node_filesystem_avail_bytes', 'fstype!~"tmpfs|ramfs"')} / ${of('node_filesystem_size_bytes', 'fstype!~"tmpfs|ramfs"')}`,
      '{{instance}} {{mountpoint}}',
    ]),
    series('Disks at work', 'The share of time.', 'percentunit', [
      rate(of('node_disk_io_time_seconds_total')),
      '{{instance}} {{device}}',
    ]),
    series(
      'Network',
      'Bytes a second, in and out.',
      'Bps',
      [rate(of('node_network_receive_bytes_total', 'device!="lo"')), 'in {{instance}} {{device}}'],
      [rate(of('node_network_transmit_bytes_total', 'device!="lo"')), 'out {{instance}} {{device}}'],
    ),
    series('Clocks', 'How far they are off.', 's', [of('node_timex_offset_seconds'), NODE]),
  ],
};

export const ROWS: readonly Row[] = [glance, nodes, replication, persistence, proxy, upkeep, hosts];

/**
 * For each alert: figures that raise it, the labels that it then carries, and figures that must not. Values are written as
 * promtool has them (`0x100`: 0 a hundred times more; `0+60x100`: 60 more every minute). One value a minute.
 */
export interface AlertCase {
  readonly alert: string;
  readonly raised: Readonly<Record<string, string>>;
  /** Beside alertname, alertstate, severity and cluster. */
  readonly labels: Readonly<Record<string, string>>;
  readonly quiet: Readonly<Record<string, string>>;
  /** When it is looked, minutes; 90 when not given. */
  readonly minutes?: number;
}

const NODE = '10.0.0.1:6379';
const PROXY = '10.0.0.9:9901';
const HOST = '10.0.0.1:9100';
const C = 'cluster="orders"';
const still = (value: number | string) => `${value}x1500`;
const grows = (perMinute: number) => `0+${perMinute}x1500`;

/** A case about one metric: with the first values the alert is raised, with the second it is not. */
function simple(
  alert: string,
  metric: string,
  instance: string,
  [bad, good]: readonly [string, string],
  more: { labels?: Record<string, string>; others?: Record<string, string>; minutes?: number; drop?: string[] } = {},
): AlertCase {
  const labels = { instance, ...more.labels };
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  const series = `${metric}{${[C, ...pairs].join(',')}}`;
  const kept = Object.entries(labels).filter(([name]) => !more.drop?.includes(name));
  return {
    alert,
    raised: { [series]: bad, ...more.others },
    labels: Object.fromEntries(kept),
    quiet: { [series]: good, ...more.others },
    ...(more.minutes === undefined ? {} : { minutes: more.minutes }),
  };
}

const node = (alert: string, metric: string, values: readonly [string, string], more?: Parameters<typeof simple>[4]) =>
  simple(alert, metric, NODE, values, more);
const proxy = (alert: string, metric: string, values: readonly [string, string], more?: Parameters<typeof simple>[4]) =>
  simple(alert, metric, PROXY, values, more);
const host = (alert: string, metric: string, values: readonly [string, string], more?: Parameters<typeof simple>[4]) =>
  simple(alert, metric, HOST, values, more);
const upstream = { labels: { envoy_cluster_name: 'main' } };
const client = { labels: { envoy_redis_prefix: 'egress_redis' } };
const disk = { device: '/dev/vda', fstype: 'ext4', mountpoint: '/data' };
const on = (metric: string, instance: string, more = '') => `${metric}{${C},instance="${instance}"${more}}`;
const replica = ',slave_ip="10.0.0.2",slave_port="6379",slave_state="online"';
const rq = (responseClass: number) =>
  on('envoy_cluster_upstream_rq_xx', PROXY, `,envoy_cluster_name="main",response_code_class="${responseClass}"`);
const size = (value: number) => ({ [on('node_filesystem_size_bytes', HOST, fields(disk))]: still(value) });
const maximum = { [on('redis_memory_max_bytes', NODE)]: still(1000) };

function fields(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `,${name}="${value}"`)
    .join('');
}

const REDIS: readonly AlertCase[] = [
  node('RedisDown', 'redis_up', [still(0), still(1)]),
  { alert: 'RedisMetricsAbsent', raised: {}, labels: {}, quiet: { [on('redis_up', NODE)]: still(0) } },
  node('RedisRestarted', 'redis_uptime_in_seconds', ['5000x85 1x20', grows(60)]),
  node('ClusterStateFail', 'redis_cluster_state', [still(0), still(1)]),
  node('ClusterSlotsNotCovered', 'redis_cluster_slots_assigned', [still(16_383), still(16_384)], {
    drop: ['instance'],
  }),
  node('ClusterSlotsFailing', 'redis_cluster_slots_fail', [still(1), still(0)], { drop: ['instance'] }),
  node('ClusterSlotsSuspected', 'redis_cluster_slots_pfail', [still(1), still(0)], { drop: ['instance'] }),
  node('ClusterNodesDisagree', 'redis_cluster_known_nodes', [still(7), still(6)], {
    drop: ['instance'],
    others: { [on('redis_cluster_known_nodes', '10.0.0.2:6379')]: still(6) },
  }),
  node('HighMemoryUsage', 'redis_memory_used_bytes', [still(901), still(900)], { others: maximum }),
  // Without maxmemory there is no share of it.
  {
    ...node('HighMemoryUsage', 'redis_memory_used_bytes', [still(901), still(901)], { others: maximum }),
    quiet: { [on('redis_memory_used_bytes', NODE)]: still(901), [on('redis_memory_max_bytes', NODE)]: still(0) },
  },
  node('RedisMemoryUnlimited', 'redis_memory_max_bytes', [still(0), still(1)]),
  node('RedisOutOfMemory', 'redis_errors_total', [grows(1), still(7)], { labels: { err: 'OOM' } }),
  node('RedisMemoryFragmentation', 'redis_mem_fragmentation_ratio', [still(1.6), still(1.4)], {
    others: { [on('redis_memory_used_bytes', NODE)]: still(2 ** 29) },
  }),
  {
    alert: 'RedisMemoryFragmentation',
    raised: {
      [on('redis_mem_fragmentation_ratio', NODE)]: still(9),
      [on('redis_memory_used_bytes', NODE)]: still(2 ** 29),
    },
    labels: { instance: NODE },
    // A node that holds next to nothing.
    quiet: {
      [on('redis_mem_fragmentation_ratio', NODE)]: still(9),
      [on('redis_memory_used_bytes', NODE)]: still(2 ** 21),
    },
  },
  node('RedisEvictions', 'redis_evicted_keys_total', [grows(6_060), grows(5_940)]),
  node('RedisRejectedConnections', 'redis_rejected_connections_total', [grows(1), still(9)]),
  node('RedisConnectionsNearLimit', 'redis_connected_clients', [still(81), still(80)], {
    others: { [on('redis_config_maxclients', NODE)]: still(100) },
  }),
  node('RedisClientOutputBuffers', 'redis_client_recent_max_output_buffer_bytes', [still(2 ** 27), still(2 ** 20)]),
  node('RedisClientMemory', 'redis_mem_clients_normal', [still(150), still(100)], {
    others: { ...maximum, [on('redis_mem_clients_slaves', NODE)]: still(60) },
  }),
  node('RedisSlowlogGrowing', 'redis_slowlog_last_id', [grows(11), grows(9)]),
];

const REPLICATION: readonly AlertCase[] = [
  node('RedisReplicationBroken', 'redis_master_link_up', [still(0), still(1)], {
    labels: { master_host: '10.0.0.2', master_port: '6379' },
  }),
  {
    alert: 'RedisReplicationLag',
    raised: { [on('redis_connected_slave_lag_seconds', NODE, replica)]: still(11) },
    labels: { instance: NODE, slave_ip: '10.0.0.2', slave_port: '6379', slave_state: 'online' },
    quiet: { [on('redis_connected_slave_lag_seconds', NODE, replica)]: still(9) },
  },
  {
    alert: 'RedisReplicationBacklogTooSmall',
    raised: {
      [on('redis_connected_slave_offset_bytes', NODE, replica)]: still(5_000),
      [on('redis_master_repl_offset', NODE)]: still(10_000),
      [on('redis_replication_backlog_bytes', NODE)]: still(4_000),
    },
    labels: { instance: NODE, slave_ip: '10.0.0.2', slave_port: '6379', slave_state: 'online' },
    quiet: {
      [on('redis_connected_slave_offset_bytes', NODE, replica)]: still(9_000),
      [on('redis_master_repl_offset', NODE)]: still(10_000),
      [on('redis_replication_backlog_bytes', NODE)]: still(4_000),
    },
  },
  {
    alert: 'RedisReplicasMissing',
    raised: {
      [on('redis_connected_slaves', NODE)]: still(0),
      [on('redis_instance_info', NODE, ',role="master"')]: still(1),
    },
    labels: { instance: NODE },
    // A replica has none, and needs none.
    quiet: {
      [on('redis_connected_slaves', NODE)]: still(0),
      [on('redis_instance_info', NODE, ',role="slave"')]: still(1),
    },
  },
];

const PERSISTENCE: readonly AlertCase[] = [
  node('RedisAofWriteFailed', 'redis_aof_last_write_status', [still(0), still(1)]),
  node('RedisAofRewriteFailed', 'redis_aof_last_bgrewrite_status', [still(0), still(1)]),
  node('RedisAofFsyncDelayed', 'redis_aof_delayed_fsync', [grows(2), '0+1x9 9x2000']),
  node('RedisSnapshotFailed', 'redis_rdb_last_bgsave_status', [still(0), still(1)]),
  node('RedisForkSlow', 'redis_latest_fork_seconds', [still(1.5), still(0.5)]),
];

const PROXIES: readonly AlertCase[] = [
  proxy('ProxyDown', 'up', [still(0), still(1)], { labels: { job: 'redisforge-proxy' } }),
  proxy('ProxyNotReady', 'envoy_server_live', [still(0), still(1)]),
  proxy('ProxyNoWorkers', 'envoy_server_concurrency', [still(0), still(1)]),
  proxy('ProxyWorkerRestarts', 'envoy_server_worker_restarts', [grows(1), still(5)]),
  {
    alert: 'ProxyUpstreamFailures',
    raised: { [rq(5)]: grows(2), [rq(2)]: grows(98) },
    labels: { instance: PROXY, envoy_cluster_name: 'main' },
    quiet: { [rq(5)]: grows(1), [rq(2)]: grows(199) },
  },
  {
    alert: 'ProxyErrorReplies',
    raised: { [rq(4)]: grows(11), [rq(2)]: grows(89) },
    labels: { instance: PROXY, envoy_cluster_name: 'main' },
    quiet: { [rq(4)]: grows(9), [rq(2)]: grows(91) },
  },
  proxy('ProxyUpstreamTimeouts', 'envoy_cluster_upstream_rq_timeout', [grows(12), grows(3)], upstream),
  proxy('ProxyConnectFailures', 'envoy_cluster_upstream_cx_connect_fail', [grows(6), grows(1)], upstream),
  proxy('ProxyUpstreamLoginRefused', 'envoy_cluster_upstream_auth_refused', [grows(1), still(3)], upstream),
  {
    alert: 'ProxyTopologyUnknown',
    raised: {
      [on('envoy_cluster_update_failure', PROXY, ',envoy_cluster_name="main"')]: grows(1),
      [on('envoy_cluster_update_success', PROXY, ',envoy_cluster_name="main"')]: still(10),
    },
    labels: { instance: PROXY, envoy_cluster_name: 'main' },
    // One node of several does not answer.
    quiet: {
      [on('envoy_cluster_update_failure', PROXY, ',envoy_cluster_name="main"')]: grows(1),
      [on('envoy_cluster_update_success', PROXY, ',envoy_cluster_name="main"')]: grows(5),
    },
  },
  proxy('ProxyMembersUnhealthy', 'envoy_cluster_membership_healthy', [still(5), still(6)], {
    ...upstream,
    others: { [on('envoy_cluster_membership_total', PROXY, ',envoy_cluster_name="main"')]: still(6) },
  }),
  {
    ...proxy('ProxyRejectsClients', 'envoy_redis_downstream_cx_overflow', [grows(5), still(5)], {
      ...client,
      others: Object.fromEntries(
        ['cx_rate_limited', 'cx_overload_reject', 'rq_overload_reject'].map((name) => [
          on(`envoy_redis_downstream_${name}`, PROXY, ',envoy_redis_prefix="egress_redis"'),
          still(0),
        ]),
      ),
    }),
  },
  proxy('ProxyProtocolErrors', 'envoy_redis_downstream_cx_protocol_error', [grows(7), grows(5)], client),
  proxy('ProxyLoginFailures', 'envoy_redis_downstream_auth_failure', [grows(61), grows(59)], client),
  {
    alert: 'ProxyLatencyHigh',
    raised: latency(2),
    labels: { instance: PROXY },
    quiet: latency(0.5),
  },
  {
    alert: 'ProxyCircuitBreakerOpen',
    raised: breakers(1),
    labels: { instance: PROXY, envoy_cluster_name: 'main' },
    quiet: breakers(0),
  },
  proxy('ProxyMemoryPressure', 'envoy_overload_envoy_resource_monitors_fixed_heap_pressure', [still(91), still(90)]),
  proxy('ProxyCertificateExpires', 'envoy_server_seconds_until_first_cert_expiring', [
    still(6 * 86_400),
    still(8 * 86_400),
  ]),
  proxy('ProxyCertificateRejected', 'envoy_server_ssl_context_update_rejected', [grows(1), still(1)]),
  proxy('ProxyFaultsInjected', 'envoy_redis_faults_active', [still(1), still(0)], client),
];

/** 1,000 commands a minute, of which so many per cent take between 50 and 100 ms. */
function latency(percent: number): Record<string, string> {
  const bucket = (le: string) =>
    on('envoy_redis_downstream_rq_time_bucket', PROXY, `,envoy_redis_prefix="egress_redis",le="${le}"`);
  const quick = 1_000 - percent * 10;
  return {
    [bucket('1')]: grows(quick),
    [bucket('50')]: grows(quick),
    [bucket('100')]: grows(1_000),
    [bucket('+Inf')]: grows(1_000),
  };
}

function breakers(open: number): Record<string, string> {
  const names = ['cx_open', 'rq_open', 'rq_pending_open', 'rq_retry_open'];
  return Object.fromEntries(
    names.map((name, index) => [
      on(`envoy_cluster_circuit_breakers_default_${name}`, PROXY, ',envoy_cluster_name="main"'),
      still(index === 2 ? open : 0),
    ]),
  );
}

// promtool's clock begins at 0.
const AN_HOUR_AND_A_HALF_S = 90 * 60;
const backup = `redisforge_backup_last_success_timestamp_seconds{redis_cluster="orders",instance="${HOST}"}`;
const exitCode = `redisforge_backup_last_exit_code{redis_cluster="orders",instance="${HOST}"}`;
const certificate = `redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="ca",instance="${HOST}"}`;

const UPKEEP: readonly AlertCase[] = [
  {
    alert: 'BackupTooOld',
    raised: { [backup]: still(AN_HOUR_AND_A_HALF_S - 27 * 3_600) },
    labels: { redis_cluster: 'orders' },
    quiet: { [backup]: still(AN_HOUR_AND_A_HALF_S - 25 * 3_600) },
  },
  {
    alert: 'BackupFails',
    raised: { [exitCode]: still(4) },
    labels: { redis_cluster: 'orders' },
    quiet: { [exitCode]: still(0) },
  },
  {
    alert: 'BackupNever',
    raised: {},
    labels: { redis_cluster: 'orders' },
    quiet: { [backup]: still(0) },
    minutes: 1_500,
  },
  {
    alert: 'CertificateExpiresSoon',
    raised: { [certificate]: still(AN_HOUR_AND_A_HALF_S + 13 * 86_400) },
    labels: { redis_cluster: 'orders', certificate: 'ca' },
    quiet: { [certificate]: still(AN_HOUR_AND_A_HALF_S + 15 * 86_400) },
  },
  {
    alert: 'CertificateExpiresNow',
    raised: { [certificate]: still(AN_HOUR_AND_A_HALF_S + 2 * 86_400) },
    labels: { redis_cluster: 'orders', certificate: 'ca' },
    quiet: { [certificate]: still(AN_HOUR_AND_A_HALF_S + 4 * 86_400) },
  },
];

const HOSTS: readonly AlertCase[] = [
  host('HostDiskAlmostFull', 'node_filesystem_avail_bytes', [still(14), still(16)], {
    labels: disk,
    others: size(100),
  }),
  host('HostDiskFull', 'node_filesystem_avail_bytes', [still(4), still(6)], { labels: disk, others: size(100) }),
  host('HostDiskFillsSoon', 'node_filesystem_avail_bytes', ['5000-8x600', still(4_000)], {
    labels: disk,
    others: size(10_000),
    minutes: 500,
  }),
  host('HostInodesLow', 'node_filesystem_files_free', [still(4), still(6)], {
    labels: disk,
    others: { [on('node_filesystem_files', HOST, fields(disk))]: still(100) },
  }),
  host('HostMemoryLow', 'node_memory_MemAvailable_bytes', [still(9), still(11)], {
    others: { [on('node_memory_MemTotal_bytes', HOST)]: still(100) },
  }),
  host('HostOutOfMemory', 'node_vmstat_oom_kill', [grows(1), still(4)]),
  host('HostSwapping', 'node_vmstat_pswpin', [grows(700), grows(300)], {
    others: { [on('node_vmstat_pswpout', HOST)]: still(0) },
  }),
  host('HostLoadHigh', 'node_load5', [still(5), still(3.9)], {
    others: {
      [on('node_cpu_seconds_total', HOST, ',cpu="0",mode="idle"')]: grows(1),
      [on('node_cpu_seconds_total', HOST, ',cpu="1",mode="idle"')]: grows(1),
    },
  }),
  host('HostDiskBusy', 'node_disk_io_time_seconds_total', [grows(59), grows(50)], { labels: { device: 'vda' } }),
  host('HostClockSkew', 'node_timex_offset_seconds', [still(0.06), still(-0.04)]),
  host('HostClockNotSynchronised', 'node_timex_sync_status', [still(0), still(1)]),
  host('HostFileDescriptors', 'node_filefd_allocated', [still(81), still(79)], {
    others: { [on('node_filefd_maximum', HOST)]: still(100) },
  }),
  host('HostConnectionsDropped', 'node_netstat_TcpExt_ListenOverflows', [grows(70), grows(50)]),
];

const plain = (metric: string, labels = '') => `${metric}{${labels}}`;
const RULES = 'rule_group="redisforge-orders-redis"';

const MONITORING: readonly AlertCase[] = [
  {
    alert: 'RedisExporterDown',
    raised: { [on('up', HOST, ',job="redisforge-redis-exporter"')]: still(0) },
    labels: { instance: HOST, job: 'redisforge-redis-exporter' },
    quiet: { [on('up', HOST, ',job="redisforge-redis-exporter"')]: still(1) },
  },
  node('RedisScrapeIncomplete', 'redis_exporter_last_scrape_error', [still(1), still(0)], {
    labels: { err: 'NOPERM' },
    others: { [on('redis_up', NODE)]: still(1) },
  }),
  {
    alert: 'NodeExporterDown',
    raised: { [on('up', HOST, ',job="redisforge-node"')]: still(0) },
    labels: { instance: HOST, job: 'redisforge-node' },
    quiet: { [on('up', HOST, ',job="redisforge-node"')]: still(1) },
  },
  host('NodeTextfileUnreadable', 'node_textfile_scrape_error', [still(1), still(0)]),
  {
    alert: 'PrometheusRuleFailures',
    raised: { [plain('prometheus_rule_evaluation_failures_total', RULES)]: grows(1) },
    labels: { rule_group: 'redisforge-orders-redis' },
    quiet: { [plain('prometheus_rule_evaluation_failures_total', RULES)]: still(1) },
  },
  {
    alert: 'PrometheusDiscoveryFailed',
    raised: { [plain('prometheus_sd_file_read_errors_total')]: grows(1) },
    labels: {},
    quiet: { [plain('prometheus_sd_file_read_errors_total')]: still(1) },
  },
  {
    alert: 'PrometheusAlertmanagerMissing',
    raised: { [plain('prometheus_notifications_alertmanagers_discovered')]: still(0) },
    labels: {},
    quiet: { [plain('prometheus_notifications_alertmanagers_discovered')]: still(1) },
  },
  {
    alert: 'PrometheusNotificationsFail',
    raised: { [plain('prometheus_notifications_errors_total', 'alertmanager="http://a"')]: grows(1) },
    labels: { alertmanager: 'http://a' },
    quiet: { [plain('prometheus_notifications_errors_total', 'alertmanager="http://a"')]: still(1) },
  },
  {
    alert: 'AlertmanagerNotificationsFail',
    raised: { [plain('alertmanager_notifications_failed_total', 'integration="slack"')]: grows(1) },
    labels: { integration: 'slack' },
    quiet: { [plain('alertmanager_notifications_failed_total', 'integration="slack"')]: still(1) },
  },
];

/** Every alert has at least one; the watchdog, which is always raised, has none. */
export const ALERT_CASES: readonly AlertCase[] = [
  ...REDIS,
  ...REPLICATION,
  ...PERSISTENCE,
  ...PROXIES,
  ...UPKEEP,
  ...HOSTS,
  ...MONITORING,
];

import { HISTOGRAM_LENGTH } from './observe/histogram.js';

/**
 * Counters of one worker, in a typed array that the main thread can read while the worker writes. Names are Envoy's
 * (https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/redis_proxy_filter#statistics)
 * where it has one. Bytes are bytes; everything else is a count. Histograms of times stand behind them.
 */
const DOWNSTREAM = [
  'downstream_cx_active',
  'downstream_cx_total',
  'downstream_cx_protocol_error',
  'downstream_cx_rx_bytes_total',
  'downstream_cx_tx_bytes_total',
  'downstream_cx_overflow_close',
  'downstream_cx_slow_close',
  'downstream_cx_monitor_close',
  'downstream_cx_output_buffer_close',
  'downstream_cx_overflow',
  'downstream_cx_address_overflow',
  'downstream_cx_user_overflow',
  'downstream_cx_rate_limited',
  'downstream_cx_overload_reject',
  'downstream_cx_idle_timeout',
  'downstream_cx_auth_timeout',
  'downstream_monitor_dropped',
  'downstream_rq_active',
  'downstream_rq_total',
  'downstream_rq_too_large',
  'downstream_rq_timeout',
  'downstream_rq_pipeline_full',
  'downstream_rq_rate_limited',
  'downstream_rq_bytes_rate_limited',
  'downstream_rq_overload_reject',
  'downstream_rq_slow',
  'downstream_auth_failure',
  'downstream_cx_tls_on_plain_port',
  'downstream_cx_taken_over_total',
  'downstream_ssl_handshake',
  'downstream_ssl_connection_error',
  'downstream_ssl_fail_verify_no_cert',
  'downstream_ssl_fail_verify_error',
  'downstream_acl_denied_cmd',
  'downstream_acl_denied_key',
  'downstream_acl_denied_channel',
  'upstream_user_active',
  'upstream_user_total',
  'upstream_user_overflow',
  'upstream_user_revoked',
  'upstream_auth_check_total',
  'upstream_auth_check_failure',
  'downstream_pubsub_subscriptions_active',
  'downstream_pubsub_messages_total',
  'downstream_pubsub_slow_close',
  'downstream_pubsub_changes_total',
  'splitter_invalid_request',
  'splitter_unsupported_command',
] as const;

const UPSTREAM = [
  'upstream_cx_active',
  'upstream_cx_total',
  'upstream_cx_connect_fail',
  'upstream_cx_connect_timeout',
  'upstream_cx_destroy_with_active_rq',
  'upstream_cx_protocol_error',
  'upstream_cx_rx_bytes_total',
  'upstream_cx_tx_bytes_total',
  'upstream_cx_drained',
  'upstream_auth_refused',
  'connection_rate_limited',
  'max_upstream_unknown_connections_reached',
  'upstream_cx_dedicated_active',
  'upstream_cx_dedicated_total',
  'upstream_cx_dedicated_overflow',
  'upstream_rq_total',
  'upstream_rq_active',
  'upstream_rq_timeout',
  'upstream_rq_retry',
  'upstream_rq_pending_overflow',
  'upstream_rq_pending_active',
  'upstream_rq_moved',
  'upstream_rq_ask',
  'upstream_rq_tryagain',
  'upstream_rq_error',
  'upstream_rq_failure',
  'upstream_pubsub_subscriptions_active',
  'upstream_pubsub_messages_total',
  'upstream_pubsub_resubscribe',
  'upstream_rq_mirror',
  'upstream_rq_mirror_dropped',
  'upstream_rq_script_reload',
  'upstream_ssl_handshake',
  'upstream_ssl_connection_error',
  'upstream_ssl_fail_verify_error',
  'upstream_rq_retry_overflow',
  'upstream_cx_overflow',
  'circuit_breakers_cx_open',
  'circuit_breakers_rq_pending_open',
  'circuit_breakers_rq_open',
  'circuit_breakers_rq_retry_open',
] as const;

export const COUNTER_NAMES = [...DOWNSTREAM, ...UPSTREAM] as const;
export type CounterName = (typeof COUNTER_NAMES)[number];

/** Counter name → its index in a worker's array. */
export const Counter = Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, index])) as Record<
  CounterName,
  number
>;

/** Counters of the downstream side; the rest belongs to the upstream cluster. */
export const DOWNSTREAM_COUNTERS: readonly CounterName[] = DOWNSTREAM;
export const UPSTREAM_COUNTERS: readonly CounterName[] = UPSTREAM;

/** Counters that go down again. */
export const GAUGES: ReadonlySet<CounterName> = new Set<CounterName>([
  'upstream_user_active',
  'downstream_pubsub_subscriptions_active',
  'upstream_pubsub_subscriptions_active',
  'downstream_cx_active',
  'downstream_rq_active',
  'upstream_cx_active',
  'upstream_user_active',
  'upstream_cx_dedicated_active',
  'upstream_rq_active',
  'upstream_rq_pending_active',
  'circuit_breakers_cx_open',
  'circuit_breakers_rq_pending_open',
  'circuit_breakers_rq_open',
  'circuit_breakers_rq_retry_open',
]);

/** Per command: `total`, `error`, `error_fault`, `delay_fault`; `success` is what is left. */
export const COMMAND_STATS = 4;

/** Commands that modules bring and that are learned from the upstream; those above are not counted one by one. */
export const LEARNED_COMMANDS_MAX = 1024;

/**
 * One worker's numbers: the counters (those of the first cluster among them), the commands' counters, the time of all
 * commands together, the time of each command, and then for each cluster its counters and its time. What is never
 * written takes no memory. `commands` is the length of the generated table.
 */
function timesStart(commands: number): number {
  return COUNTER_NAMES.length + (commands + LEARNED_COMMANDS_MAX) * COMMAND_STATS;
}

const CLUSTER_NUMBERS = UPSTREAM.length + HISTOGRAM_LENGTH;

function clusterStart(commands: number, cluster: number): number {
  return commandTimesAt(commands, commands + LEARNED_COMMANDS_MAX) + cluster * CLUSTER_NUMBERS;
}

/** Numbers in one worker's array, for so many upstream clusters. */
export function statsLength(commands: number, clusters = 1): number {
  return clusterStart(commands, clusters);
}

/** What to add to the index of an upstream counter for the cluster with that number; 0 for the first. */
export function clusterStatsOffset(commands: number, cluster: number): number {
  if (cluster === 0) return 0;
  return clusterStart(commands, cluster) - DOWNSTREAM.length;
}

/** Where the histogram of a cluster's upstream time begins. */
export function upstreamTimesAt(commands: number, cluster: number): number {
  return clusterStart(commands, cluster) + UPSTREAM.length;
}

/** Where the histogram of the downstream time begins: of commands that are not counted one by one. */
export function downstreamTimesAt(commands: number): number {
  return timesStart(commands);
}

/** Where the histogram of one command's downstream time begins. */
export function commandTimesAt(commands: number, id: number): number {
  return timesStart(commands) + (1 + id) * HISTOGRAM_LENGTH;
}

/** Index of a command's `total`; the others follow. */
export function commandStatAt(id: number): number {
  return COUNTER_NAMES.length + id * COMMAND_STATS;
}

import packageJson from '../../../package.json' with { type: 'json' };
import { routeTable } from '../config/routes.js';
import type { ClusterConfig, ProxyConfig } from '../config/schema.js';
import type { UpstreamAuthSettings } from '../engine/access/settings-upstream.js';
import type { Limits } from '../engine/core/limits.js';
import type { WorkerSettings } from '../engine/core/settings.js';
import type { BreakerSettings } from '../engine/health/breakers.js';
import type { ObserveSettings } from '../engine/observe/settings.js';
import { admissionSettings, clientLimits } from './admission-settings.js';
import { faultsOf } from './faults.js';
import type { ClusterStart, ListenerTls } from './messages.js';
import { recordedBy } from './recording/settings.js';
import type { Secrets } from './secrets.js';
import { usersOf } from './users.js';

/** What the workers are told about their listener. */
export function workerSettings(
  config: ProxyConfig,
  secrets: Secrets,
  port: number,
  numbers: readonly number[],
): Omit<WorkerSettings, 'worker' | 'workers'> {
  const [listener] = config.listeners;
  return {
    access: usersOf(config, secrets),
    upstreamAuth: upstreamAuth(config),
    admission: admissionSettings(config),
    adminCommands: listener.admin_commands,
    version: packageJson.version,
    listenPort: port,
    processId: process.pid,
    observe: observed(config),
    faults: faultsOf(config),
    trace: recordedBy(config),
    routes: routeTable(listener, config.clusters, numbers),
  };
}

/** How long a client may take for TLS's handshake, when the configuration does not say. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** How the workers speak TLS with clients. */
export function listenerTls({ listeners: [listener] }: ProxyConfig, { tls }: Secrets): ListenerTls {
  return {
    downstream: tls.downstream,
    handshakeTimeoutMs: listener.transport_socket_connect_timeout ?? HANDSHAKE_TIMEOUT_MS,
  };
}

/** How Redis's users are users of the proxy; null: they are not. */
function upstreamAuth({ listeners: [{ upstream_auth: settings }] }: ProxyConfig): UpstreamAuthSettings | null {
  if (settings === undefined) return null;
  return { checkIntervalMs: settings.check_interval, usersMax: settings.max_upstream_users };
}

/** What the workers keep an eye on. */
function observed({ statistics }: ProxyConfig): ObserveSettings {
  return {
    commandTimes: statistics.enable_command_stats,
    slowerThanMicros: statistics.slowlog_log_slower_than,
    slowMax: statistics.slowlog_max_len,
    hotKeySamples: statistics.hot_key_samples_per_second,
    hotKeysWindowMs: statistics.hot_key_window,
    bigValueBytes: statistics.big_value_bytes,
  };
}

/** The bounds that the configuration sets. */
export function workerLimits(config: ProxyConfig): Partial<Limits> {
  const [listener] = config.listeners;
  return {
    ...clientLimits(config),
    pubsubOutputBytesMax: listener.pubsub_output_buffer_limit,
    monitorOutputBytesMax: listener.monitor_output_buffer_limit,
  };
}

function breakers({ circuit_breakers }: ClusterConfig): BreakerSettings {
  const [threshold = {}] = circuit_breakers?.thresholds ?? [];
  return {
    maxConnections: threshold.max_connections,
    maxPendingRequests: threshold.max_pending_requests,
    maxPendingBytes: threshold.max_pending_bytes,
    maxRequests: threshold.max_requests,
    maxRetries: threshold.max_retries,
  };
}

/**
 * What the workers are told about the upstream clusters.
 * @param places of each, in the order of the configuration
 */
export function clusterStarts(
  config: ProxyConfig,
  secrets: Secrets,
  places: readonly Pick<ClusterStart, 'number' | 'serial' | 'slotMap'>[],
): ClusterStart[] {
  return config.clusters.map((cluster, index) => ({
    ...(places[index] as (typeof places)[number]),
    settings: {
      name: cluster.name,
      opTimeoutMs: cluster.settings.op_timeout,
      connectTimeoutMs: cluster.connect_timeout,
      upstreamUsername: cluster.auth_username ?? '',
      upstreamPassword: secrets.upstreamPasswords[index] as string,
      upstreamPreviousPassword: secrets.previous?.upstream[index],
      connectRatePerSecond: cluster.settings.connection_rate_limit.connection_rate_limit_per_sec,
      unknownMax: cluster.settings.max_upstream_unknown_connections,
      readPolicy: cluster.settings.read_policy,
      lagBound: cluster.settings.max_replica_lag_bytes !== undefined,
      dedicatedMax: cluster.settings.max_dedicated_connections,
      breakers: breakers(cluster),
      outlierDetection: cluster.outlier_detection !== undefined,
    },
    sharded: cluster.type === 'sharded',
    tls: secrets.tls.upstream[index] ?? null,
  }));
}

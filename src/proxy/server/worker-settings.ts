import packageJson from '../../../package.json' with { type: 'json' };
import { routeTable } from '../config/routes.js';
import type { ProxyConfig } from '../config/schema.js';
import type { Limits } from '../engine/core/limits.js';
import type { WorkerSettings } from '../engine/core/settings.js';
import type { ClusterStart } from './messages.js';
import type { Secrets } from './secrets.js';

/** What the workers are told about their listener. */
export function workerSettings(
  config: ProxyConfig,
  secrets: Secrets,
  port: number,
  numbers: readonly number[],
): Omit<WorkerSettings, 'worker' | 'workers'> {
  const [listener] = config.listeners;
  return {
    authRequired: secrets.downstreamPasswords.length > 0,
    authUsername: listener.downstream_auth_username ?? 'default',
    authPasswords: secrets.downstreamPasswords,
    adminCommands: listener.admin_commands,
    version: packageJson.version,
    listenPort: port,
    processId: process.pid,
    routes: routeTable(listener, config.clusters, numbers),
  };
}

/** The bounds that the configuration sets. */
export function workerLimits({ listeners: [listener] }: ProxyConfig): Partial<Limits> {
  return {
    pubsubOutputBytesMax: listener.pubsub_output_buffer_limit,
    monitorOutputBytesMax: listener.monitor_output_buffer_limit,
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
      connectRatePerSecond: cluster.settings.connection_rate_limit.connection_rate_limit_per_sec,
      unknownMax: cluster.settings.max_upstream_unknown_connections,
      readPolicy: cluster.settings.read_policy,
      lagBound: cluster.settings.max_replica_lag_bytes !== undefined,
      dedicatedMax: cluster.settings.max_dedicated_connections,
    },
    sharded: cluster.type === 'sharded',
  }));
}

import packageJson from '../../../package.json' with { type: 'json' };
import { routeTable } from '../config/routes.js';
import type { ProxyConfig } from '../config/schema.js';
import type { Limits } from '../engine/core/limits.js';
import type { WorkerSettings } from '../engine/core/settings.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { HOST_SLOTS } from '../engine/routing/host-table.js';
import type { ClusterStart } from './messages.js';
import type { Secrets } from './secrets.js';

/** What the workers are told about their listener. */
export function workerSettings(
  config: ProxyConfig,
  secrets: Secrets,
  port: number,
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
    routes: routeTable(listener, config.clusters),
  };
}

/** The bounds that the configuration sets. */
export function workerLimits({ listeners: [listener] }: ProxyConfig): Partial<Limits> {
  return {
    pubsubOutputBytesMax: listener.pubsub_output_buffer_limit,
    monitorOutputBytesMax: listener.monitor_output_buffer_limit,
  };
}

/** What the workers are told about the upstream clusters, with a slot map for each. */
export function clusterStarts(config: ProxyConfig, secrets: Secrets): ClusterStart[] {
  return config.clusters.map((cluster, index) => ({
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
    slotMap: cluster.type === 'sharded' ? SlotMap.create(HOST_SLOTS) : SlotMap.create(),
  }));
}

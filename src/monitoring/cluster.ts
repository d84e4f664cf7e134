/** What is watched of a cluster: its nodes, the hosts they are on, its proxies, and when to raise an alert. Pure. */
import { formatAddress } from '../cluster/address.js';
import type { ForgeCluster } from '../config/forge-file.js';
import type { AlertmanagerVersion, Thresholds } from '../config/monitoring-schema.js';

/** Ports that the exporters listen on where forge.yaml says nothing: their own. */
export const REDIS_EXPORTER_PORT = 9121;
export const NODE_EXPORTER_PORT = 9100;
const PROXY_ADMIN_PORT = 9901;
const SCRAPE_INTERVAL_MS = 15_000;
const ALERTMANAGER = '127.0.0.1:9093';
/** Where runbooks are when forge.yaml names no place: in this repository. */
const RUNBOOKS = 'docs/alerts.md';

export const DEFAULT_THRESHOLDS: Required<Thresholds> = {
  memory_percent: 90,
  replication_lag: 10_000,
  evictions_per_second: 100,
  slowlog_per_minute: 10,
  proxy_failure_percent: 1,
  proxy_p99_ms: 50,
  backup_age: 26 * 3_600_000,
  certificate_days: 14,
  disk_percent: 85,
};

/** What alerts are raised by; durations in milliseconds. */
export type AlertThresholds = Required<Thresholds>;

export interface MonitoredNode {
  readonly host: string;
  readonly port: number;
  readonly zone?: string;
  /** Where the exporter is that asks it. */
  readonly exporterHost: string;
}

export interface MonitoredHost {
  /** Address or host name, without a port. */
  readonly address: string;
  readonly zone?: string;
}

export interface MonitoredCluster {
  readonly name: string;
  readonly nodes: readonly MonitoredNode[];
  /** Hosts of nodes, each once, in the order of the nodes; then further ones. */
  readonly hosts: readonly MonitoredHost[];
  /** Admin addresses of proxies. */
  readonly proxies: readonly { readonly host: string; readonly port: number }[];
  /** Undefined: there is none, and nothing of it is scraped. */
  readonly redisExporterPort?: number;
  readonly nodeExporterPort?: number;
  /** Nodes speak TLS. */
  readonly tls: boolean;
  /** How many replicas each master is to have; 0: nobody misses one. */
  readonly replicasPerMaster: number;
  /** Backups are taken, so that one that never came is missed. */
  readonly backup: boolean;
  readonly scrapeIntervalMs: number;
  /** `host:port`. */
  readonly alertmanagers: readonly string[];
  readonly alertmanagerVersion: AlertmanagerVersion;
  /** What an alert's anchor is put behind. */
  readonly runbooks: string;
  readonly thresholds: AlertThresholds;
}

/** What forge.yaml says of a cluster, with the defaults of what it leaves open. */
export function monitoredCluster(cluster: ForgeCluster): MonitoredCluster {
  const { monitoring = {}, nodes, hosts = {} } = cluster;
  const watched = nodes.map((node): MonitoredNode => {
    const exporterHost = hosts[node.docker_host ?? node.host]?.address ?? node.host;
    return { host: node.host, port: node.port, ...(node.zone === undefined ? {} : { zone: node.zone }), exporterHost };
  });
  const redisExporter = monitoring.redis_exporter ?? {};
  const nodeExporter = monitoring.node_exporter ?? {};
  return {
    name: cluster.name,
    nodes: watched,
    hosts: hostsOf(watched, monitoring.hosts ?? []),
    proxies: proxiesOf(cluster),
    ...(redisExporter === false ? {} : { redisExporterPort: redisExporter.port ?? REDIS_EXPORTER_PORT }),
    ...(nodeExporter === false ? {} : { nodeExporterPort: nodeExporter.port ?? NODE_EXPORTER_PORT }),
    tls: cluster.tls !== undefined || (cluster.redis?.tls !== undefined && cluster.redis.tls !== false),
    replicasPerMaster: replicasOf(cluster),
    backup: cluster.backup !== undefined,
    scrapeIntervalMs: monitoring.scrape_interval ?? SCRAPE_INTERVAL_MS,
    alertmanagers: alertmanagersOf(cluster),
    alertmanagerVersion: monitoring.alertmanager_version ?? '0.28',
    runbooks: monitoring.runbooks ?? RUNBOOKS,
    thresholds: { ...DEFAULT_THRESHOLDS, ...monitoring.thresholds },
  };
}

function hostsOf(nodes: readonly MonitoredNode[], further: readonly string[]): MonitoredHost[] {
  const found = new Map<string, MonitoredHost>();
  for (const { exporterHost, zone } of nodes) {
    if (!found.has(exporterHost)) found.set(exporterHost, { address: exporterHost, ...(zone ? { zone } : {}) });
  }
  for (const address of further) if (!found.has(address)) found.set(address, { address });
  return [...found.values()];
}

/** Those that are named; else one on each host that a proxy is deployed on; else the one that `proxy.admin` names. */
function proxiesOf({ monitoring, proxy, hosts = {} }: ForgeCluster): MonitoredCluster['proxies'] {
  if (monitoring?.proxies !== undefined) return monitoring.proxies;
  const port = proxy?.admin_port ?? proxy?.admin?.port ?? PROXY_ADMIN_PORT;
  if (proxy?.hosts !== undefined) return proxy.hosts.map((name) => ({ host: hosts[name]?.address ?? name, port }));
  return proxy?.admin === undefined ? [] : [proxy.admin];
}

/** As it is said; else what the roles of the nodes come to; else 0. */
function replicasOf({ replicas_per_master: said, nodes }: ForgeCluster): number {
  if (said !== undefined) return said;
  const replicas = nodes.filter(({ role }) => role === 'replica').length;
  const masters = nodes.filter(({ role }) => role === 'master').length;
  return masters === 0 ? 0 : Math.floor(replicas / masters);
}

function alertmanagersOf({ monitoring, hosts = {} }: ForgeCluster): string[] {
  if (monitoring?.alertmanagers !== undefined) return monitoring.alertmanagers.map((each) => formatAddress(each));
  const own = monitoring?.alertmanager;
  if (own?.host === undefined) return [ALERTMANAGER];
  return [formatAddress({ host: hosts[own.host]?.address ?? own.host, port: own.port ?? 9093 })];
}

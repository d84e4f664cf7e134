/** Proxies and monitoring, as `forge deploy status` judges them. */
import type { DeploySettings } from '../config/deploy-settings.js';
import type { ForgeCluster } from '../config/forge-file.js';
import { MONITORING_ROLES } from './monitoring-container.js';
import { monitoringDeployment } from './monitoring-deployment.js';
import { proxyDeployment } from './proxy-deployment.js';
import type { StatusPart } from './status.js';

export interface PartsOptions {
  readonly settings: DeploySettings;
  readonly cluster?: ForgeCluster;
  /** Names of the hosts that are meant. */
  readonly hosts: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/** Settings of `proxy` that say how one is deployed; the others also say where one is that somebody else runs. */
const PROXY_SETTINGS = ['hosts', 'replicas', 'image', 'build', 'port', 'network', 'memory', 'cpus'] as const;

export function statusParts(options: PartsOptions): StatusPart[] {
  const { settings, cluster, environment, signal } = options;
  const { proxy, monitoring } = settings;
  const common = { settings, environment, ...(signal === undefined ? {} : { signal }) };
  const ports: Readonly<Record<string, number | undefined>> = {
    'redis-exporter': monitoring.redisExporter.port,
    'node-exporter': monitoring.nodeExporter.port,
    prometheus: monitoring.prometheus?.port,
    alertmanager: monitoring.alertmanager?.port,
    grafana: monitoring.grafana?.port,
  };
  const proxyHosts = proxy.hosts.filter((host) => options.hosts.includes(host));
  return [
    {
      roles: new Set(['proxy']),
      expected: proxyHosts.length > 0 && wantsProxy(cluster),
      deployment: async () =>
        proxyHosts.length === 0 ? undefined : await proxyDeployment({ ...common, hosts: proxyHosts }),
      portsOf: () => [proxy.port, proxy.adminPort],
    },
    {
      roles: MONITORING_ROLES,
      expected: wantsMonitoring(cluster),
      deployment: () =>
        monitoringDeployment({ ...common, hosts: options.hosts, ...(cluster === undefined ? {} : { cluster }) }),
      portsOf: (role) => {
        const port = ports[role];
        return port === undefined ? [] : [port];
      },
    },
  ];
}

/** Whether forge.yaml says how a proxy is deployed. Pure. */
export function wantsProxy(cluster: Pick<ForgeCluster, 'proxy'> | undefined): boolean {
  return PROXY_SETTINGS.some((name) => cluster?.proxy?.[name] !== undefined);
}

/**
 * Whether forge.yaml says how monitoring is deployed: Prometheus, Grafana, or images of exporters. Ports and receivers are
 * there for `forge monitoring generate` too. Pure.
 */
export function wantsMonitoring(cluster: Pick<ForgeCluster, 'monitoring'> | undefined): boolean {
  const { prometheus, grafana, redis_exporter: redis, node_exporter: node } = cluster?.monitoring ?? {};
  const images = [redis, node].some((each) => each !== false && each?.image !== undefined);
  return prometheus !== undefined || grafana !== undefined || images;
}

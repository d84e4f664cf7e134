/** Prometheus's own configuration, and the files by which it learns what to scrape. Pure. */
import { formatAddress } from '../cluster/address.js';
import { formatDuration } from '../config/duration.js';
import type { MonitoredCluster } from './cluster.js';
import { yamlText } from './yaml.js';

/** The jobs; the bash suite had the first two, and `redisforge-envoy` in place of the third. */
export const JOBS = ['redis', 'node', 'proxy', 'redis-exporter'] as const;
export type Job = (typeof JOBS)[number];

const METRICS_PATHS: Partial<Record<Job, string>> = { redis: '/scrape', proxy: '/stats/prometheus' };
/** Prometheus reads changed files by itself; this is for a change that the system did not tell it of. */
const REFRESH = '1m';
/** What a scrape may take at most, whatever the interval: an exporter asks several nodes one after the other. */
const SCRAPE_TIMEOUT_MAX_MS = 10_000;

/** One group of targets, as Prometheus reads it from a file. */
export interface TargetGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** The name of the file of a job's targets: of one cluster, or the pattern of all. */
export function targetsFile(job: Job, cluster = '*'): string {
  return `${cluster}.${job}.json`;
}

/**
 * `prometheus.yml`. Names of files are relative to its folder. It is the same whatever the cluster's nodes are.
 * @param own Prometheus's own address, `host:port`
 */
export function prometheusConfig(
  cluster: Pick<MonitoredCluster, 'scrapeIntervalMs' | 'alertmanagers'>,
  own: string,
): string {
  const { scrapeIntervalMs, alertmanagers } = cluster;
  const interval = formatDuration(scrapeIntervalMs);
  return yamlText({
    global: {
      scrape_interval: interval,
      scrape_timeout: formatDuration(Math.min(SCRAPE_TIMEOUT_MAX_MS, scrapeIntervalMs)),
      evaluation_interval: interval,
    },
    rule_files: ['rules/*.yml'],
    alerting: { alertmanagers: [{ static_configs: [{ targets: alertmanagers }] }] },
    scrape_configs: [
      ...JOBS.map(scrapeJob),
      { job_name: 'prometheus', static_configs: [{ targets: [own] }] },
      { job_name: 'alertmanager', static_configs: [{ targets: alertmanagers }] },
    ],
  });
}

function scrapeJob(job: Job): object {
  const path = METRICS_PATHS[job];
  return {
    job_name: `redisforge-${job}`,
    ...(path === undefined ? {} : { metrics_path: path }),
    file_sd_configs: [{ files: [`targets/${targetsFile(job)}`], refresh_interval: REFRESH }],
  };
}

/**
 * What is scraped of a cluster. Every target carries `cluster`, and `host` and `zone` as far as they are known. A node is
 * asked through the exporter of its host, and is called by its own address all the same.
 */
export function targetGroups(cluster: MonitoredCluster): Record<Job, TargetGroup[]> {
  const { name, nodes, hosts, proxies, redisExporterPort, nodeExporterPort, tls } = cluster;
  const labels = (host: string, zone: string | undefined) => ({
    cluster: name,
    host,
    ...(zone === undefined ? {} : { zone }),
  });
  const onHosts = (port: number | undefined, chosen: MonitoredCluster['hosts']): TargetGroup[] =>
    port === undefined
      ? []
      : chosen.map(({ address, zone }) => ({
          targets: [formatAddress({ host: address, port })],
          labels: labels(address, zone),
        }));
  const ofNodes = new Set(nodes.map(({ exporterHost }) => exporterHost));
  const scheme = tls ? 'rediss' : 'redis';
  return {
    redis:
      redisExporterPort === undefined
        ? []
        : nodes.map(({ host, port, zone, exporterHost }) => ({
            targets: [formatAddress({ host: exporterHost, port: redisExporterPort })],
            labels: {
              ...labels(exporterHost, zone),
              instance: formatAddress({ host, port }),
              __param_target: `${scheme}://${formatAddress({ host, port })}`,
            },
          })),
    node: onHosts(nodeExporterPort, hosts),
    proxy: proxies.map((each) => ({ targets: [formatAddress(each)], labels: labels(each.host, undefined) })),
    'redis-exporter': onHosts(
      redisExporterPort,
      hosts.filter(({ address }) => ofNodes.has(address)),
    ),
  };
}

/** A file of targets. */
export function targetsText(groups: readonly TargetGroup[]): string {
  return `${JSON.stringify(groups, null, 2)}\n`;
}

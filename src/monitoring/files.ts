/** Every file of an own Prometheus, Alertmanager and Grafana, as text. Pure. */
import { alertmanagerConfig, type Receivers } from './alertmanager.js';
import type { MonitoredCluster } from './cluster.js';
import { DASHBOARD_UID, dashboardProvisioning, dashboardText, datasourceProvisioning } from './dashboard/grafana.js';
import { JOBS, prometheusConfig, targetGroups, targetsFile, targetsText } from './prometheus.js';
import { rulesFile } from './rules.js';
import { WRITTEN_BY } from './yaml.js';

export interface MonitoringFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly content: string;
  /** Where an existing file does not have it, somebody else wrote that one. Undefined: the name alone is ours. */
  readonly mark?: string;
}

/** What depends on where the programs run. */
export interface Places {
  /** Where Prometheus is: for Grafana, and for itself. */
  readonly prometheusUrl: string;
  /** Where Grafana reads dashboards; absolute. */
  readonly dashboards: string;
}

/**
 * The files, always in the same order. Those of a cluster carry its name; the others are the same for all clusters that
 * share settings, so that several may be watched from one folder.
 * @throws ForgeError `configuration` for a receiver that the chosen version of Alertmanager cannot take
 */
export function monitoringFiles(cluster: MonitoredCluster, receivers: Receivers, places: Places): MonitoringFile[] {
  const yaml = (path: string, content: string): MonitoringFile => ({ path, content, mark: WRITTEN_BY });
  const groups = targetGroups(cluster);
  return [
    yaml('prometheus/prometheus.yml', prometheusConfig(cluster, addressOf(places.prometheusUrl))),
    yaml(`prometheus/rules/${cluster.name}.yml`, rulesFile(cluster)),
    ...JOBS.map((job) => ({
      path: `prometheus/targets/${targetsFile(job, cluster.name)}`,
      content: targetsText(groups[job]),
    })),
    yaml('alertmanager/alertmanager.yml', alertmanagerConfig(receivers, cluster.alertmanagerVersion)),
    { path: 'grafana/dashboards/redisforge.json', content: dashboardText(), mark: `"uid": "${DASHBOARD_UID}"` },
    yaml('grafana/provisioning/datasources/redisforge.yml', datasourceProvisioning(places.prometheusUrl)),
    yaml('grafana/provisioning/dashboards/redisforge.yml', dashboardProvisioning(places.dashboards)),
  ];
}

/** `host:port` of an address: Prometheus scrapes itself as well. */
function addressOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

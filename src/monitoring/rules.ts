/** Alerts as a file of rules for Prometheus. Pure. */

import { ALERT_GROUPS, type Alert } from './alerts/alert.js';
import { alertsOf } from './alerts/index.js';
import type { MonitoredCluster } from './cluster.js';
import { yamlText } from './yaml.js';

/** An expression for one cluster: `$cluster` is its name, which needs no quoting (config/forge-file.ts). */
export function forCluster(expression: string, cluster: string): string {
  return expression.replaceAll('$cluster', () => cluster);
}

/** The file of rules of a cluster. Groups carry its name, so that several clusters can be watched by one Prometheus. */
export function rulesFile(cluster: MonitoredCluster): string {
  const alerts = alertsOf(cluster);
  const groups = ALERT_GROUPS.map((group) => ({
    name: `redisforge-${cluster.name}-${group}`,
    rules: alerts.filter((alert) => alert.group === group).map((alert) => rule(alert, cluster)),
  }));
  return yamlText({ groups: groups.filter(({ rules }) => rules.length > 0) });
}

function rule(alert: Alert, { name: cluster, runbooks }: MonitoredCluster): object {
  return {
    alert: alert.name,
    expr: forCluster(alert.expression, cluster),
    // Prometheus leaves it out as well: an alert without it is raised at once.
    ...(alert.lasting === '0s' ? {} : { for: alert.lasting }),
    labels: { severity: alert.severity, cluster },
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${runbooks}#${runbookAnchor(alert.name)}`,
    },
  };
}

/** The anchor of an alert's heading, as GitHub makes it. */
export function runbookAnchor(alert: string): string {
  return alert.toLowerCase();
}

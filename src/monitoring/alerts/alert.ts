/** One alert, as data. */
import type { MonitoredCluster } from '../cluster.js';

/**
 * - `critical`: somebody has to look now
 * - `warning`: somebody has to look today
 * - `info`: worth knowing; nobody is told unless they ask for it
 * - `none`: not an alert about something, but a sign of life
 */
export type Severity = 'critical' | 'warning' | 'info' | 'none';

export const ALERT_GROUPS = ['redis', 'replication', 'persistence', 'proxy', 'upkeep', 'host', 'monitoring'] as const;
export type AlertGroup = (typeof ALERT_GROUPS)[number];

export interface Alert {
  /** As it is called in docs/alerts.md. */
  readonly name: string;
  readonly group: AlertGroup;
  readonly severity: Severity;
  /** PromQL; `$cluster` stands for the cluster's name. */
  readonly expression: string;
  /** How long it has to hold, as Prometheus writes it. */
  readonly lasting: string;
  /** One line with Prometheus's placeholders. */
  readonly summary: string;
  /** What it means, and what to do. */
  readonly description: string;
}

/** An alert without its group: a list of them belongs to one. */
export type AlertOf = Omit<Alert, 'group'>;

/** The alerts of one group, as the cluster needs them. */
export type AlertList = (cluster: MonitoredCluster) => readonly AlertOf[];

/** The selector of this cluster's series of a metric. */
export function of(metric: string, more = ''): string {
  return `${metric}{cluster="$cluster"${more === '' ? '' : `,${more}`}}`;
}

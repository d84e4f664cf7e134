/** All alerts of a cluster. Pure. */
import type { MonitoredCluster } from '../cluster.js';
import { ALERT_GROUPS, type Alert, type AlertGroup, type AlertList } from './alert.js';
import { hostAlerts } from './host.js';
import { monitoringAlerts } from './monitoring.js';
import { persistenceAlerts } from './persistence.js';
import { proxyAlerts } from './proxy.js';
import { redisAlerts } from './redis.js';
import { replicationAlerts } from './replication.js';
import { upkeepAlerts } from './upkeep.js';

const LISTS: Readonly<Record<AlertGroup, AlertList>> = {
  redis: redisAlerts,
  replication: replicationAlerts,
  persistence: persistenceAlerts,
  proxy: proxyAlerts,
  upkeep: upkeepAlerts,
  host: hostAlerts,
  monitoring: monitoringAlerts,
};

/** The alerts that a cluster of this make can raise, group by group, always in the same order. */
export function alertsOf(cluster: MonitoredCluster): Alert[] {
  return ALERT_GROUPS.flatMap((group) => LISTS[group](cluster).map((alert) => ({ ...alert, group })));
}

/** Alerts about backups and certificates, from what forge itself writes for node_exporter. */
import { BACKUP_EXIT_METRIC, BACKUP_METRIC, CERTIFICATE_METRIC } from '../textfile.js';
import type { AlertList, AlertOf } from './alert.js';

const DAY_S = 86_400;
/** Fewer days than this are urgent, whatever the threshold of the warning. */
const URGENT_DAYS = 3;

// The files name their cluster themselves, in a label that no scrape configuration sets.
const own = (metric: string) => `${metric}{redis_cluster="$cluster"}`;

export const upkeepAlerts: AlertList = ({ nodeExporterPort, backup, thresholds }) => {
  if (nodeExporterPort === undefined) return [];
  const never: AlertOf = {
    name: 'BackupNever',
    severity: 'warning',
    expression: `absent(${own(BACKUP_METRIC)})`,
    lasting: '1d',
    summary: 'There is no sign of a backup of {{ $labels.redis_cluster }}',
    description:
      'forge.yaml has a place for backups, and no host tells of one that was taken. Run forge backup by cron on a host with a node exporter.',
  };
  const seconds = `min by (redis_cluster, certificate) (${own(CERTIFICATE_METRIC)}) - time()`;
  const expires = (days: number) => `${seconds} < ${days * DAY_S}`;
  return [
    {
      name: 'BackupTooOld',
      severity: 'critical',
      expression: `time() - max by (redis_cluster) (${own(BACKUP_METRIC)}) > ${thresholds.backup_age / 1000}`,
      lasting: '5m',
      summary: 'The last backup of {{ $labels.redis_cluster }} is {{ $value | humanizeDuration }} old',
      description: 'Look at what forge backup said (cron’s mail, its log), and run it by hand.',
    },
    {
      name: 'BackupFails',
      severity: 'warning',
      expression: `max by (redis_cluster) (${own(BACKUP_EXIT_METRIC)}) != 0`,
      lasting: '5m',
      summary: 'The last backup of {{ $labels.redis_cluster }} ended with exit code {{ $value }}',
      description:
        'What was there before is still there. Look at what forge backup said (its log, cron’s mail), and at docs/exit-codes.md; 8 is a backup that lacks masters, or old ones that could not be removed.',
    },
    ...(backup ? [never] : []),
    {
      name: 'CertificateExpiresSoon',
      severity: 'warning',
      expression: expires(thresholds.certificate_days),
      lasting: '5m',
      summary:
        'Certificate {{ $labels.certificate }} of {{ $labels.redis_cluster }} expires in {{ $value | humanizeDuration }}',
      description: 'Renew it with forge gen-certs --renew, and install it: nodes and proxies take it live.',
    },
    {
      name: 'CertificateExpiresNow',
      severity: 'critical',
      expression: expires(URGENT_DAYS),
      lasting: '0s',
      summary:
        'Certificate {{ $labels.certificate }} of {{ $labels.redis_cluster }} expires in {{ $value | humanizeDuration }}',
      description: 'After that, nodes, replicas and clients cannot connect. Renew it now: forge gen-certs --renew.',
    },
  ];
};

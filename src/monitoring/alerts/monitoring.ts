/** Alerts about the monitoring itself: what does not work there is otherwise seen by nobody. */
import { type AlertList, type AlertOf, of } from './alert.js';

const TARGET = '{{ $labels.instance }}';

export const monitoringAlerts: AlertList = ({ redisExporterPort, nodeExporterPort }) => {
  const redis: AlertOf[] = [
    {
      name: 'RedisExporterDown',
      severity: 'critical',
      expression: `${of('up', 'job=~"redisforge-redis|redisforge-redis-exporter"')} == 0`,
      lasting: '2m',
      summary: `The Redis exporter for ${TARGET} does not answer`,
      description:
        'Nothing is known of the nodes of that host. Look whether redis_exporter runs there, and whether Prometheus may reach its port.',
    },
    {
      name: 'RedisScrapeIncomplete',
      severity: 'warning',
      expression: `${of('redis_exporter_last_scrape_error')} == 1 and on (cluster, instance) ${of('redis_up')} == 1`,
      lasting: '10m',
      summary: `The exporter gets only a part of the figures of ${TARGET}`,
      description: 'Redis said: {{ $labels.err }}. The monitoring user lacks a right, as a rule.',
    },
  ];
  const node: AlertOf[] = [
    {
      name: 'NodeExporterDown',
      severity: 'critical',
      expression: `${of('up', 'job="redisforge-node"')} == 0`,
      lasting: '2m',
      summary: `Host ${TARGET} does not answer`,
      description: 'Its node exporter is silent: the host is down, or the exporter, or a firewall is between.',
    },
    {
      name: 'NodeTextfileUnreadable',
      severity: 'warning',
      expression: `${of('node_textfile_scrape_error')} > 0`,
      lasting: '15m',
      summary: `The node exporter of ${TARGET} cannot read its text files`,
      description:
        'Figures of backups and certificates do not get through. Look at the folder of its text files: it must be there, and readable.',
    },
  ];
  return [
    {
      name: 'Watchdog',
      severity: 'none',
      expression: 'vector(1)',
      lasting: '0s',
      summary: 'Alerts get through',
      description: 'This one is always raised. Have something outside tell you when it stops coming.',
    },
    ...(redisExporterPort === undefined ? [] : redis),
    ...(nodeExporterPort === undefined ? [] : node),
    {
      name: 'PrometheusRuleFailures',
      severity: 'critical',
      expression: 'increase(prometheus_rule_evaluation_failures_total[5m]) > 0',
      lasting: '0s',
      summary: 'Prometheus cannot evaluate rules of {{ $labels.rule_group }}',
      description: 'Alerts of that group are not raised. Its page /rules has the error.',
    },
    {
      name: 'PrometheusDiscoveryFailed',
      severity: 'warning',
      expression: 'increase(prometheus_sd_file_read_errors_total[10m]) > 0',
      lasting: '0s',
      summary: 'Prometheus cannot read a file of targets',
      description: 'It goes on with the targets that it knew. Write them again: forge monitoring generate.',
    },
    {
      name: 'PrometheusAlertmanagerMissing',
      severity: 'critical',
      expression: 'prometheus_notifications_alertmanagers_discovered < 1',
      lasting: '5m',
      summary: 'Prometheus has no Alertmanager',
      description: 'Alerts are raised, and nobody is told. Name it in forge.yaml: monitoring.alertmanagers.',
    },
    {
      name: 'PrometheusNotificationsFail',
      severity: 'critical',
      expression: 'rate(prometheus_notifications_errors_total[5m]) > 0',
      lasting: '5m',
      summary: 'Prometheus cannot send alerts to {{ $labels.alertmanager }}',
      description: 'Look whether Alertmanager runs and can be reached from Prometheus.',
    },
    {
      name: 'AlertmanagerNotificationsFail',
      severity: 'critical',
      expression: 'rate(alertmanager_notifications_failed_total[5m]) > 0',
      lasting: '5m',
      summary: 'Alertmanager cannot deliver by {{ $labels.integration }}',
      description:
        'Its log has the reason: a webhook that is gone, a file with a secret that is not there or not readable.',
    },
  ];
};

/** Alerts about the proxy, from its own admin pages. */
import { type AlertList, of } from './alert.js';

const PROXY = '{{ $labels.instance }}';
const UPSTREAM = '{{ $labels.envoy_cluster_name }}';
const DAY_S = 86_400;
/** Connections and commands that are turned away, whatever for. */
const REJECTED = [
  'downstream_cx_overflow',
  'downstream_cx_rate_limited',
  'downstream_cx_overload_reject',
  'downstream_rq_overload_reject',
];
const BREAKERS = ['cx_open', 'rq_open', 'rq_pending_open', 'rq_retry_open'];

const rejections = REJECTED.map((name) => `rate(${of(`envoy_redis_${name}`)}[2m])`).join(' + ');
const breakers = BREAKERS.map((name) => of(`envoy_cluster_circuit_breakers_default_${name}`)).join(' + ');

function share(responseClass: string, window: string): string {
  const rate = (more = '') =>
    `sum by (cluster, instance, envoy_cluster_name) (rate(${of('envoy_cluster_upstream_rq_xx', more)}[${window}]))`;
  return `100 * ${rate(`response_code_class="${responseClass}"`)} / (${rate()} > 0)`;
}

export const proxyAlerts: AlertList = ({ proxies, thresholds }) =>
  proxies.length === 0
    ? []
    : [
        {
          name: 'ProxyDown',
          severity: 'critical',
          expression: `${of('up', 'job="redisforge-proxy"')} == 0`,
          lasting: '1m',
          summary: `Proxy ${PROXY} does not answer`,
          description:
            'Its admin page is not there. Look whether it runs (forge proxy status) and whether Prometheus may reach it; clients go through the others.',
        },
        {
          name: 'ProxyNotReady',
          severity: 'warning',
          expression: `${of('envoy_server_live')} == 0`,
          lasting: '5m',
          summary: `Proxy ${PROXY} runs and wants no clients`,
          description:
            'It has not read the topology yet, or somebody takes it out (/healthcheck/fail, /drain_listeners). Its page /ready says which.',
        },
        {
          name: 'ProxyNoWorkers',
          severity: 'critical',
          expression: `${of('envoy_server_concurrency')} < 1`,
          lasting: '1m',
          summary: `Proxy ${PROXY} has no workers`,
          description: 'It serves nobody. Look at its log, and restart it.',
        },
        {
          name: 'ProxyWorkerRestarts',
          severity: 'warning',
          expression: `increase(${of('envoy_server_worker_restarts')}[15m]) > 0`,
          lasting: '0s',
          summary: `A worker of proxy ${PROXY} ended by a fault`,
          description:
            'It was replaced, and its clients had to connect anew. The log of the proxy has the fault: please report it.',
        },
        {
          name: 'ProxyUpstreamFailures',
          severity: 'critical',
          expression: `${share('5', '2m')} > ${thresholds.proxy_failure_percent}`,
          lasting: '2m',
          summary: `Proxy ${PROXY} fails {{ $value | humanize }} % of the commands to ${UPSTREAM}`,
          description:
            'Clients get errors of the proxy because nodes do not answer. Its page /clusters shows which; then forge cluster check.',
        },
        {
          name: 'ProxyErrorReplies',
          severity: 'warning',
          expression: `${share('4', '5m')} > 10`,
          lasting: '10m',
          summary: `{{ $value | humanize }} % of the replies of ${UPSTREAM} through proxy ${PROXY} are errors`,
          description:
            'Redis refuses commands: wrong types, missing rights, no memory. forge proxy top --sort errors shows the commands.',
        },
        {
          name: 'ProxyUpstreamTimeouts',
          severity: 'warning',
          expression: `rate(${of('envoy_cluster_upstream_rq_timeout')}[5m]) > 0.1`,
          lasting: '5m',
          summary: `Commands of proxy ${PROXY} to ${UPSTREAM} take longer than op_timeout`,
          description:
            'A node hangs, or the network loses packets. The slow log of the proxy tells times of nodes from its own.',
        },
        {
          name: 'ProxyConnectFailures',
          severity: 'warning',
          expression: `rate(${of('envoy_cluster_upstream_cx_connect_fail')}[5m]) > 0.05`,
          lasting: '5m',
          summary: `Proxy ${PROXY} cannot connect to nodes of ${UPSTREAM}`,
          description:
            'A node is down, or a firewall is between. Its page /clusters shows which node has no connections.',
        },
        {
          name: 'ProxyUpstreamLoginRefused',
          severity: 'critical',
          expression: `increase(${of('envoy_cluster_upstream_auth_refused')}[5m]) > 0`,
          lasting: '0s',
          summary: `Nodes of ${UPSTREAM} refuse the login of proxy ${PROXY}`,
          description:
            'Its password or user is not that of Redis any more. Give it the right one, then forge proxy reload.',
        },
        {
          name: 'ProxyTopologyUnknown',
          severity: 'critical',
          expression: `increase(${of('envoy_cluster_update_failure')}[5m]) > 0 and increase(${of('envoy_cluster_update_success')}[5m]) == 0`,
          lasting: '2m',
          summary: `Proxy ${PROXY} cannot read the topology of ${UPSTREAM}`,
          description:
            'No node tells it who has which slots; it goes on with what it knew. Look at its log, then forge cluster check.',
        },
        {
          name: 'ProxyMembersUnhealthy',
          severity: 'warning',
          expression: `${of('envoy_cluster_membership_total')} - ${of('envoy_cluster_membership_healthy')} > 0`,
          lasting: '2m',
          summary: `Proxy ${PROXY} takes {{ $value }} nodes of ${UPSTREAM} for unhealthy`,
          description: 'Health checks or outlier detection put them aside. Its page /clusters says why.',
        },
        {
          name: 'ProxyRejectsClients',
          severity: 'critical',
          expression: `${rejections} > 0`,
          lasting: '2m',
          summary: `Proxy ${PROXY} turns away {{ $value | humanize }} clients or commands a second`,
          description: 'A limit of connections, a rate or overload. docs/limits.md says what each counter means.',
        },
        {
          name: 'ProxyProtocolErrors',
          severity: 'warning',
          expression: `rate(${of('envoy_redis_downstream_cx_protocol_error')}[5m]) > 0.1`,
          lasting: '10m',
          summary: `Clients of proxy ${PROXY} send what is not RESP`,
          description:
            'Somebody speaks HTTP or TLS to its port: a health check of a load balancer, a scanner, a wrong setting.',
        },
        {
          name: 'ProxyLoginFailures',
          severity: 'warning',
          expression: `rate(${of('envoy_redis_downstream_auth_failure')}[5m]) > 1`,
          lasting: '5m',
          summary: `{{ $value | humanize }} logins a second fail at proxy ${PROXY}`,
          description: 'An application has an old password, or somebody guesses. The access log has the addresses.',
        },
        {
          name: 'ProxyLatencyHigh',
          severity: 'warning',
          expression: `histogram_quantile(0.99, sum by (cluster, instance, le) (rate(${of('envoy_redis_downstream_rq_time_bucket')}[5m]))) > ${thresholds.proxy_p99_ms}`,
          lasting: '10m',
          summary: `1 % of the commands through proxy ${PROXY} take more than {{ $value | humanize }} ms`,
          description:
            'When the times of the nodes on the dashboard are long as well, it is Redis or the network; if not, it is the proxy: look at its processor time.',
        },
        {
          name: 'ProxyCircuitBreakerOpen',
          severity: 'warning',
          expression: `${breakers} > 0`,
          lasting: '1m',
          summary: `A circuit breaker of proxy ${PROXY} for ${UPSTREAM} is open`,
          description:
            'More connections, commands or retries than are allowed: nodes are too slow for the load, or the bound is too low.',
        },
        {
          name: 'ProxyMemoryPressure',
          severity: 'warning',
          expression: `${of('envoy_overload_envoy_resource_monitors_fixed_heap_pressure')} > 90`,
          lasting: '5m',
          summary: `Proxy ${PROXY} uses {{ $value | humanize }} % of the memory that it may use`,
          description:
            'Above its bound it refuses clients. Look for clients that do not read (forge proxy top), or raise the bound.',
        },
        {
          name: 'ProxyCertificateExpires',
          severity: 'critical',
          expression: `${of('envoy_server_seconds_until_first_cert_expiring')} < ${Math.ceil(thresholds.certificate_days / 2) * DAY_S}`,
          lasting: '5m',
          summary: `A certificate of proxy ${PROXY} expires in {{ $value | humanizeDuration }}`,
          description:
            'Then no client can connect. Renew it (forge gen-certs --renew); the proxy takes new files by itself.',
        },
        {
          name: 'ProxyCertificateRejected',
          severity: 'critical',
          expression: `increase(${of('envoy_server_ssl_context_update_rejected')}[1h]) > 0`,
          lasting: '0s',
          summary: `Proxy ${PROXY} cannot use its new certificate`,
          description:
            'The files changed and do not fit together; it goes on with the old ones until they expire. Its log says what is wrong.',
        },
        {
          name: 'ProxyFaultsInjected',
          severity: 'info',
          expression: `${of('envoy_redis_faults_active')} > 0`,
          lasting: '1h',
          summary: `Proxy ${PROXY} makes faults on purpose`,
          description:
            'Somebody left fault injection on. Take faults out of its configuration, then forge proxy reload.',
        },
      ];

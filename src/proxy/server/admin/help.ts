/**
 * What each statistic is, by the last part of its name, as Prometheus shows it; `docs/statistics.md` says the same with
 * types and units. Behind `|` stands the unit, where it is no plain count.
 */
const HELP: Readonly<Record<string, string>> = {
  // The process.
  'server.live': '1 when the proxy serves and wants new clients',
  'server.uptime': 'time since the start|seconds',
  'server.concurrency': 'workers',
  'server.worker_restarts': 'workers that ended by a fault and were replaced',
  'server.memory_physical_size': 'resident memory of the process|bytes',
  'server.days_until_first_cert_expiring': 'until the first of the certificates expires; 4294967295 without one|days',
  'server.ssl_context_update_success': 'certificates that changed and were taken',
  'server.ssl_context_update_rejected': 'certificates that changed and could not be used',
  // Clients.
  downstream_cx_active: 'connections of clients that are open',
  downstream_cx_total: 'connections of clients that were accepted',
  downstream_cx_protocol_error: 'connections that sent something else than RESP',
  downstream_cx_rx_bytes_total: 'received from clients|bytes',
  downstream_cx_tx_bytes_total: 'sent to clients|bytes',
  downstream_cx_overflow_close: 'clients disconnected because replies for them take too much memory',
  downstream_cx_slow_close: 'clients disconnected because they do not take their replies',
  downstream_cx_output_buffer_close:
    'clients disconnected because more is unsent to them than their output buffer may hold',
  downstream_cx_overflow: 'connections refused because there were as many as are allowed in all',
  downstream_cx_address_overflow: 'connections refused because there were as many from one address as are allowed',
  downstream_cx_user_overflow: 'logins refused because the user had as many connections as are allowed',
  downstream_cx_rate_limited: 'connections refused because they came faster than is allowed',
  downstream_cx_overload_reject: 'connections refused because the proxy was overloaded',
  downstream_cx_idle_timeout: 'clients disconnected after idle_timeout',
  downstream_cx_auth_timeout: 'clients disconnected because they did not log in within auth_timeout',
  downstream_cx_monitor_close: 'clients in MONITOR disconnected because they do not take what they are shown',
  downstream_monitor_dropped: 'lines of MONITOR that were not shown, because too much waited already',
  downstream_rq_active: 'commands of clients that are on their way',
  downstream_rq_total: 'commands of clients',
  downstream_rq_too_large: 'large commands refused by a bound',
  downstream_rq_timeout: 'clients disconnected in the middle of a command that they did not finish in time',
  downstream_rq_pipeline_full:
    'times that a client was not read for a while because as many of its commands were on their way as are allowed',
  downstream_rq_rate_limited: 'times that a limit of commands per second held a user up',
  downstream_rq_bytes_rate_limited: 'times that a limit of bytes per second held a user up',
  downstream_rq_overload_reject: 'commands refused because the proxy was overloaded',
  downstream_rq_slow: 'commands that took longer than slowlog_log_slower_than',
  downstream_rq_time: 'from the arrival of a command until its reply is in the output to its client|time',
  downstream_auth_failure: 'failed logins',
  downstream_cx_taken_over_total: 'connections that the process before this one had passed on (forge proxy upgrade)',
  downstream_cx_tls_on_plain_port: 'connections that spoke TLS where it is not spoken',
  // TLS, of clients or of a cluster's nodes.
  'ssl.handshake': 'TLS handshakes that succeeded',
  'ssl.connection_error': 'TLS handshakes that failed',
  'ssl.fail_verify_no_cert': 'peers turned away because they showed no certificate',
  'ssl.fail_verify_error': 'peers turned away because of their certificate',
  downstream_acl_denied_cmd: 'commands refused because the user may not give them',
  downstream_acl_denied_key: 'commands refused because of a key that the user may not touch',
  downstream_acl_denied_channel: 'commands refused because of a channel that the user may not use',
  upstream_user_active: 'users of Redis that clients are logged in as, over all workers',
  upstream_user_total: 'users of Redis that clients have been logged in as',
  upstream_user_overflow: 'logins refused by max_upstream_users',
  upstream_user_revoked: 'users whose clients were disconnected because Redis does not accept them any more',
  upstream_auth_check_total: 'times that a user was checked again',
  upstream_auth_check_failure: 'of them, those without an answer from one node or all',
  downstream_pubsub_subscriptions_active: 'subscriptions of clients',
  downstream_pubsub_messages_total: 'messages given to subscribers',
  downstream_pubsub_slow_close: 'subscribers disconnected because they took their messages too slowly',
  downstream_pubsub_changes_total: 'changes of subscriptions that workers tell one another',
  'splitter.invalid_request': 'commands with a wrong number of arguments',
  'splitter.unsupported_command': 'commands that the proxy does not serve',
  // One command.
  'command.total': 'calls of one command',
  'command.success': 'of them, those with a reply that is no error',
  'command.error': 'of them, those with an error, of a node or of the proxy',
  'command.latency': 'downstream_rq_time of one command|time',
  'command.error_fault': 'of them, those answered with an error on purpose',
  'command.delay_fault': 'of them, those delayed on purpose',
  faults_active: 'faults that are injected on purpose: how many are configured',
  // Overload.
  'overload.envoy.overload_actions.stop_accepting_connections.active': '1 while new connections are refused',
  'overload.envoy.overload_actions.stop_accepting_requests.active': '1 while new commands are refused',
  'overload.envoy.resource_monitors.fixed_heap.pressure': 'memory, as a share of its bound|percent',
  'overload.event_loop_lag.pressure': 'lateness of the workers, as a share of its bound|percent',
  // What is recorded.
  'server.log_lines_dropped': 'lines of the log that were dropped because nobody took them',
  'access_log.logs_written': 'lines of the access log that were written',
  'access_log.logs_dropped': 'lines of the access log that were dropped',
  'tracing.opentelemetry.spans_sent': 'spans that the collector took',
  'tracing.opentelemetry.spans_dropped': 'spans that were dropped',
  'tracing.opentelemetry.export_failure': 'attempts to send spans that failed',
  // Upstream clusters.
  membership_total: 'nodes that the topology lists',
  membership_healthy: 'of them, those that are taken for healthy',
  membership_excluded: 'servers whose keys have moved on because they are unhealthy',
  'health_check.attempt': 'active checks',
  'health_check.success': 'of them, those that succeeded',
  'health_check.failure': 'of them, those that failed',
  'health_check.network_failure': 'of those, the ones without an answer',
  'health_check.healthy': 'nodes that active checks take for healthy',
  'outlier_detection.ejections_active': 'hosts that are ejected now',
  'outlier_detection.ejections_enforced_total': 'ejections of hosts',
  'outlier_detection.ejections_detected_consecutive_local_origin_failure':
    'hosts that failed often enough to be ejected',
  'outlier_detection.ejections_enforced_consecutive_local_origin_failure': 'of them, those that were ejected',
  'outlier_detection.ejections_overflow': 'of them, those that were not because too many were ejected already',
  update_attempt: 'reads of the topology',
  update_success: 'of them, those that succeeded',
  update_failure: 'of them, those that failed',
  upstream_cx_active: 'connections to nodes that are open',
  upstream_cx_total: 'connections to nodes that were made',
  upstream_cx_connect_fail: 'attempts to connect that failed',
  upstream_cx_connect_timeout: 'attempts to connect that took longer than connect_timeout',
  upstream_cx_destroy_with_active_rq: 'connections lost with commands in flight',
  upstream_cx_protocol_error: 'connections closed because of bytes that are not RESP, or replies that nobody asked for',
  upstream_cx_rx_bytes_total: 'received from nodes|bytes',
  upstream_cx_tx_bytes_total: 'sent to nodes|bytes',
  upstream_cx_dedicated_active: 'connections that are lent to one client each',
  upstream_cx_dedicated_total: 'connections that were made to be lent',
  upstream_cx_dedicated_overflow: 'clients turned away because too many connections were lent',
  upstream_cx_overflow: 'times that a connection was not made because of circuit_breakers.max_connections',
  upstream_auth_refused: 'logins of the proxy that nodes refused',
  upstream_rq_total: 'commands that were answered, by nodes or with an error in their place',
  upstream_rq_active: 'commands in flight to nodes',
  upstream_rq_timeout: 'commands that took longer than op_timeout',
  upstream_rq_retry: 'commands that were sent again',
  upstream_rq_retry_overflow: 'commands not sent again because of circuit_breakers.max_retries',
  upstream_rq_pending_active: 'commands that wait for a connection or a topology',
  upstream_rq_pending_overflow: 'commands that failed because too many wait',
  upstream_rq_moved: 'MOVED redirections that were followed',
  upstream_rq_ask: 'ASK redirections that were followed',
  upstream_rq_tryagain: 'TRYAGAIN answers after which a command was sent again',
  upstream_rq_error: 'error replies of nodes that clients got',
  upstream_rq_failure: 'commands answered with an error of the proxy in place of a reply',
  upstream_rq_2xx: 'answers by class: 2 replies, 4 errors of nodes, 5 errors of the proxy',
  upstream_rq_4xx: 'answers by class: 2 replies, 4 errors of nodes, 5 errors of the proxy',
  upstream_rq_5xx: 'answers by class: 2 replies, 4 errors of nodes, 5 errors of the proxy',
  upstream_rq_mirror: 'copies of commands sent to this cluster as a mirror',
  upstream_rq_mirror_dropped: 'copies that were not sent, for lack of a connection or of room',
  upstream_rq_script_reload: 'scripts and libraries loaded again where a node lacked them',
  upstream_rq_time: 'from a command put into the output to a node until its reply is here|milliseconds',
  upstream_pubsub_subscriptions_active: 'subscriptions of the workers at nodes',
  upstream_pubsub_messages_total: 'messages from nodes',
  upstream_pubsub_resubscribe: 'subscriptions that had to move to another node',
  'redis_cluster.upstream_cx_drained': 'connections closed because their node left the topology',
  'redis_cluster.connection_rate_limited': 'attempts to connect that had to wait',
  'redis_cluster.max_upstream_unknown_connections_reached': 'redirections refused because too many hosts were unknown',
  'circuit_breakers.default.cx_open': 'workers whose circuit breaker for connections is open',
  'circuit_breakers.default.rq_pending_open': 'workers whose circuit breaker for waiting commands is open',
  'circuit_breakers.default.rq_open': 'workers whose circuit breaker for commands in flight is open',
  'circuit_breakers.default.rq_retry_open': 'workers whose circuit breaker for repeated commands is open',
};

/** The part of a statistic's name that says what it is: without prefix, command and cluster. */
export function kindOf(name: string): string {
  const [side, ...rest] = name.split('.');
  if (!['redis', 'cluster', 'listener'].includes(side)) return name;
  const words = rest.join('.');
  const command = /\.command\.(?:.*)\.(total|success|error|latency|delay_fault|error_fault)$/.exec(`.${words}`);
  if (side === 'redis' && command !== null) return `command.${command[1]}`;
  // A cluster's name may have points in it; what follows it has one at most.
  const known = Object.keys(HELP)
    .filter((kind) => words.endsWith(`.${kind}`))
    .sort((a, b) => b.length - a.length);
  return known[0] ?? words.slice(words.indexOf('.') + 1);
}

/** One sentence for a statistic; its own words when nothing better is known. */
export function helpFor(name: string): string {
  const kind = kindOf(name);
  return (HELP[kind] ?? kind.replace(/[._]/g, ' ')).split('|')[0];
}

/** Of every kind of statistic, with its unit; empty for plain counts. */
export const STATISTICS: readonly { readonly kind: string; readonly help: string; readonly unit: string }[] =
  Object.entries(HELP).map(([kind, text]) => {
    const [help, unit = ''] = text.split('|');
    return { kind, help, unit };
  });

import type { ProxyConfig } from '../config/schema.js';
import type { Discovery } from './discovery/discovery.js';
import type { LearnedCommands } from './learned.js';
import type { LaneReport } from './messages.js';
import type { ReloadOutcome } from './reload.js';
import { asJson, asPrometheus, asText, collect, type Statistic } from './statistics.js';
import type { Workers } from './workers.js';

/** Characters of a `filter` expression; a longer one is refused. */
const FILTER_LENGTH_MAX = 256;

export interface AdminState {
  readonly config: ProxyConfig;
  /** Of each cluster, in the order of the configuration. Another list after a reload. */
  readonly topologies: readonly Discovery[];
  /** What the workers know each cluster by. */
  readonly numbers: readonly number[];
  readonly workers: Workers;
  readonly learned: LearnedCommands;
  readonly version: string;
  readonly startedMs: number;
  /** 4294967295 without a certificate. */
  readonly daysUntilFirstCertificateExpires: number;
  readonly tlsUpdates: { readonly success: number; readonly rejected: number };
  draining: boolean;
  /** Reads the configuration again and serves by it. Never throws. */
  reload(dryRun: boolean): ReloadOutcome;
}

/** Starts the admin HTTP server. @throws when the address cannot be used */
export function startAdmin(host: string, port: number, state: AdminState): { port: number; stop(): void } {
  const server = Bun.serve({
    hostname: host,
    port,
    // While a proxy takes over from another one, both are there.
    reusePort: true,
    idleTimeout: 10,
    fetch: (request) => answer(request, state),
    error: (error) => text(`${error.message}\n`, 500),
  });
  return { port: server.port ?? port, stop: () => void server.stop(true) };
}

const PAGES = ['/ready', '/stats', '/stats/prometheus', '/clusters', '/config_dump', '/server_info', '/help'];

async function answer(request: Request, state: AdminState): Promise<Response> {
  const url = new URL(request.url, 'http://admin'); // HTTP/1.0 comes without a host
  if (url.pathname === '/reload') return reload(request, url, state);
  if (request.method !== 'GET' && request.method !== 'HEAD') return text('only GET is served\n', 405);
  switch (url.pathname) {
    case '/ready': {
      const word = readiness(state);
      return text(`${word}\n`, word === 'LIVE' ? 200 : 503);
    }
    case '/stats':
      return stats(url, state);
    case '/stats/prometheus':
      return stats(url, state, 'prometheus');
    case '/clusters':
      return clusters(url, state);
    case '/config_dump':
      return json(redacted(state.config));
    case '/server_info':
      return json(serverInfo(state));
    case '/':
    case '/help':
      return text(`${PAGES.join('\n')}\n`);
    default:
      return text(`no such page; there are ${PAGES.join(' ')}\n`, 404);
  }
}

/** `POST /reload`, `POST /reload?dry_run`: 200 with what has changed, 409 with why nothing has. */
function reload(request: Request, url: URL, state: AdminState): Response {
  if (request.method !== 'POST') return text('only POST is served: it changes what is served\n', 405);
  const outcome = state.reload(url.searchParams.has('dry_run'));
  return Response.json(outcome, { status: outcome.outcome === 'refused' ? 409 : 200 });
}

/** Envoy's words: LIVE once every topology has been read, DRAINING while the process ends. */
function readiness(state: AdminState): string {
  if (state.draining) return 'DRAINING';
  return state.topologies.every(({ readMs }) => readMs > 0) ? 'LIVE' : 'PRE_INITIALIZING';
}

function stats(url: URL, state: AdminState, format = url.searchParams.get('format') ?? 'text'): Response {
  let filter: RegExp | null = null;
  const expression = url.searchParams.get('filter');
  if (expression !== null) {
    if (expression.length > FILTER_LENGTH_MAX) return text('the filter is too long\n', 400);
    try {
      filter = new RegExp(expression);
    } catch {
      return text('the filter is not a regular expression\n', 400);
    }
  }
  const usedOnly = url.searchParams.has('usedonly');
  const chosen = everything(state).filter(
    ({ name, value }) => (!usedOnly || value !== 0) && (filter === null || filter.test(name)),
  );
  if (format === 'json') return new Response(asJson(chosen), { headers: { 'content-type': 'application/json' } });
  if (format === 'prometheus') {
    return new Response(asPrometheus(chosen), { headers: { 'content-type': 'text/plain; version=0.0.4' } });
  }
  if (format !== 'text') return text('format is text, json or prometheus\n', 400);
  return text(asText(chosen));
}

function everything(state: AdminState): Statistic[] {
  const { config, topologies, workers, learned, numbers } = state;
  const server = (name: string, value: number, type: 'counter' | 'gauge' = 'gauge'): Statistic => ({
    name: `server.${name}`,
    value,
    metric: `envoy_server_${name}`,
    labels: {},
    type,
  });
  const names = config.clusters.map(({ name }) => name);
  const membership = (cluster: string, name: string, value: number, type: 'counter' | 'gauge'): Statistic => ({
    name: `cluster.${cluster}.${name}`,
    value,
    metric: `envoy_cluster_${name.replaceAll('.', '_')}`,
    labels: { envoy_cluster_name: cluster },
    type,
  });
  return [
    server('live', readiness(state) === 'LIVE' ? 1 : 0),
    server('uptime', Math.floor((performance.now() - state.startedMs) / 1000)),
    server('concurrency', workers.count),
    server('memory_physical_size', process.memoryUsage.rss()),
    server('days_until_first_cert_expiring', state.daysUntilFirstCertificateExpires),
    server('ssl_context_update_success', state.tlsUpdates.success, 'counter'),
    server('ssl_context_update_rejected', state.tlsUpdates.rejected, 'counter'),
    ...topologies.flatMap((topology, index) => [
      membership(names[index], 'membership_total', topology.entries().length, 'gauge'),
      ...(topology.health?.statistics() ?? []).map((each) =>
        membership(names[index], each.name, each.value, each.type),
      ),
      membership(names[index], 'update_attempt', topology.refreshes + topology.failures, 'counter'),
      membership(names[index], 'update_success', topology.refreshes, 'counter'),
      membership(names[index], 'update_failure', topology.failures, 'counter'),
    ]),
    ...collect(workers.stats, config.listeners[0].stat_prefix, names, learned.specs, numbers),
  ];
}

async function clusters(url: URL, state: AdminState): Promise<Response> {
  const lanes = await state.workers.lanes();
  const all = state.config.clusters.map((_, index) => describeCluster(state, index, lanes));
  if (url.searchParams.get('format') === 'json') return json(all.length === 1 ? all[0] : { clusters: all });
  let body = '';
  for (const { name, type, hosts } of all) {
    body += `${name}::type::${type}\n`;
    for (const host of hosts) {
      for (const [key, value] of Object.entries(host)) {
        if (key === 'address') continue;
        body += `${name}::${host.address}::${key}::${Array.isArray(value) ? value.join(' ') : value}\n`;
      }
    }
  }
  return text(body);
}

function describeCluster({ config, topologies, numbers }: AdminState, index: number, lanes: readonly LaneReport[]) {
  const topology = topologies[index];
  const own = lanes.filter(({ cluster }) => cluster === numbers[index]);
  return {
    name: config.clusters[index].name,
    type: config.clusters[index].type,
    last_error: topology.lastError,
    redis_version: topology.facts?.redisVersion ?? '',
    hosts: topology.hosts().map((host) => {
      const { flags = '', ...health } = topology.health?.host(host.address) ?? {};
      return { ...host, ...summary(own, host.address, flags), ...health };
    }),
  };
}

function summary(lanes: readonly LaneReport[], address: string, flags: string) {
  const own = lanes.filter((lane) => lane.address === address);
  const error = own.find((lane) => lane.lastError !== '')?.lastError ?? '';
  const failing = own.some((lane) => lane.state !== 'ready' && lane.failures > 0);
  return {
    cx_active: own.filter((lane) => lane.state === 'ready').length,
    rq_active: own.reduce((sum, lane) => sum + lane.inFlight, 0),
    rq_pending_active: own.reduce((sum, lane) => sum + lane.waiting, 0),
    health_flags: `${failing ? '/failed_connect' : ''}${flags}` || 'healthy',
    ...(error === '' ? {} : { last_error: error }),
  };
}

/** The configuration without what it should not have said. */
function redacted(config: ProxyConfig): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value) => (key === 'inline' || key === 'sha256' ? '[redacted]' : value)),
  );
}

function serverInfo(state: AdminState) {
  return {
    version: state.version,
    state: readiness(state),
    uptime_current_epoch: `${Math.floor((performance.now() - state.startedMs) / 1000)}s`,
    process_id: process.pid,
    concurrency: state.workers.count,
    bun_version: Bun.version,
  };
}

function text(body: string, status = 200): Response {
  return new Response(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

function json(body: unknown): Response {
  return new Response(`${JSON.stringify(body, null, 1)}\n`, { headers: { 'content-type': 'application/json' } });
}

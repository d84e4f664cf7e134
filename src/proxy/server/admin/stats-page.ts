import { collect, collectTimes, type Statistic, type TimeStatistic } from '../statistics.js';
import { asJson, asPrometheus, asText, type TimesShown } from './formats.js';
import { text } from './http.js';
import { Pattern } from './pattern.js';
import type { Recent } from './recent.js';
import { type AdminState, type Operator, readiness } from './state.js';

/** Characters of a `filter` expression; a longer one is refused. */
const FILTER_LENGTH_MAX = 256;

const FORMATS = ['text', 'json', 'prometheus'];
const TYPES: Readonly<Record<string, readonly string[]>> = {
  All: ['counter', 'gauge', 'histogram'],
  Counters: ['counter'],
  Gauges: ['gauge'],
  Histograms: ['histogram'],
};

export function stats(
  url: URL,
  state: AdminState,
  operator: Operator,
  recent: Recent,
  format = url.searchParams.get('format') ?? 'text',
): Response {
  let filter: Pattern | null = null;
  const expression = url.searchParams.get('filter');
  if (expression !== null) {
    if (expression.length > FILTER_LENGTH_MAX) return text('the filter is too long\n', 400);
    try {
      filter = new Pattern(expression);
    } catch (error) {
      return text(`the filter cannot be used: ${(error as Error).message}\n`, 400);
    }
  }
  const types = TYPES[url.searchParams.get('type') ?? 'All'];
  if (types === undefined) return text(`type is ${Object.keys(TYPES).join(', ')}\n`, 400);
  if (!FORMATS.includes(format)) return text(`format is ${FORMATS.join(', ')}\n`, 400);
  const usedOnly = url.searchParams.has('usedonly');
  const wanted = ({ name, type }: Statistic | TimeStatistic) =>
    types.includes(type) && (filter === null || filter.test(name));
  const chosen = numbers(state, operator)
    .filter(wanted)
    .map((each) => operator.resets.counter(each))
    .filter(({ value }) => !usedOnly || value !== 0);
  const times = histograms(state)
    .filter(wanted)
    .map((each): TimesShown => ({ ...operator.resets.time(each), recent: recent.of(each.name) }))
    .filter(({ histogram }) => !usedOnly || histogram.count > 0);
  if (format === 'json') {
    return new Response(asJson(chosen, times), { headers: { 'content-type': 'application/json' } });
  }
  if (format === 'prometheus') {
    return new Response(asPrometheus(chosen, times), { headers: { 'content-type': 'text/plain; version=0.0.4' } });
  }
  return text(asText(chosen, times));
}

/** From here on, counters and times are shown from 0. */
export function resetCounters(state: AdminState, operator: Operator): void {
  operator.resets.reset(numbers(state, operator), histograms(state));
}

/** The times of the process since it began. */
export function histograms({ config, workers, learned, numbers }: AdminState): TimeStatistic[] {
  const [{ stat_prefix: prefix }] = config.listeners;
  const names = config.clusters.map(({ name }) => name);
  return collectTimes(workers.stats, prefix, names, learned.specs, numbers, config.statistics.latency_in_micros);
}

function numbers(state: AdminState, operator: Operator): Statistic[] {
  const { config, topologies, workers, learned } = state;
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
    ...state.overload.statistics().map(
      ({ name, value }): Statistic => ({
        name: `overload.${name}`,
        value,
        metric: `envoy_overload_${name.replaceAll('.', '_')}`,
        labels: {},
        type: 'gauge',
      }),
    ),
    server('live', readiness(state, operator) === 'LIVE' ? 1 : 0),
    server('uptime', Math.floor((performance.now() - state.startedMs) / 1000)),
    server('concurrency', workers.count),
    {
      name: `redis.${config.listeners[0].stat_prefix}.faults_active`,
      value: config.listeners[0].faults.filter(({ fault_enabled: percent }) => percent > 0).length,
      metric: 'envoy_redis_faults_active',
      labels: { envoy_redis_prefix: config.listeners[0].stat_prefix },
      type: 'gauge',
    },
    ...state.recording.statistics(),
    server('worker_restarts', workers.deaths.total, 'counter'),
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
    ...collect(workers.stats, config.listeners[0].stat_prefix, names, learned.specs, state.numbers),
  ];
}

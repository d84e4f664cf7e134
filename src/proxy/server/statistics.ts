import { OWN_COMMANDS } from '../engine/commands/own.js';
import type { CommandSpec } from '../engine/commands/spec.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import { Histogram } from '../engine/observe/histogram.js';
import {
  Counter,
  type CounterName,
  clusterStatsOffset,
  commandStatAt,
  commandTimesAt,
  DOWNSTREAM_COUNTERS,
  downstreamTimesAt,
  GAUGES,
  statsLength,
  UPSTREAM_COUNTERS,
  upstreamTimesAt,
} from '../engine/stats.js';

/** One statistic, under its name for `/stats` and as a Prometheus sample. */
export interface Statistic {
  /** `redis.egress_redis.downstream_cx_total` */
  readonly name: string;
  readonly value: number;
  /** `envoy_redis_downstream_cx_total` */
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly type: 'counter' | 'gauge';
}

/** Times, as a histogram. */
export interface TimeStatistic extends Omit<Statistic, 'value' | 'type'> {
  readonly type: 'histogram';
  readonly histogram: Histogram;
  /** What it is shown in. */
  readonly unit: 'ms' | 'us';
}

/** Statistics that Envoy keeps below `cluster.<name>.redis_cluster.`. */
const REDIS_CLUSTER: ReadonlySet<CounterName> = new Set<CounterName>([
  'upstream_cx_drained',
  'max_upstream_unknown_connections_reached',
  'connection_rate_limited',
]);

/** What the counters' names begin with that are shown below `circuit_breakers.default.`. */
const BREAKERS = 'circuit_breakers_';

/** Bytes of one worker's statistics, for so many upstream clusters. */
export function statsBytes(clusters: number): number {
  return statsLength(COMMANDS.length, clusters) * Float64Array.BYTES_PER_ELEMENT;
}

/** Sets what a worker counts up and down to 0: the worker is gone. @param clusters by their numbers */
export function resetGauges(stats: SharedArrayBuffer, clusters: readonly { readonly number: number }[]): void {
  const array = new Float64Array(stats);
  for (const name of GAUGES) {
    if (DOWNSTREAM_COUNTERS.includes(name)) array[Counter[name]] = 0;
    else for (const { number } of clusters) array[Counter[name] + clusterStatsOffset(COMMANDS.length, number)] = 0;
  }
}

/** All statistics of the process: the workers' counters summed, in a fixed order. */
export function collect(
  workers: readonly SharedArrayBuffer[],
  prefix: string,
  clusters: readonly string[],
  learned: readonly CommandSpec[] = [],
  /** What the workers know each cluster by. */
  numbers: readonly number[] = clusters.map((_, index) => index),
): Statistic[] {
  const arrays = workers.map((memory) => new Float64Array(memory));
  const sum = (index: number) => {
    let total = 0;
    for (const array of arrays) total += array[index];
    return total;
  };
  const statistics: Statistic[] = [];
  for (const counter of DOWNSTREAM_COUNTERS) {
    const word = counter.startsWith('splitter_') ? counter.replace('splitter_', 'splitter.') : counter;
    if (counter.startsWith('downstream_ssl_')) {
      statistics.push(ssl('listener', prefix, counter, sum(Counter[counter])));
      continue;
    }
    statistics.push({
      name: `redis.${prefix}.${word}`,
      value: sum(Counter[counter]),
      metric: `envoy_redis_${counter}`,
      labels: { envoy_redis_prefix: prefix },
      type: GAUGES.has(counter) ? 'gauge' : 'counter',
    });
  }
  for (const [id, { name }] of [...COMMANDS, ...OWN_COMMANDS, ...learned].entries()) {
    const at = commandStatAt(id);
    const total = sum(at);
    const error = sum(at + 1);
    const command = name.replace('|', '_');
    const one = (kind: string, value: number): Statistic => ({
      name: `redis.${prefix}.command.${command}.${kind}`,
      value,
      metric: `envoy_redis_command_${kind}`,
      labels: { envoy_redis_prefix: prefix, envoy_redis_command: command },
      type: 'counter',
    });
    statistics.push(one('total', total), one('success', Math.max(0, total - error)), one('error', error));
    // Of commands that had faults; there are four hundred others.
    const [errorFault, delayFault] = [sum(at + 2), sum(at + 3)];
    if (errorFault > 0 || delayFault > 0)
      statistics.push(one('error_fault', errorFault), one('delay_fault', delayFault));
  }
  for (const [index, cluster] of clusters.entries()) {
    statistics.push(...upstream(cluster, clusterStatsOffset(COMMANDS.length, numbers[index]), sum));
  }
  return statistics;
}

/** Envoy's statistics of TLS: `listener.<stat_prefix>.ssl.handshake`, `cluster.<name>.ssl.handshake`. */
function ssl(side: 'listener' | 'cluster', of: string, counter: CounterName, value: number): Statistic {
  const word = counter.replace(/^(?:down|up)stream_ssl_/, '');
  return {
    name: `${side}.${of}.ssl.${word}`,
    value,
    metric: `envoy_${side}_ssl_${word}`,
    labels: side === 'listener' ? { envoy_listener_address: of } : { envoy_cluster_name: of },
    type: 'counter',
  };
}

/** Envoy's name for whether a circuit breaker is open: 1 when it is in any worker. */
function breaker(cluster: string, counter: CounterName, open: number): Statistic {
  const word = counter.slice(BREAKERS.length);
  return {
    name: `cluster.${cluster}.circuit_breakers.default.${word}`,
    value: Math.min(1, open),
    metric: `envoy_cluster_circuit_breakers_default_${word}`,
    labels: { envoy_cluster_name: cluster },
    type: 'gauge',
  };
}

function upstream(cluster: string, offset: number, sum: (index: number) => number): Statistic[] {
  const value = (counter: CounterName) => sum(Counter[counter] + offset);
  const classes = answerClasses(
    cluster,
    value('upstream_rq_total'),
    value('upstream_rq_error'),
    value('upstream_rq_failure'),
  );
  const counters = UPSTREAM_COUNTERS.map((counter): Statistic => {
    if (counter.startsWith('upstream_ssl_')) return ssl('cluster', cluster, counter, value(counter));
    if (counter.startsWith(BREAKERS)) return breaker(cluster, counter, value(counter));
    const inner = REDIS_CLUSTER.has(counter);
    return {
      name: `cluster.${cluster}.${inner ? 'redis_cluster.' : ''}${counter}`,
      value: value(counter),
      metric: `envoy_cluster_${inner ? 'redis_cluster_' : ''}${counter}`,
      labels: { envoy_cluster_name: cluster },
      type: GAUGES.has(counter) ? 'gauge' : 'counter',
    };
  });
  return [...counters, ...classes];
}

/** The times that the workers have measured; those of commands that were never given are left out. */
export function collectTimes(
  workers: readonly SharedArrayBuffer[],
  prefix: string,
  clusters: readonly string[],
  learned: readonly CommandSpec[],
  numbers: readonly number[],
  micros: boolean,
): TimeStatistic[] {
  const arrays = workers.map((memory) => new Float64Array(memory));
  const read = (at: number) => {
    const histogram = new Histogram();
    for (const array of arrays) histogram.add(array, at);
    return histogram;
  };
  const unit = micros ? 'us' : 'ms';
  const all = read(downstreamTimesAt(COMMANDS.length));
  const times: TimeStatistic[] = [
    {
      name: `redis.${prefix}.downstream_rq_time`,
      metric: 'envoy_redis_downstream_rq_time',
      labels: { envoy_redis_prefix: prefix },
      type: 'histogram',
      histogram: all,
      unit,
    },
  ];
  for (const [id, { name }] of [...COMMANDS, ...OWN_COMMANDS, ...learned].entries()) {
    const at = commandStatAt(id);
    if (arrays.every((array) => array[at] === 0)) continue;
    const histogram = read(commandTimesAt(COMMANDS.length, id));
    if (histogram.count === 0) continue;
    all.merge(histogram);
    const command = name.replace('|', '_');
    times.push({
      name: `redis.${prefix}.command.${command}.latency`,
      metric: 'envoy_redis_command_latency',
      labels: { envoy_redis_prefix: prefix, envoy_redis_command: command },
      type: 'histogram',
      histogram,
      unit,
    });
  }
  for (const [index, cluster] of clusters.entries()) {
    times.push({
      name: `cluster.${cluster}.upstream_rq_time`,
      metric: 'envoy_cluster_upstream_rq_time',
      labels: { envoy_cluster_name: cluster },
      type: 'histogram',
      histogram: read(upstreamTimesAt(COMMANDS.length, numbers[index])),
      unit: 'ms',
    });
  }
  return times;
}

/** Envoy's classes of answers: a reply, an error of a node, an error of the proxy's own. */
function answerClasses(cluster: string, total: number, errors: number, failures: number): Statistic[] {
  const one = (digit: string, value: number): Statistic => ({
    name: `cluster.${cluster}.upstream_rq_${digit}xx`,
    value: Math.max(0, value),
    metric: 'envoy_cluster_upstream_rq_xx',
    // Dashboards ask for either.
    labels: { envoy_cluster_name: cluster, envoy_response_code_class: digit, response_code_class: digit },
    type: 'counter',
  });
  return [one('2', total - errors - failures), one('4', errors), one('5', failures)];
}

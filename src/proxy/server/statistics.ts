import { OWN_COMMANDS } from '../engine/commands/own.js';
import type { CommandSpec } from '../engine/commands/spec.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import {
  Counter,
  type CounterName,
  clusterStatsOffset,
  commandStatAt,
  DOWNSTREAM_COUNTERS,
  GAUGES,
  statsLength,
  UPSTREAM_COUNTERS,
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

/** Statistics that Envoy keeps below `cluster.<name>.redis_cluster.`. */
const REDIS_CLUSTER: ReadonlySet<CounterName> = new Set<CounterName>([
  'upstream_cx_drained',
  'max_upstream_unknown_connections_reached',
  'connection_rate_limited',
]);

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

function upstream(cluster: string, offset: number, sum: (index: number) => number): Statistic[] {
  return UPSTREAM_COUNTERS.map((counter) => {
    if (counter.startsWith('upstream_ssl_')) return ssl('cluster', cluster, counter, sum(Counter[counter] + offset));
    const inner = REDIS_CLUSTER.has(counter);
    return {
      name: `cluster.${cluster}.${inner ? 'redis_cluster.' : ''}${counter}`,
      value: sum(Counter[counter] + offset),
      metric: `envoy_cluster_${inner ? 'redis_cluster_' : ''}${counter}`,
      labels: { envoy_cluster_name: cluster },
      type: GAUGES.has(counter) ? 'gauge' : 'counter',
    };
  });
}

/** `name: value` lines, as Envoy prints them. */
export function asText(statistics: readonly Statistic[]): string {
  return [...statistics]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, value }) => `${name}: ${value}\n`)
    .join('');
}

export function asJson(statistics: readonly Statistic[]): string {
  return JSON.stringify({ stats: statistics.map(({ name, value }) => ({ name, value })) });
}

/** Prometheus's text format, version 0.0.4. */
export function asPrometheus(statistics: readonly Statistic[]): string {
  const families = new Map<string, Statistic[]>();
  for (const statistic of statistics) {
    const family = families.get(statistic.metric);
    if (family === undefined) families.set(statistic.metric, [statistic]);
    else family.push(statistic);
  }
  let text = '';
  for (const [metric, family] of families) {
    text += `# TYPE ${metric} ${family[0].type}\n`;
    for (const { labels, value } of family) {
      const pairs = Object.entries(labels).map(([key, label]) => `${key}="${label.replace(/["\\\n]/g, '\\$&')}"`);
      text += `${metric}{${pairs.join(',')}} ${value}\n`;
    }
  }
  return text;
}

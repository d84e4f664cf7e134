import type { Histogram } from '../../engine/observe/histogram.js';
import type { Statistic, TimeStatistic } from '../statistics.js';
import { helpFor } from './help.js';

/** What Envoy shows of a histogram, as shares of all. */
const QUANTILES = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1];

/** Upper bounds of the buckets that Prometheus gets, in milliseconds; there are eight times as many inside. */
export const BUCKET_BOUNDS_MS = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
];

const MICROS_PER_UNIT = { us: 1, ms: 1000 } as const;

/** A histogram with what it was in the last interval. */
export interface TimesShown extends TimeStatistic {
  /** Null as long as no interval is over. */
  readonly recent: Histogram | null;
}

/** Three digits behind the point at most. */
const short = (value: number) => (Number.isNaN(value) ? 'nan' : String(Number(value.toFixed(3))));

function quantile(histogram: Histogram | null, share: number, unit: TimeStatistic['unit']): number {
  return histogram === null ? Number.NaN : histogram.quantile(share) / MICROS_PER_UNIT[unit];
}

/** `P50(in the last interval,since the start)`, as Envoy prints it. */
function summary({ histogram, recent, unit }: TimesShown): string {
  if (histogram.count === 0) return 'No recorded values';
  return QUANTILES.map((share) => {
    const [last, all] = [recent, histogram].map((each) => short(quantile(each, share, unit)));
    return `P${Number((share * 100).toFixed(1))}(${last},${all})`;
  }).join(' ');
}

/** `name: value` lines, as Envoy prints them: histograms last. */
export function asText(statistics: readonly Statistic[], times: readonly TimesShown[]): string {
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  const numbers = [...statistics].sort(byName).map(({ name, value }) => `${name}: ${value}\n`);
  const histograms = [...times].sort(byName).map((each) => `${each.name}: ${summary(each)}\n`);
  return [...numbers, ...histograms].join('');
}

/** Envoy's document; it says nothing of units, so neither does this one beyond `unit`. */
export function asJson(statistics: readonly Statistic[], times: readonly TimesShown[]): string {
  const numbers = statistics.map(({ name, value }) => ({ name, value }));
  const orNull = (value: number) => (Number.isNaN(value) ? null : Number(value.toFixed(3)));
  const histograms = {
    supported_quantiles: QUANTILES.map((share) => Number((share * 100).toFixed(1))),
    computed_quantiles: times.map(({ name, histogram, recent, unit }) => ({
      name,
      unit,
      count: histogram.count,
      values: QUANTILES.map((share) => ({
        interval: orNull(quantile(recent, share, unit)),
        cumulative: orNull(quantile(histogram, share, unit)),
      })),
    })),
  };
  return JSON.stringify({ stats: times.length === 0 ? numbers : [...numbers, { histograms }] });
}

const pairs = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([key, label]) => `${key}="${label.replace(/["\\\n]/g, escaped)}"`);

const escaped = (character: string) => (character === '\n' ? '\\n' : `\\${character}`);

/**
 * A name that ends in `_total` is a counter's for Prometheus, and a counter's name ends so. Envoy's names do not keep to
 * it, and dashboards are made for Envoy's names; so those that break the rule say no type.
 */
function prometheusType({ metric, type }: Statistic | TimeStatistic): string {
  if (type === 'histogram') return type;
  return metric.endsWith('_total') === (type === 'counter') ? type : 'untyped';
}

const SECONDS_PER_DAY = 86_400;

/** Prometheus wants seconds, whatever Envoy counts in. */
function inBaseUnit(statistic: Statistic): Statistic {
  const { metric, value } = statistic;
  if (!metric.includes('_days_')) return statistic;
  return { ...statistic, metric: metric.replace('_days_', '_seconds_'), value: value * SECONDS_PER_DAY };
}

function samples({ metric, labels, value }: Statistic): string {
  return `${metric}{${pairs(labels).join(',')}} ${value}\n`;
}

function histogramSamples({ metric, labels, histogram, unit }: TimeStatistic): string {
  const own = pairs(labels);
  const counts = histogram.cumulative(BUCKET_BOUNDS_MS.map((bound) => bound * 1000));
  const perUnit = MICROS_PER_UNIT[unit];
  let text = '';
  BUCKET_BOUNDS_MS.forEach((bound, index) => {
    text += `${metric}_bucket{${[...own, `le="${(bound * 1000) / perUnit}"`].join(',')}} ${counts[index]}\n`;
  });
  text += `${metric}_bucket{${[...own, 'le="+Inf"'].join(',')}} ${histogram.count}\n`;
  text += `${metric}_sum{${own.join(',')}} ${histogram.sumMicros / perUnit}\n`;
  return `${text}${metric}_count{${own.join(',')}} ${histogram.count}\n`;
}

/** Prometheus's text format, version 0.0.4. */
export function asPrometheus(statistics: readonly Statistic[], times: readonly TimeStatistic[]): string {
  const families = new Map<string, (Statistic | TimeStatistic)[]>();
  for (const statistic of [...statistics.map(inBaseUnit), ...times]) {
    const family = families.get(statistic.metric);
    if (family === undefined) families.set(statistic.metric, [statistic]);
    else family.push(statistic);
  }
  let text = '';
  for (const [metric, family] of families) {
    text += `# HELP ${metric} ${helpFor(family[0].name).replace(/[\\\n]/g, escaped)}\n`;
    text += `# TYPE ${metric} ${prometheusType(family[0])}\n`;
    for (const each of family) text += each.type === 'histogram' ? histogramSamples(each) : samples(each);
  }
  return text;
}

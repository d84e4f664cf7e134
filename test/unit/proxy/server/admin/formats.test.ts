import { describe, expect, it } from 'vitest';
import { HISTOGRAM_LENGTH, Histogram, record } from '../../../../../src/proxy/engine/observe/histogram.js';
import { asJson, asPrometheus, asText, type TimesShown } from '../../../../../src/proxy/server/admin/formats.js';
import { helpFor, kindOf } from '../../../../../src/proxy/server/admin/help.js';
import { Resets } from '../../../../../src/proxy/server/admin/resets.js';
import type { Statistic } from '../../../../../src/proxy/server/statistics.js';

function histogram(...ms: number[]): Histogram {
  const numbers = new Float64Array(HISTOGRAM_LENGTH);
  for (const each of ms) record(numbers, 0, each);
  const read = new Histogram();
  read.add(numbers, 0);
  return read;
}

const times = (unit: 'ms' | 'us', all: Histogram, recent: Histogram | null = null): TimesShown => ({
  name: 'redis.p.command.get.latency',
  metric: 'envoy_redis_command_latency',
  labels: { envoy_redis_command: 'get' },
  type: 'histogram',
  histogram: all,
  recent,
  unit,
});

const number = (name: string, metric: string, value: number, type: 'counter' | 'gauge' = 'counter'): Statistic => ({
  name,
  metric,
  value,
  labels: {},
  type,
});

describe('a histogram as text', () => {
  it('shows the last interval and all times, in its unit', () => {
    const all = histogram(1, 1, 1, 100);
    expect(asText([], [times('ms', all, histogram(100))])).toMatch(
      /^redis\.p\.command\.get\.latency: P0\(102\.4,0\.99\d?\) P25\(102\.4,0\.99\d?\) P50.* P100\(102\.4,102\.4\)\n$/,
    );
    expect(asText([], [times('us', all)])).toMatch(/: P0\(nan,99\d\) .* P100\(nan,102400\)\n$/);
  });

  it('says when nothing was measured', () => {
    expect(asText([], [times('ms', new Histogram())])).toBe('redis.p.command.get.latency: No recorded values\n');
    const [{ histograms }] = JSON.parse(asJson([], [times('ms', new Histogram())])).stats;
    expect(histograms.computed_quantiles[0].values[0]).toEqual({ interval: null, cumulative: null });
  });
});

describe('Prometheus', () => {
  it('gets bounds, sums and times in the unit of the histogram', () => {
    const all = histogram(0.2, 3, 3, 70_000);
    const ms = asPrometheus([], [times('ms', all)]);
    expect(ms).toContain('_bucket{envoy_redis_command="get",le="0.25"} 1\n');
    expect(ms).toContain('_bucket{envoy_redis_command="get",le="5"} 3\n');
    expect(ms).toContain('_bucket{envoy_redis_command="get",le="60000"} 3\n');
    expect(ms).toContain('_bucket{envoy_redis_command="get",le="+Inf"} 4\n');
    expect(ms).toContain('_sum{envoy_redis_command="get"} 70006.2\n');
    expect(asPrometheus([], [times('us', all)])).toContain('le="250"} 1\n');
    expect(asPrometheus([], [times('us', all)])).toContain('_sum{envoy_redis_command="get"} 70006200\n');
  });

  it('is told no type where Envoy’s name is against its rules', () => {
    const text = asPrometheus(
      [
        number('cluster.c.upstream_cx_total', 'envoy_cluster_upstream_cx_total', 1),
        number('cluster.c.upstream_rq_timeout', 'envoy_cluster_upstream_rq_timeout', 1),
        number('cluster.c.membership_total', 'envoy_cluster_membership_total', 1, 'gauge'),
        number('cluster.c.upstream_cx_active', 'envoy_cluster_upstream_cx_active', 1, 'gauge'),
      ],
      [],
    );
    expect([...text.matchAll(/# TYPE \S+ (\w+)/g)].map(([, type]) => type)).toEqual([
      'counter',
      'untyped',
      'untyped',
      'gauge',
    ]);
  });

  it('gets labels that no name can break out of, and seconds for days', () => {
    const hostile = { ...number('cluster.c.upstream_cx_total', 'm_total', 1), labels: { name: 'a"b\\c\nd' } };
    expect(asPrometheus([hostile], [])).toContain('m_total{name="a\\"b\\\\c\\nd"} 1\n');
    const days = number(
      'server.days_until_first_cert_expiring',
      'envoy_server_days_until_first_cert_expiring',
      2,
      'gauge',
    );
    expect(asPrometheus([days], [])).toContain('envoy_server_seconds_until_first_cert_expiring{} 172800\n');
  });
});

describe('the kind of a statistic', () => {
  it('is its name without prefix, command and cluster, whatever these are called', () => {
    expect(kindOf('redis.p.downstream_rq_total')).toBe('downstream_rq_total');
    expect(kindOf('redis.p.splitter.invalid_request')).toBe('splitter.invalid_request');
    expect(kindOf('redis.p.command.ft.search.latency')).toBe('command.latency');
    expect(kindOf('cluster.a.b.c.upstream_rq_time')).toBe('upstream_rq_time');
    expect(kindOf('cluster.redis_cluster.redis_cluster.upstream_cx_drained')).toBe('redis_cluster.upstream_cx_drained');
    expect(kindOf('server.live')).toBe('server.live');
    expect(helpFor('cluster.x.something_new_here')).toBe('something new here');
  });
});

describe('a reset', () => {
  it('shows counters and times from 0, gauges as they are, and never less than 0', () => {
    const resets = new Resets();
    const before = [number('a', 'a_total', 10), number('g', 'g', 7, 'gauge')];
    resets.reset(before, [times('ms', histogram(1, 2, 3))]);
    expect(before.map((each) => resets.counter(each).value)).toEqual([0, 7]);
    expect(resets.counter(number('a', 'a_total', 12)).value).toBe(2);
    expect(resets.counter(number('a', 'a_total', 3)).value).toBe(0);
    expect(resets.counter(number('b', 'b_total', 3)).value).toBe(3);
    const now = resets.time(times('ms', histogram(1, 2, 3, 50)));
    expect(now.histogram.count).toBe(1);
    expect(now.histogram.quantile(0)).toBeGreaterThan(45_000);
  });
});

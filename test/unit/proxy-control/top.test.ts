import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareSamples } from '../../../src/proxy/control/top/report.js';
import {
  type HostSample,
  readClusters,
  readHotKeys,
  readStatistics,
  type Sample,
} from '../../../src/proxy/control/top/sample.js';
import {
  bytes,
  commandTable,
  duration,
  headLines,
  hotKeyTable,
  milliseconds,
  rate,
  upstreamTable,
} from '../../../src/proxy/control/top/tables.js';

const P = 'redis.egress_redis.';

const sample = (atMs: number, numbers: Record<string, number>, changes: Partial<Sample> = {}): Sample => ({
  atMs,
  version: '1.2.3',
  pid: 7,
  state: 'LIVE',
  numbers: new Map(Object.entries({ 'server.uptime': Math.floor(atMs / 1000), ...numbers })),
  times: new Map(),
  clusters: [],
  hotKeys: [],
  ...changes,
});

const host = (address: string, changes: Partial<HostSample> = {}): HostSample => ({
  address,
  role: 'master',
  connections: 1,
  inFlight: 0,
  waiting: 0,
  health: 'healthy',
  ...changes,
});

describe('the pages of a proxy', () => {
  it('give numbers, and the times of the last interval in milliseconds, whatever their unit', () => {
    const { numbers, times } = readStatistics({
      stats: [
        { name: 'server.uptime', value: 5 },
        {
          histograms: {
            supported_quantiles: [0, 50, 99],
            computed_quantiles: [
              {
                name: 'a',
                unit: 'ms',
                values: [{}, { interval: 1.5, cumulative: 9 }, { interval: 20, cumulative: 9 }],
              },
              { name: 'b', unit: 'us', values: [{}, { interval: 1500 }, { interval: null }] },
            ],
          },
        },
      ],
    });
    expect([...numbers]).toEqual([['server.uptime', 5]]);
    expect(times.get('a')).toEqual({ p50Ms: 1.5, p99Ms: 20 });
    expect(times.get('b')).toEqual({ p50Ms: 1.5, p99Ms: null });
  });

  it('tell one cluster alone, and several in a list', () => {
    const one = {
      name: 'main',
      type: 'sharded',
      last_error: '',
      hosts: [{ address: 'h:1', role: 'master', cx_active: 2 }],
    };
    const read = {
      name: 'main',
      type: 'sharded',
      lastError: '',
      hosts: [{ address: 'h:1', role: 'master', connections: 2, inFlight: 0, waiting: 0, health: '' }],
    };
    expect(readClusters(one)).toEqual([read]);
    expect(readClusters({ clusters: [one, one] })).toEqual([read, read]);
  });

  it('may be anything else, and break nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        const read = { ...readStatistics(document), clusters: readClusters(document), hotKeys: readHotKeys(document) };
        const whole = sample(2000, {}, read);
        for (const report of [compareSamples(undefined, whole), compareSamples(sample(1000, {}), whole)]) {
          headLines(report);
          for (const table of [commandTable(report, 3), upstreamTable(report, 3), hotKeyTable(report.hotKeys)]) {
            for (const row of table.rows) expect(row).toHaveLength(table.columns.length);
          }
        }
      }),
    );
  });
});

describe('what happened between two samples', () => {
  it('is told as rates of the time between them', () => {
    const before = sample(10_000, { [`${P}downstream_rq_total`]: 100, [`${P}command.get.total`]: 60 });
    const after = sample(12_500, {
      [`${P}downstream_rq_total`]: 600,
      [`${P}downstream_cx_active`]: 3,
      [`${P}command.get.total`]: 310,
      [`${P}command.get.error`]: 5,
      // Not given before.
      [`${P}command.set.total`]: 250,
    });
    const report = compareSamples(before, after);
    expect(report.seconds).toBe(2.5);
    expect(report.clients).toMatchObject({ connections: 3, perSecond: 200 });
    expect(report.commands).toEqual([
      { command: 'get', perSecond: 100, errorsPerSecond: 2, total: 310, p50Ms: null, p99Ms: null },
      { command: 'set', perSecond: 100, errorsPerSecond: 0, total: 250, p50Ms: null, p99Ms: null },
    ]);
  });

  it('is unknown of the first sample, and of another process', () => {
    const numbers = { [`${P}downstream_rq_total`]: 100 };
    const rates = (before: Sample | undefined, after: Sample) => {
      const { seconds, clients } = compareSamples(before, after);
      return [seconds, clients.perSecond];
    };
    const after = sample(12_000, numbers);
    expect(rates(undefined, after)).toEqual([0, 0]);
    expect(rates(sample(10_000, {}, { pid: 6 }), after)).toEqual([0, 0]);
    // The same number in another container, or two processes that answer by turns: the uptime does not fit.
    expect(rates(sample(10_000, { 'server.uptime': 5000 }), after)).toEqual([0, 0]);
    expect(rates(sample(10_000, {}), sample(12_000, { ...numbers, 'server.uptime': 5000 }))).toEqual([0, 0]);
    expect(rates(after, after)).toEqual([0, 0]);
    expect(rates(sample(10_000, {}), after)).toEqual([2, 50]);
  });

  it('is never less than nothing: counters that were reset count from 0', () => {
    const before = sample(10_000, { [`${P}command.get.total`]: 1_000_000 });
    const after = sample(11_000, { [`${P}command.get.total`]: 40 });
    expect(compareSamples(before, after).commands[0]).toMatchObject({ perSecond: 40 });
  });

  it('knows commands with points in their names, and prefixes with them', () => {
    const prefix = 'redis.team.a.';
    const after = sample(
      2000,
      {
        [`${prefix}command.json.get.total`]: 9,
        [`${prefix}downstream_rq_total`]: 9,
        'cluster.a.b.upstream_rq_total': 8,
      },
      {
        times: new Map([[`${prefix}command.json.get.latency`, { p50Ms: 1, p99Ms: 2 }]]),
        clusters: [{ name: 'a.b', type: 'sharded', lastError: '', hosts: [] }],
      },
    );
    const report = compareSamples(sample(1000, {}), after);
    expect(report.clients.perSecond).toBe(9);
    expect(report.commands).toMatchObject([{ command: 'json.get', perSecond: 9, p99Ms: 2 }]);
    expect(report.upstreams).toMatchObject([{ cluster: 'a.b', perSecond: 8 }]);
  });

  it('is ordered as asked', () => {
    const numbers = Object.fromEntries(
      ['a', 'b', 'c'].flatMap((name, i) => [
        [`${P}command.${name}.total`, 10 * (i + 1)],
        [`${P}command.${name}.error`, 5 - i],
      ]),
    );
    const times = new Map([
      [`${P}command.b.latency`, { p50Ms: 1, p99Ms: 90 }],
      [`${P}command.c.latency`, { p50Ms: 1, p99Ms: 5 }],
    ]);
    const order = (by: 'rate' | 'p99' | 'errors') =>
      compareSamples(sample(1000, {}), sample(2000, numbers, { times }), by).commands.map(({ command }) => command);
    expect(order('rate')).toEqual(['c', 'b', 'a']);
    expect(order('p99')).toEqual(['b', 'c', 'a']);
    expect(order('errors')).toEqual(['a', 'b', 'c']);
  });

  it('shows first the nodes that are not well, then those that most waits for', () => {
    const hosts = [
      host('h:1'),
      host('h:2', { inFlight: 4 }),
      host('h:3', { inFlight: 1, waiting: 9 }),
      host('h:4', { health: '/failed_connect' }),
    ];
    const after = sample(2000, {}, { clusters: [{ name: 'main', type: 'redis_cluster', lastError: '', hosts }] });
    const report = compareSamples(sample(1000, {}), after);
    expect(report.upstreams[0]?.hosts.map(({ address }) => address)).toEqual(['h:4', 'h:3', 'h:2', 'h:1']);
    const { rows, hidden } = upstreamTable(report, 2);
    expect(rows.map(([first]) => first)).toEqual(['main', '  h:4', '  h:3']);
    expect(rows[1]?.at(-1)).toBe('master /failed_connect');
    expect(hidden).toBe(2);
  });
});

describe('the tables', () => {
  it('say "-" where nothing is known, and 0 where it is nothing', () => {
    const after = sample(2000, { [`${P}command.get.total`]: 3, [`${P}downstream_rq_total`]: 3 });
    expect(commandTable(compareSamples(undefined, after), 5).rows).toEqual([['get', '-', '-', '-', '-', '-', '3']]);
    expect(commandTable(compareSamples(sample(1000, {}), after), 5).rows).toEqual([
      ['get', '3.00', '100%', '0', '-', '-', '3'],
    ]);
    expect(headLines(compareSamples(undefined, after))[1]).toContain('commands/s -');
  });

  it('show why a topology cannot be read in the place of its type', () => {
    const clusters = [{ name: 'main', type: 'redis_cluster', lastError: 'connection refused', hosts: [] }];
    const { rows } = upstreamTable(compareSamples(undefined, sample(1000, {}, { clusters })), 5);
    expect(rows[0]?.at(-1)).toBe('connection refused');
  });

  it.each([
    [0, '0'],
    [0.254, '0.25'],
    [8.31, '8.31'],
    [9.999, '10.0'],
    [99.96, '100'],
    [950, '950'],
    [999.6, '1.00k'],
    [31_240, '31.2k'],
    [999_950, '1.00M'],
    [1_254_000, '1.25M'],
    [2.5e9, '2.50G'],
  ])('show a rate of %d as %s', (value, shown) => {
    expect(rate(value)).toBe(shown);
  });

  it('show times, sizes and durations in few characters', () => {
    expect([null, 0.021, 4.352, 11.776, 1500].map(milliseconds)).toEqual(['-', '0.02', '4.35', '11.8', '1500']);
    expect([0, 999, 999.6, 82_804_736, 5e15].map(bytes)).toEqual(['0 B', '999 B', '1.00 kB', '82.8 MB', '5000 TB']);
    expect([0, 59, 61, 3600, 90_061].map(duration)).toEqual(['0 s', '59 s', '1 min 1 s', '1 h 0 min', '1 d 1 h']);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../../src/drills/histogram.js';
import { ERROR_KINDS_MAX, Meter } from '../../../src/drills/meter.js';

describe('a histogram', () => {
  it('gives percentiles that are at most 1.6 % too high, and never too low', () => {
    const values = fc.array(fc.integer({ min: 0, max: 2 ** 34 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (all, part) => {
        const histogram = new Histogram();
        for (const value of all) histogram.record(value);
        const sorted = [...all].sort((one, other) => one - other);
        const right = sorted[Math.max(1, Math.ceil(part * all.length)) - 1] as number;
        const found = histogram.percentile(part);
        expect(found).toBeGreaterThanOrEqual(right);
        expect(found).toBeLessThanOrEqual(right * (1 + 1 / 64) + 1);
        expect(histogram.max).toBe(sorted.at(-1));
        expect(histogram.count).toBe(all.length);
      }),
    );
  });

  it('adds up', () => {
    const one = new Histogram();
    const other = new Histogram();
    for (let i = 1; i <= 100; i++) (i % 2 === 0 ? one : other).record(i);
    one.add(other);
    expect([one.count, one.max, one.percentile(0.5), one.percentile(1)]).toEqual([100, 100, 50, 100]);
    expect(new Histogram().percentile(0.99)).toBe(0);
  });
});

describe('a meter', () => {
  it('counts by the second, and errors by kind', () => {
    const meter = new Meter(1_000);
    meter.begin('a', 1_000);
    meter.success('a', 1_000, 1_010);
    meter.begin('a', 3_100);
    meter.error('CLUSTERDOWN', 'CLUSTERDOWN the cluster is down', 3_105);
    const seconds = meter.seconds();
    expect(seconds.map(({ operations, errors }) => [operations, errors])).toEqual([
      [1, 0],
      [0, 0],
      [0, 1],
    ]);
    expect(seconds[0]).toMatchObject({ second: 0, p50: 10, max: 10 });
    expect(meter.errors).toEqual({ CLUSTERDOWN: 1 });
    expect(meter.errorExamples).toEqual({ CLUSTERDOWN: 'CLUSTERDOWN the cluster is down' });
    expect(meter.total().count).toBe(1);
  });

  it('measures the longest pause from the first attempt to the next success', () => {
    const meter = new Meter(0);
    meter.begin('a', 100);
    meter.error('timeout', '', 400);
    meter.begin('a', 420);
    meter.success('a', 420, 600);
    meter.begin('b', 700);
    meter.success('b', 700, 710);
    expect(meter.longestPause(10_000)).toEqual({ client: 'a', ms: 500, untilMs: 600 });
    // Who still tries has had no success for as long.
    meter.begin('b', 800);
    expect(meter.longestPause(2_000)).toEqual({ client: 'b', ms: 1_200, untilMs: 2_000 });
  });

  it('knows who has not been served yet, and counts pauses from when it is told to', () => {
    const meter = new Meter(0);
    expect(meter.newcomers).toBe(0);
    meter.begin('a', 0);
    meter.begin('b', 0);
    meter.error('connect', '', 900);
    expect(meter.newcomers).toBe(2);
    meter.success('a', 0, 1_000);
    meter.begin('a', 1_001);
    expect(meter.newcomers).toBe(1);
    meter.success('b', 0, 1_500);
    expect(meter.newcomers).toBe(0);
    meter.forgetPauses(1_600);
    expect(meter.longestPause(1_650)).toEqual({ client: 'a', ms: 50, untilMs: 1_650 });
    meter.success('a', 1_001, 1_700);
    expect(meter.longestPause(9_000)).toEqual({ client: 'a', ms: 100, untilMs: 1_700 });
    expect(meter.errors).toEqual({ connect: 1 });
  });

  it('keeps so many kinds of errors', () => {
    const meter = new Meter(0);
    for (let i = 0; i < ERROR_KINDS_MAX + 10; i++) meter.error(`E${i}`, '', 0);
    expect(Object.keys(meter.errors)).toHaveLength(ERROR_KINDS_MAX + 1);
    expect(meter.errors['others']).toBe(10);
  });
});

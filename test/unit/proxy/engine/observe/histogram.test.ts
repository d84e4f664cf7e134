import { describe, expect, it } from 'vitest';
import {
  BUCKETS,
  bucketMiddle,
  bucketOf,
  bucketStart,
  HISTOGRAM_LENGTH,
  Histogram,
  record,
} from '../../../../../src/proxy/engine/observe/histogram.js';
import { Random } from '../support/random.js';

const MICROS_MAX = 2 ** 27 - 1;

describe('the buckets', () => {
  it('follow one another without a gap, from 0 to 134 seconds', () => {
    expect(bucketStart(0)).toBe(0);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const start = bucketStart(bucket);
      const end = bucketStart(bucket + 1);
      expect(end).toBeGreaterThan(start);
      expect([bucketOf(start), bucketOf(end - 1)]).toEqual([bucket, bucket]);
    }
    expect(bucketOf(MICROS_MAX)).toBe(BUCKETS - 1);
    expect(bucketStart(BUCKETS)).toBe(MICROS_MAX + 1);
  });

  it('have middles that are within 6.3 % of everything in them, from 8 µs on', () => {
    for (let bucket = bucketOf(8); bucket < BUCKETS; bucket++) {
      const middle = bucketMiddle(bucket);
      expect((middle - bucketStart(bucket)) / bucketStart(bucket)).toBeLessThanOrEqual(0.0625);
      expect((bucketStart(bucket + 1) - middle) / bucketStart(bucket + 1)).toBeLessThanOrEqual(0.0625);
    }
  });
});

/** Times as they come: many short, few long. */
function draw(random: Random, count: number): number[] {
  const scale = 10 ** (random.next() * 4);
  return Array.from({ length: count }, () => 8 + Math.floor(scale * -Math.log(1 - random.next()) * 10));
}

describe('percentiles', () => {
  it('are within 6.3 % of the exact ones, whatever was measured', () => {
    const random = new Random(1);
    for (let round = 0; round < 200; round++) {
      const micros = draw(random, random.int(1, 3000));
      const numbers = new Float64Array(HISTOGRAM_LENGTH);
      // A hair above, for the fraction that is cut off.
      for (const each of micros) record(numbers, 0, (each + 0.01) / 1000);
      const histogram = new Histogram();
      histogram.add(numbers, 0);
      const sorted = [...micros].sort((a, b) => a - b);
      for (const share of [0, 0.5, 0.9, 0.99, 0.999, 1]) {
        const exact = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
        expect(Math.abs(histogram.quantile(share) - exact) / exact, `${share} of ${micros.length}`).toBeLessThan(0.063);
      }
      expect(histogram.count).toBe(micros.length);
      expect(histogram.sumMicros).toBe(micros.reduce((sum, each) => sum + each, 0));
    }
  });

  it('of nothing are no number', () => {
    expect(new Histogram().quantile(0.5)).toBeNaN();
  });
});

describe('a time', () => {
  const measured = (...ms: number[]) => {
    const numbers = new Float64Array(HISTOGRAM_LENGTH + 3);
    for (const each of ms) record(numbers, 3, each);
    const histogram = new Histogram();
    histogram.add(numbers, 3);
    expect([...numbers.subarray(0, 3)]).toEqual([0, 0, 0]);
    return histogram;
  };

  it('that is longer than all buckets is in the last one', () => {
    for (const ms of [134_217, 200_000, 1e9, 1e15, Number.POSITIVE_INFINITY]) {
      const histogram = measured(ms);
      expect(histogram.buckets[BUCKETS - 1], `${ms}`).toBe(1);
      expect(histogram.count).toBe(1);
    }
  });

  it('of less than a microsecond is in the first', () => {
    expect(measured(0, 0.0004).buckets[0]).toBe(2);
  });

  it('may stand for several', () => {
    const numbers = new Float64Array(HISTOGRAM_LENGTH);
    record(numbers, 0, 1.5, 40);
    const histogram = new Histogram();
    histogram.add(numbers, 0);
    expect([histogram.count, histogram.sumMicros]).toEqual([40, 60_000]);
  });
});

describe('histograms', () => {
  it('are added, and taken away again', () => {
    const [a, b] = [new Float64Array(HISTOGRAM_LENGTH), new Float64Array(HISTOGRAM_LENGTH)];
    for (let i = 0; i < 100; i++) {
      record(a, 0, i);
      record(b, 0, 1000 + i);
    }
    const both = new Histogram();
    both.add(a, 0);
    both.add(b, 0);
    expect(both.count).toBe(200);
    expect(both.quantile(0.25)).toBeLessThan(60_000);
    const first = new Histogram();
    first.add(a, 0);
    both.merge(first, -1);
    expect(both.count).toBe(100);
    expect(both.quantile(0)).toBeGreaterThan(900_000);
  });

  it('say how many do not exceed a bound, within what a bucket is wide', () => {
    const random = new Random(2);
    const micros = draw(random, 5000);
    const numbers = new Float64Array(HISTOGRAM_LENGTH);
    for (const each of micros) record(numbers, 0, (each + 0.01) / 1000);
    const histogram = new Histogram();
    histogram.add(numbers, 0);
    const bounds = [100, 250, 1000, 5000, 100_000, 10_000_000];
    const counts = histogram.cumulative(bounds);
    bounds.forEach((bound, index) => {
      const exactly = (factor: number) => micros.filter((each) => each <= bound * factor).length;
      expect(counts[index]).toBeGreaterThanOrEqual(exactly(1 - 0.063));
      expect(counts[index]).toBeLessThanOrEqual(exactly(1 + 0.063));
    });
    expect([...counts].sort((x, y) => x - y)).toEqual(counts);
    expect(counts.at(-1)).toBe(5000);
  });
});

/**
 * Times in buckets: every power of two of microseconds is divided into eight, so a percentile is within 6.3 % of the
 * exact one whatever its size, from 8 µs (below, within half a microsecond) to 134 s (more is counted there). One
 * thread writes into shared memory and others read: `[sum in µs, count of bucket 0, …]`. A reader sees each number as
 * it was at some moment of its reading, which is all that a statistic needs.
 */
const SUB_BUCKETS_LOG2 = 3;
const SUB_BUCKETS = 1 << SUB_BUCKETS_LOG2;
/** `31 - SUB_BUCKETS_LOG2`: from the leading zeros of a number to how far it is shifted. */
const SHIFT_BASE = 28;
const BITS = 27;
const MICROS_MAX = 2 ** BITS - 1;
const MS_MAX = Math.floor(MICROS_MAX / 1000);

export const BUCKETS = (BITS - SUB_BUCKETS_LOG2 + 1) * SUB_BUCKETS;

/** Numbers that one histogram takes. */
export const HISTOGRAM_LENGTH = 1 + BUCKETS;

/** The bucket of a time in whole microseconds, 0 to `MICROS_MAX`. */
export function bucketOf(micros: number): number {
  if (micros < SUB_BUCKETS) return micros;
  const shift = SHIFT_BASE - Math.clz32(micros);
  return (shift << SUB_BUCKETS_LOG2) + (micros >> shift);
}

/** The least microseconds of a bucket; those of the next one are where it ends. */
export function bucketStart(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket;
  const shift = (bucket >> SUB_BUCKETS_LOG2) - 1;
  return (bucket - (shift << SUB_BUCKETS_LOG2)) * 2 ** shift;
}

/** What stands for all times of a bucket: its middle. */
export function bucketMiddle(bucket: number): number {
  return (bucketStart(bucket) + bucketStart(bucket + 1)) / 2;
}

/** Counts a time of so many milliseconds, `times` times, in the histogram that begins at `numbers[at]`. */
export function record(numbers: Float64Array, at: number, ms: number, times = 1): void {
  const micros = ms < MS_MAX ? (ms * 1000) | 0 : MICROS_MAX;
  numbers[at] += micros * times;
  numbers[at + 1 + bucketOf(micros)] += times;
}

/** What a reader has: one histogram, or the sum of several. */
export class Histogram {
  count = 0;
  sumMicros = 0;
  readonly buckets = new Float64Array(BUCKETS);

  /** Adds the histogram that begins at `numbers[at]`. */
  add(numbers: Float64Array, at: number): void {
    this.sumMicros += numbers[at];
    for (let i = 0; i < BUCKETS; i++) {
      const count = numbers[at + 1 + i];
      this.buckets[i] += count;
      this.count += count;
    }
  }

  /** Adds another one, `times` times: -1 takes it away, what was counted before. */
  merge(other: Histogram, times = 1): void {
    this.sumMicros += other.sumMicros * times;
    this.count += other.count * times;
    for (let i = 0; i < BUCKETS; i++) this.buckets[i] += other.buckets[i] * times;
  }

  /** The time in microseconds that a share of all (0 to 1) does not exceed; NaN when there is none. */
  quantile(share: number): number {
    if (this.count <= 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.buckets[i];
      if (seen >= rank) return bucketMiddle(i);
    }
    return bucketMiddle(BUCKETS - 1);
  }

  /** How many do not exceed each of these microseconds, which rise; a bucket counts by its middle. */
  cumulative(boundsMicros: readonly number[]): number[] {
    const counts: number[] = [];
    let bucket = 0;
    let seen = 0;
    for (const bound of boundsMicros) {
      while (bucket < BUCKETS && bucketMiddle(bucket) <= bound) seen += this.buckets[bucket++];
      counts.push(seen);
    }
    return counts;
  }
}

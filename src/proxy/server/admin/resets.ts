import { Histogram } from '../../engine/observe/histogram.js';
import type { Statistic, TimeStatistic } from '../statistics.js';

/** Values of counters when they were last set to 0. The workers go on counting: nothing is written under their hands. */
export class Resets {
  private counters = new Map<string, number>();
  private times = new Map<string, Histogram>();

  reset(counters: readonly Statistic[], times: readonly TimeStatistic[]): void {
    this.counters = new Map(counters.filter(({ type }) => type === 'counter').map(({ name, value }) => [name, value]));
    this.times = new Map(times.map(({ name, histogram }) => [name, histogram]));
  }

  counter(statistic: Statistic): Statistic {
    const before = this.counters.get(statistic.name);
    return before === undefined ? statistic : { ...statistic, value: Math.max(0, statistic.value - before) };
  }

  time(statistic: TimeStatistic): TimeStatistic {
    const before = this.times.get(statistic.name);
    if (before === undefined) return statistic;
    const histogram = new Histogram();
    histogram.merge(statistic.histogram);
    histogram.merge(before, -1);
    return { ...statistic, histogram };
  }
}

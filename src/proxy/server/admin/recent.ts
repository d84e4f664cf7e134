import { Histogram } from '../../engine/observe/histogram.js';
import type { TimeStatistic } from '../statistics.js';

/** As long as Envoy's. */
const INTERVAL_MS = 5000;

/** The times of the last whole interval, beside those since the start: what is shown of the present. */
export class Recent {
  private before = new Map<string, Histogram>();
  private last = new Map<string, Histogram>();
  private intervals = 0;
  private readonly timer: ReturnType<typeof setInterval>;

  constructor(private readonly collect: () => readonly TimeStatistic[]) {
    this.timer = setInterval(() => this.take(), INTERVAL_MS);
    this.timer.unref();
  }

  private take(): void {
    const now = new Map<string, Histogram>();
    this.last = new Map();
    for (const { name, histogram } of this.collect()) {
      now.set(name, histogram);
      const before = this.before.get(name);
      if (histogram.count === (before?.count ?? 0)) continue;
      const difference = new Histogram();
      difference.merge(histogram);
      if (before !== undefined) difference.merge(before, -1);
      this.last.set(name, difference);
    }
    this.before = now;
    this.intervals++;
  }

  /** Null when nothing was measured, or no interval is over. The first one began with the process. */
  of(name: string): Histogram | null {
    return this.intervals === 0 ? null : (this.last.get(name) ?? null);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

import type { Logger } from '../logger.js';

/** The periodic refresh comes up to this share earlier or later, so that proxies do not ask in step. */
const JITTER = 0.2;
/** A refresh that failed is tried again after so many times the least interval. */
const AFTER_FAILURE = 5;

export interface RefresherOptions {
  /** What is refreshed, for the log. */
  readonly what: string;
  /** Milliseconds between two refreshes when nothing calls for one … */
  readonly rateMs: number;
  /** … and at least, whatever calls for it. */
  readonly intervalMs: number;
  readonly logger: Logger;
  refresh(): Promise<void>;
}

/** Refreshes something at a rate and when asked: one at a time, and one more behind it for all who ask meanwhile. */
export class Refresher {
  readMs = 0;
  refreshes = 0;
  failures = 0;
  lastError = '';
  private running = false;
  private wanted = false;
  private stopped = false;
  private startedMs = Number.NEGATIVE_INFINITY;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly options: RefresherOptions) {}

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  request(): void {
    this.wanted = true;
    if (this.running) return;
    this.schedule(Math.max(0, this.options.intervalMs - (performance.now() - this.startedMs)));
  }

  private schedule(delayMs: number): void {
    if (this.stopped) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), delayMs);
  }

  private async run(): Promise<void> {
    const { what, rateMs, intervalMs, logger } = this.options;
    this.timer = null;
    this.running = true;
    this.wanted = false;
    this.startedMs = performance.now();
    try {
      await this.options.refresh();
      this.refreshes++;
      this.readMs = performance.now();
      if (this.lastError !== '') logger.info(`${what}: can be read again`);
      this.lastError = '';
    } catch (error) {
      this.failures++;
      const { message } = error as Error;
      if (message !== this.lastError) logger.warn(`${what}: ${message}`);
      this.lastError = message;
    }
    this.running = false;
    const jitter = 1 + (Math.random() * 2 - 1) * JITTER;
    if (this.lastError !== '') this.schedule(Math.min(rateMs, intervalMs * AFTER_FAILURE) * jitter);
    else this.schedule((this.wanted ? intervalMs : rateMs) * jitter);
  }
}

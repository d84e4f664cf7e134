import { Refresher, type RefresherOptions } from './refresher.js';
import type { HostSource } from './sharded.js';

/** Finds servers by asking again and again. */
export abstract class RefreshedHosts implements HostSource {
  private readonly refresher: Refresher;

  constructor(options: Omit<RefresherOptions, 'refresh'>) {
    this.refresher = new Refresher({ ...options, refresh: () => this.refresh() });
  }

  /** Asks, and tells of what was found. A failure is noted with its message, and tried again. */
  protected abstract refresh(): Promise<void>;

  get readMs(): number {
    return this.refresher.readMs;
  }
  get refreshes(): number {
    return this.refresher.refreshes;
  }
  get failures(): number {
    return this.refresher.failures;
  }
  get lastError(): string {
    return this.refresher.lastError;
  }

  start(): void {
    this.refresher.request();
  }

  stop(): void {
    this.refresher.stop();
  }

  /** A connection failed, or there is other news: what was found may be another one by now. */
  request(): void {
    this.refresher.request();
  }
}

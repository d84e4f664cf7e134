import type { OverloadConfig } from '../config/limits.js';
import { type Ledger, Overload } from '../engine/admission/ledger.js';
import type { Logger } from './logger.js';

/** What was begun at a threshold ends so many points below it, so that it does not come and go. */
const HYSTERESIS = 5;
const PERCENT = 100;

export interface OverloadOptions {
  readonly ledger: Ledger;
  readonly workers: number;
  readonly logger: Logger;
}

/**
 * Measures memory and workers, and says when new connections and then new commands are refused. The workers read it in
 * the memory that they share.
 */
export class OverloadManager {
  private config: OverloadConfig | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;
  /** Percent of what is the most; the highest of them decides. */
  private memoryPressure = 0;
  private lagPressure = 0;

  constructor(private readonly options: OverloadOptions) {}

  /** From here on; `undefined`: nothing is measured. */
  configure(config: OverloadConfig | undefined): void {
    if (JSON.stringify(config) === JSON.stringify(this.config)) return;
    this.config = config;
    this.stop();
    if (config === undefined) {
      this.memoryPressure = this.lagPressure = 0;
      this.say(Overload.none);
      return;
    }
    this.timer = setInterval(() => this.measure(), config.refresh_interval);
    this.timer.unref();
    this.measure();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private measure(): void {
    const { config, options } = this;
    if (config === undefined) return;
    const { max_resident_bytes: mostBytes, max_event_loop_lag: mostMs } = config;
    const rss = process.memoryUsage.rss();
    this.memoryPressure = mostBytes === undefined ? 0 : (rss / mostBytes) * PERCENT;
    this.lagPressure = mostMs === undefined ? 0 : (this.lagMs / mostMs) * PERCENT;
    const pressure = Math.max(this.memoryPressure, this.lagPressure);
    const { overload: now } = options.ledger;
    const reached = (threshold: number, level: number) => pressure >= threshold - (now >= level ? HYSTERESIS : 0);
    let level: number = Overload.none;
    if (reached(config.stop_accepting_requests_threshold, Overload.refuseCommands)) level = Overload.refuseCommands;
    else if (reached(config.stop_accepting_connections_threshold, Overload.refuseConnections))
      level = Overload.refuseConnections;
    this.say(level);
  }

  private say(level: number): void {
    const { ledger, logger } = this.options;
    if (level === ledger.overload) return;
    const fields = { memory: this.memoryPercent, event_loop: Math.round(this.lagPressure) };
    if (level === Overload.none) logger.info('overload is over: everything is served again', fields);
    else if (level === Overload.refuseCommands)
      logger.warn('overload: new connections and commands are refused', fields);
    else logger.warn('overload: new connections are refused', fields);
    ledger.overload = level;
  }

  /** How late the timers of the worker are that is the latest. */
  get lagMs(): number {
    let lag = 0;
    for (let worker = 0; worker < this.options.workers; worker++)
      lag = Math.max(lag, this.options.ledger.lagOf(worker));
    return lag;
  }

  private get memoryPercent(): number {
    return Math.round(this.memoryPressure);
  }

  /** Envoy's names for them, without `overload.`. */
  statistics(): { readonly name: string; readonly value: number }[] {
    const { overload } = this.options.ledger;
    const actions = 'envoy.overload_actions';
    return [
      { name: `${actions}.stop_accepting_connections.active`, value: Number(overload >= Overload.refuseConnections) },
      { name: `${actions}.stop_accepting_requests.active`, value: Number(overload >= Overload.refuseCommands) },
      { name: 'envoy.resource_monitors.fixed_heap.pressure', value: this.memoryPercent },
      { name: 'event_loop_lag.pressure', value: Math.round(this.lagPressure) },
    ];
  }
}

/** What a worker is told about what it observes. */
export interface ObserveSettings {
  /** The downstream time is kept for each command; otherwise for all together. */
  readonly commandTimes: boolean;
  /** Commands that take longer are in the slow log, microseconds; 0: all, below 0: none (`slowlog_log_slower_than`). */
  readonly slowerThanMicros: number;
  /** Entries of the slow log (`slowlog_max_len`). */
  readonly slowMax: number;
  /** Commands that are looked at for hot keys, a second; 0: none. */
  readonly hotKeySamples: number;
  /** Over how long hot keys are judged, milliseconds. */
  readonly hotKeysWindowMs: number;
  /** Commands and replies of that size or more are noted, bytes; 0: none. */
  readonly bigValueBytes: number;
}

/** Nothing but the times. */
export const OBSERVE_TIMES: ObserveSettings = {
  commandTimes: true,
  slowerThanMicros: -1,
  slowMax: 0,
  hotKeySamples: 0,
  hotKeysWindowMs: 60_000,
  bigValueBytes: 0,
};

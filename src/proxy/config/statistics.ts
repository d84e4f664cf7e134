import * as z from 'zod/mini';
import { duration, whole, withDefault } from './values.js';

/** An hour, in microseconds. */
const SLOW_MICROS_MAX = 3_600_000_000;
const SLOW_ENTRIES_MAX = 10_000;
const SAMPLES_MAX = 100_000;
const VALUE_BYTES_MAX = 2 ** 31 - 2;

/** What is measured beyond the counters, and how it is shown. */
export const statistics = z.prefault(
  z.strictObject({
    /** The downstream time is kept for each command; otherwise for all together. */
    enable_command_stats: withDefault(z.boolean(), true),
    /** Downstream times are shown in microseconds. */
    latency_in_micros: withDefault(z.boolean(), false),
    /** Microseconds, as Redis has it; -1: no slow log, 0: all commands. */
    slowlog_log_slower_than: withDefault(whole(-1, SLOW_MICROS_MAX), 10_000),
    /** Entries of each worker. */
    slowlog_max_len: withDefault(whole(0, SLOW_ENTRIES_MAX), 128),
    /** Commands of each worker that are looked at for hot keys; 0: none. */
    hot_key_samples_per_second: withDefault(whole(0, SAMPLES_MAX), 1000),
    hot_key_window: withDefault(duration(1000, 3_600_000), 60_000),
    /** 0: none are noted. */
    big_value_bytes: withDefault(whole(0, VALUE_BYTES_MAX), 1024 * 1024),
  }),
  {},
);

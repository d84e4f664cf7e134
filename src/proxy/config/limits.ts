/** How many clients a listener takes and how much they may do, and what happens when the proxy itself has too much. */
import * as z from 'zod/mini';
import { duration, whole, withDefault } from './values.js';

const CONNECTIONS_MAX = 10_000_000;
const RATE_MAX = 1_000_000_000;
const PIPELINE_MAX = 1024 * 1024;
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
/** A single argument may have 512 MiB; a command of several has a bound of its own only here. */
const REQUEST_BYTES_MAX = 4096 * MIB;
const OUTPUT_BYTES_MIN = 16 * 1024;
const OUTPUT_BYTES_MAX = 1024 ** 4;
const BYTES_PER_SECOND_MIN = 1024;
const BYTES_PER_SECOND_MAX = 1024 ** 4;

const outputBytes = z.int().check(z.minimum(OUTPUT_BYTES_MIN), z.maximum(OUTPUT_BYTES_MAX));

/** Limits of a user, over all workers. */
const userLimitShape = {
  max_connections: z.optional(whole(1, CONNECTIONS_MAX)),
  commands_per_second: z.optional(whole(1, RATE_MAX)),
  /** Of commands and of replies together. */
  bytes_per_second: z.optional(z.int().check(z.minimum(BYTES_PER_SECOND_MIN), z.maximum(BYTES_PER_SECOND_MAX))),
};
export const userLimits = z.optional(z.strictObject(userLimitShape));
export type UserLimitsConfig = NonNullable<z.infer<typeof userLimits>>;

/** Both or none. */
const softTogether = z.refine<{ soft_bytes?: number | undefined; soft_seconds?: number | undefined }>(
  ({ soft_bytes, soft_seconds }) => (soft_bytes === undefined) === (soft_seconds === undefined),
  'soft_bytes and soft_seconds belong together; give both or none',
);
const softShape = { soft_bytes: z.optional(outputBytes), soft_seconds: z.optional(whole(1, 3600)) };

/** `listeners[].limits` */
export const listenerLimits = z.prefault(
  z.strictObject({
    max_connections: z.optional(whole(1, CONNECTIONS_MAX)),
    max_connections_per_address: z.optional(whole(1, CONNECTIONS_MAX)),
    connection_rate_limit: z.optional(
      z.strictObject({
        connection_rate_limit_per_sec: whole(1, RATE_MAX),
        /** Connections that may come at once; a second's worth when not given. */
        burst: z.optional(whole(1, RATE_MAX)),
      }),
    ),
    max_request_bytes: z.optional(z.int().check(z.minimum(MIB), z.maximum(REQUEST_BYTES_MAX))),
    max_pipeline_depth: withDefault(whole(1, PIPELINE_MAX), 16_384),
    max_output_buffer: z.optional(
      z.strictObject({ hard_bytes: z.optional(outputBytes), ...softShape }).check(
        softTogether,
        z.refine(
          ({ hard_bytes = OUTPUT_BYTES_MAX, soft_bytes = 0 }) => soft_bytes <= hard_bytes,
          'soft_bytes is more than hard_bytes',
        ),
      ),
    ),
    /** Beside `pubsub_output_buffer_limit`, which is the hard one. */
    pubsub_output_buffer: z.optional(z.strictObject(softShape).check(softTogether)),
    /** 0: never. */
    idle_timeout: withDefault(duration(0, 365 * DAY_MS), 0),
    auth_timeout: withDefault(duration(100, DAY_MS), 10_000),
    request_timeout: withDefault(duration(100, DAY_MS), 60_000),
    per_user: userLimits,
  }),
  {},
);

/** `overload` */
export const overload = z.optional(
  z
    .strictObject({
      max_resident_bytes: z.optional(z.int().check(z.minimum(16 * MIB), z.maximum(2 ** 52))),
      max_event_loop_lag: z.optional(duration(10, 60_000)),
      refresh_interval: withDefault(duration(50, 60_000), 250),
      /** Percent of what is the most. */
      stop_accepting_connections_threshold: withDefault(whole(1, 100), 90),
      stop_accepting_requests_threshold: withDefault(whole(1, 100), 98),
    })
    .check(
      z.refine(
        ({ max_resident_bytes, max_event_loop_lag }) =>
          max_resident_bytes !== undefined || max_event_loop_lag !== undefined,
        'needs max_resident_bytes or max_event_loop_lag',
      ),
      z.refine(
        (each) => each.stop_accepting_connections_threshold <= each.stop_accepting_requests_threshold,
        'connections are refused before commands: stop_accepting_connections_threshold is above stop_accepting_requests_threshold',
      ),
    ),
);
export type OverloadConfig = NonNullable<z.infer<typeof overload>>;

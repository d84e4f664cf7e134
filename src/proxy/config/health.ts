/** Health of a cluster's hosts, and what protects them: health checks, outlier detection, circuit breakers. */
import * as z from 'zod/mini';
import { duration, oneOf, whole, withDefault } from './values.js';

const HOUR_MS = 3_600_000;
const THRESHOLD_MAX = 1000;
const KEY_CHARACTERS_MAX = 1024;
const PERCENT_MAX = 100;
const CONNECTIONS_MAX = 1_000_000;
const REQUESTS_MAX = 16_777_216;
const BYTES_MAX = 1024 ** 4;

const healthCheck = z
  .strictObject({
    /** For one check, connecting counted in. */
    timeout: withDefault(duration(1, 600_000), 1000),
    interval: withDefault(duration(10, HOUR_MS), 5000),
    /** Up to so much is added to each interval. */
    interval_jitter: withDefault(duration(0, HOUR_MS), 0),
    /** Checks in a row that fail before a host counts as unhealthy, and that succeed before it is healthy again. */
    unhealthy_threshold: withDefault(whole(1, THRESHOLD_MAX), 2),
    healthy_threshold: withDefault(whole(1, THRESHOLD_MAX), 2),
    /** With a key: `EXISTS key` in place of PING. A host that has the key is being drained. */
    redis_health_check: z.optional(
      z.strictObject({ key: z.optional(z.string().check(z.minLength(1), z.maxLength(KEY_CHARACTERS_MAX))) }),
    ),
  })
  .check(
    z.refine((check) => check.timeout <= check.interval, {
      path: ['timeout'],
      message: 'more than the interval',
    }),
  );

/** Active checks: at most one kind. */
export const healthChecks = withDefault(z.array(healthCheck).check(z.maxLength(1, 'at most one health check')), []);

/** Failures that the workers see. None without this. */
export const outlierDetection = z.optional(
  z
    .strictObject({
      /** Connects that fail, commands that time out, connections that close with commands on them: so many in a row. */
      consecutive_local_origin_failure: withDefault(whole(1, THRESHOLD_MAX), 5),
      /** How often it is looked whose time is over. */
      interval: withDefault(duration(10, HOUR_MS), 10_000),
      /** Times the number of ejections in a row. */
      base_ejection_time: withDefault(duration(10, HOUR_MS), 30_000),
      max_ejection_time: withDefault(duration(10, 24 * HOUR_MS), 300_000),
      /** Share of the hosts that may be ejected at once; one may always be. */
      max_ejection_percent: withDefault(whole(0, PERCENT_MAX), 10),
      /** Percent of the detected hosts that are really ejected; 0 only counts them. */
      enforcing_consecutive_local_origin_failure: withDefault(whole(0, PERCENT_MAX), 100),
      successful_active_health_check_uneject_host: withDefault(z.boolean(), true),
    })
    .check(
      z.refine((each) => each.base_ejection_time <= each.max_ejection_time, {
        path: ['base_ejection_time'],
        message: 'more than max_ejection_time',
      }),
    ),
);

/** What becomes of the keys of an unhealthy host, for `sharded`. */
export const unhealthyHosts = z.optional(oneOf(['FAIL_FAST', 'REHASH']));

const threshold = z.strictObject({
  max_connections: z.optional(whole(1, CONNECTIONS_MAX)),
  max_pending_requests: z.optional(whole(1, REQUESTS_MAX)),
  max_pending_bytes: z.optional(z.int().check(z.minimum(1), z.maximum(BYTES_MAX))),
  max_requests: z.optional(whole(1, REQUESTS_MAX)),
  max_retries: z.optional(whole(0, REQUESTS_MAX)),
});

/** Bounds of one worker; without one of them its default holds. */
export const circuitBreakers = z.optional(
  z.strictObject({ thresholds: withDefault(z.array(threshold).check(z.maxLength(1, 'at most one threshold')), []) }),
);

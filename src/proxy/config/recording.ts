import * as z from 'zod/mini';
import { percent } from './fraction.js';
import { duration, name, oneOf, secret, whole, withDefault } from './values.js';

const HEADERS_MAX = 32;
const QUEUE_MAX = 1_000_000;
const HOUR_MS = 3_600_000;

/** Commands that are written down, one line each. */
export const accessLog = z.strictObject({
  /** A file, or `stderr`. */
  path: name,
  /** Percent of the commands. */
  sample: withDefault(percent, 100),
  format: withDefault(oneOf(['json', 'text']), 'json'),
  /** The first key of each command is in it; keys may hold personal data. */
  include_keys: withDefault(z.boolean(), false),
  /** Only commands that were answered with an error, or are slow. */
  errors_only: withDefault(z.boolean(), false),
  /** Only commands that took longer; with `errors_only` also those that failed sooner. */
  slower_than: z.optional(duration(0, HOUR_MS)),
});

const endpoint = z.string().check(
  z.refine((text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
  }, 'an address such as http://collector:4318/v1/traces, without a login'),
);

/** Commands that become spans of OpenTelemetry. */
export const tracing = z.strictObject({
  /** Where OTLP/HTTP is spoken, with its path. */
  otlp_endpoint: endpoint,
  headers: withDefault(
    z
      .record(z.string().check(z.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "a header's name")), secret)
      .check(z.refine((headers) => Object.keys(headers).length <= HEADERS_MAX, `at most ${HEADERS_MAX}`)),
    {},
  ),
  /** Percent of the commands. */
  sample: withDefault(percent, 1),
  service_name: withDefault(name, 'forge-proxy'),
  /** For one request to the collector. */
  timeout: withDefault(duration(100, 60_000), 10_000),
  /** Spans that wait to be sent; more are dropped. */
  max_queue: withDefault(whole(1, QUEUE_MAX), 16_384),
  /** Spans of one request. */
  max_batch: withDefault(whole(1, 8192), 512),
});

export type AccessLogConfig = z.infer<typeof accessLog>;
export type TracingConfig = z.infer<typeof tracing>;

/** What forge.yaml says of monitoring beside where it is deployed: who is watched, and when to raise an alert. Pure. */
import * as z from 'zod/mini';
import { address, duration, exactlyOne, oneOf, whole } from '../proxy/config/values.js';
import { secretPlace } from './schema-values.js';

const TARGETS_MAX = 1_000;
const HOUR_MS = 3_600_000;
const YEAR_DAYS = 365;

const percent = whole(1, 99);
const hostName = z
  .string({ error: 'an address or a host name, without a port' })
  .check(z.regex(/^[A-Za-z0-9_.:-]{1,253}$/, 'an address or a host name, without a port'));

/** Versions by which the configuration differs: with 0.28, every secret may be in a file. */
export const ALERTMANAGER_VERSIONS = ['0.25', '0.28'] as const;
export type AlertmanagerVersion = (typeof ALERTMANAGER_VERSIONS)[number];

const PLAIN_ADDRESS = 'http:// or https:// and a host, without user, password and ?; an address with a secret: url';

/** Where alerts are sent as JSON. */
export const webhook = z
  .strictObject({
    url: z.optional(secretPlace),
    address: z.optional(z.string().check(z.regex(/^https?:\/\/[^\s@?#]{1,1000}$/, PLAIN_ADDRESS))),
  })
  .check(exactlyOne('url, address'));

const thresholds = z.strictObject({
  memory_percent: z.optional(percent),
  replication_lag: z.optional(duration(1_000, HOUR_MS)),
  evictions_per_second: z.optional(whole(0, 10_000_000)),
  slowlog_per_minute: z.optional(whole(1, 1_000_000)),
  proxy_failure_percent: z.optional(percent),
  proxy_p99_ms: z.optional(whole(1, 60_000)),
  backup_age: z.optional(duration(60_000, YEAR_DAYS * 24 * HOUR_MS)),
  certificate_days: z.optional(whole(4, YEAR_DAYS)),
  disk_percent: z.optional(whole(1, 94)),
});

/** When to raise an alert; durations in milliseconds. */
export type Thresholds = z.infer<typeof thresholds>;

/** Fields of `monitoring` that are about what is watched. */
export const watchFields = {
  /** Further hosts with a node exporter: of proxies, of the machine that takes backups. */
  hosts: z.optional(z.array(hostName).check(z.maxLength(TARGETS_MAX))),
  /** Admin addresses of proxies. */
  proxies: z.optional(z.array(address).check(z.maxLength(TARGETS_MAX))),
  alertmanagers: z.optional(z.array(address).check(z.maxLength(TARGETS_MAX))),
  alertmanager_version: z.optional(oneOf(ALERTMANAGER_VERSIONS)),
  /** Where docs/alerts.md can be read: its address. */
  runbooks: z.optional(z.string().check(z.regex(/^[^\s#"]{1,500}$/, 'an address without # and blanks'))),
  thresholds: z.optional(thresholds),
};

/** Health checks, outlier detection and circuit breakers of one Envoy cluster. */
import type { Fields } from './fields.js';
import { typedConfig } from './values.js';

const HOUR_MS = 3_600_000;
const TIMEOUT_MS_MAX = 600_000;
const THRESHOLD_MAX = 1000;
const COUNT_MAX = 1_000_000;
const CHECKER = 'envoy.health_checkers.redis';
const PRIORITIES = ['DEFAULT', 'HIGH'];

type Settings = Record<string, unknown>;

/** What of it has a place in our configuration. */
export function readHealth(of: Fields, sharded: boolean): Settings {
  const health_checks = readChecks(of);
  const outlier_detection = readOutliers(of);
  const looked = health_checks !== undefined || outlier_detection !== undefined;
  return {
    health_checks,
    outlier_detection,
    // Envoy's way with hosts that are not well.
    unhealthy_hosts: looked && sharded ? 'REHASH' : undefined,
    circuit_breakers: readBreakers(of),
  };
}

function readChecks(of: Fields): Settings[] | undefined {
  const found: Settings[] = [];
  for (const check of of.messages('health_checks')) {
    const custom = check.message('custom_health_check');
    const isRedis = custom?.text('name') === CHECKER || check.has('redis_health_check');
    if (!isRedis || found.length > 0) {
      of.notes.add(check.path, 'not carried over: one check of Redis (PING, or EXISTS of a key) is made here');
      continue;
    }
    const typed = custom === undefined ? check.message('redis_health_check') : typedConfig(custom)?.fields;
    const key = typed?.text('key');
    const interval = check.duration('interval', 10, HOUR_MS);
    found.push(
      set({
        timeout: check.duration('timeout', 1, TIMEOUT_MS_MAX),
        interval,
        interval_jitter: check.duration('interval_jitter', 0, HOUR_MS),
        unhealthy_threshold: check.whole('unhealthy_threshold', 1, THRESHOLD_MAX),
        healthy_threshold: check.whole('healthy_threshold', 1, THRESHOLD_MAX),
        redis_health_check: key === undefined || key === '' ? undefined : { key },
      }),
    );
    typed?.rest();
    custom?.rest();
    check.rest();
  }
  return found.length === 0 ? undefined : found;
}

function readOutliers(of: Fields): Settings | undefined {
  const outlier = of.message('outlier_detection');
  if (outlier === undefined) return undefined;
  // Without the split, Envoy counts failures to reach a host among these.
  const mixed = outlier.whole('consecutive_5xx', 1, THRESHOLD_MAX);
  const own = outlier.whole('consecutive_local_origin_failure', 1, THRESHOLD_MAX);
  const split = outlier.flag('split_external_local_origin_errors') === true;
  const percent = (name: string) => outlier.whole(name, 0, 100);
  const enforcing = percent('enforcing_consecutive_5xx');
  const enforcingOwn = percent('enforcing_consecutive_local_origin_failure');
  const settings = set({
    consecutive_local_origin_failure: split ? own : mixed,
    interval: outlier.duration('interval', 10, HOUR_MS),
    base_ejection_time: outlier.duration('base_ejection_time', 10, HOUR_MS),
    max_ejection_time: outlier.duration('max_ejection_time', 10, 24 * HOUR_MS),
    max_ejection_percent: percent('max_ejection_percent'),
    enforcing_consecutive_local_origin_failure: split ? enforcingOwn : enforcing,
    successful_active_health_check_uneject_host: outlier.flag('successful_active_health_check_uneject_host'),
  });
  outlier.rest();
  return settings;
}

function readBreakers(of: Fields): Settings | undefined {
  const breakers = of.message('circuit_breakers');
  if (breakers === undefined) return undefined;
  const found: Settings[] = [];
  for (const threshold of breakers.messages('thresholds')) {
    if ((threshold.word('priority', PRIORITIES) ?? 'DEFAULT') !== 'DEFAULT' || found.length > 0) {
      of.notes.add(threshold.path, 'not carried over: there are no priorities here');
      continue;
    }
    const settings = set({
      max_connections: threshold.whole('max_connections', 1, COUNT_MAX),
      max_pending_requests: threshold.whole('max_pending_requests', 1, COUNT_MAX),
      max_requests: threshold.whole('max_requests', 1, COUNT_MAX),
      max_retries: threshold.whole('max_retries', 0, COUNT_MAX),
    });
    threshold.rest();
    if (Object.keys(settings).length === 0) continue;
    of.notes.add(threshold.path, 'holds for each worker here, in Envoy for all together');
    found.push(settings);
  }
  breakers.rest();
  return found.length === 0 ? undefined : { thresholds: found };
}

/** Without what is not set. */
function set(settings: Settings): Settings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

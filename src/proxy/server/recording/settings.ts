import type { ProxyConfig } from '../../config/schema.js';
import type { TraceSettings } from '../../engine/trace/settings.js';

/** What the workers record. */
export function recordedBy({ access_log: log, tracing }: ProxyConfig): TraceSettings {
  return {
    accessLog:
      log === undefined || log.sample === 0
        ? null
        : {
            every: 100 / log.sample,
            format: log.format,
            includeKeys: log.include_keys,
            errorsOnly: log.errors_only,
            slowerThanMs: log.slower_than ?? -1,
          },
    tracing: tracing === undefined || tracing.sample === 0 ? null : { every: 100 / tracing.sample },
  };
}

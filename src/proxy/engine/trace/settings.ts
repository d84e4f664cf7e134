/** What a worker is told about its access log. */
export interface AccessLogSettings {
  /** One command in so many, on average; at least 1. */
  readonly every: number;
  readonly format: 'json' | 'text';
  /** The first key of each command is in the log: keys may hold personal data. */
  readonly includeKeys: boolean;
  /** Only commands that were answered with an error. */
  readonly errorsOnly: boolean;
  /** Only commands that took longer, milliseconds; below 0: all. With `errorsOnly`, either suffices. */
  readonly slowerThanMs: number;
}

/** What a worker is told about tracing. */
export interface TracingSettings {
  /** One command in so many, on average; at least 1. */
  readonly every: number;
}

/** Sampled commands that are recorded; null: none. */
export interface TraceSettings {
  readonly accessLog: AccessLogSettings | null;
  readonly tracing: TracingSettings | null;
}

/** What a worker has recorded: lines of the access log, each with its end, and spans in OTLP's JSON. */
export interface Recorded {
  readonly lines: readonly string[];
  readonly spans: readonly string[];
  /** What there was no room for. */
  readonly droppedLines: number;
  readonly droppedSpans: number;
}

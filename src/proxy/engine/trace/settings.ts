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

/** What a worker has recorded. */
export interface Recorded {
  /** Lines of the access log, each with its end. */
  readonly lines: string;
  readonly lineCount: number;
  /** Spans in OTLP's JSON: those of one command on a line, with commas between them, and how many they are. */
  readonly spans: string;
  readonly spanCounts: readonly number[];
  /** What there was no room for. */
  readonly droppedLines: number;
  readonly droppedSpans: number;
}

import { jsonLine, textLine } from './log-lines.js';
import type { LogLevel } from './messages.js';
import type { LineSink } from './recording/line-sink.js';
import { standardError } from './recording/standard-error.js';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export type LogFormat = 'text' | 'json';

const FIELDS_MAX = 32;

/** One line per event on standard error: time, level, message, fields. What cannot be written is dropped and counted. */
export class Logger {
  private threshold: number;

  constructor(
    level: LogLevel,
    public format: LogFormat = 'text',
    private readonly sink: LineSink = standardError(),
  ) {
    this.threshold = LEVELS.indexOf(level);
  }

  /** What is said from here on. */
  set level(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  /** Lines that nobody took. */
  get dropped(): number {
    return this.sink.dropped;
  }

  log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
    if (LEVELS.indexOf(level) < this.threshold) return;
    const line = this.format === 'json' ? jsonLine : textLine;
    this.sink.write(line(new Date().toISOString(), level, message, Object.entries(fields).slice(0, FIELDS_MAX)));
  }

  info(message: string, fields?: Record<string, unknown>): void {
    this.log('info', message, fields);
  }
  warn(message: string, fields?: Record<string, unknown>): void {
    this.log('warn', message, fields);
  }
  error(message: string, fields?: Record<string, unknown>): void {
    this.log('error', message, fields);
  }
}

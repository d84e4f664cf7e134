import type { LogLevel } from './messages.js';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** One line per event on standard error: time, level, message, fields as key=value. */
export class Logger {
  private threshold: number;

  constructor(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  /** What is said from here on. */
  set level(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
    if (LEVELS.indexOf(level) < this.threshold) return;
    let line = `${new Date().toISOString()} ${level} ${message}`;
    for (const [key, value] of Object.entries(fields)) {
      const text = String(value);
      line += ` ${key}=${/^[\w.:@/[\]-]+$/.test(text) ? text : JSON.stringify(text)}`;
    }
    process.stderr.write(`${line}\n`);
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

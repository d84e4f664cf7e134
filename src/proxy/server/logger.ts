import { escaped } from '../engine/trace/escaped.js';
import type { LogLevel } from './messages.js';
import type { LineSink } from './recording/line-sink.js';
import { standardError } from './recording/standard-error.js';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export type LogFormat = 'text' | 'json';

/** Characters of one value and of one message; the rest is cut. */
const VALUE_CHARACTERS_MAX = 2048;
const MESSAGE_CHARACTERS_MAX = 4096;
const FIELDS_MAX = 32;
/** Values that are written bare in a line of text. */
const BARE = /^[\w.:@/[\]-]+$/;
/** What a line has of its own: a field of that name gets another one. */
const OWN: ReadonlySet<string> = new Set(['time', 'level', 'message']);

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

type Fields = readonly (readonly [string, unknown])[];

/** `2026-01-31T12:00:00.000Z info message key=value key="a value"` */
export function textLine(time: string, level: LogLevel, message: string, fields: Fields): string {
  // A message is the proxy's own; only what would break the line is escaped.
  let line = `${time} ${level} ${escaped(cut(message, MESSAGE_CHARACTERS_MAX)).replaceAll('\\"', '"')}`;
  for (const [key, value] of fields) {
    const text = cut(String(value), VALUE_CHARACTERS_MAX);
    line += ` ${key}=${BARE.test(text) ? text : `"${escaped(text)}"`}`;
  }
  return `${line}\n`;
}

/** One JSON object: `time` (RFC 3339, milliseconds), `level`, `message`, and the fields beside them. */
export function jsonLine(time: string, level: LogLevel, message: string, fields: Fields): string {
  const object: Record<string, unknown> = { time, level, message: cut(message, MESSAGE_CHARACTERS_MAX) };
  for (const [key, value] of fields) {
    const plain = typeof value === 'number' || typeof value === 'boolean';
    object[OWN.has(key) ? `${key}_` : key] = plain ? value : cut(String(value), VALUE_CHARACTERS_MAX);
  }
  return `${JSON.stringify(object)}\n`;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}... (${text.length - most} more)`;
}

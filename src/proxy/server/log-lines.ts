import { escaped } from '../engine/trace/escaped.js';
import type { LogLevel } from './messages.js';

/** Characters of one value and of one message; the rest is cut. */
const VALUE_CHARACTERS_MAX = 2048;
const MESSAGE_CHARACTERS_MAX = 4096;
/** Values that are written bare in a line of text. */
const BARE = /^[\w.:@/[\]-]+$/;
/** What a line has of its own: a field of that name gets another one. */
const OWN: ReadonlySet<string> = new Set(['time', 'level', 'message']);

/** As much of the log as is needed by those who only warn. */
export interface WarningLog {
  warn(message: string, fields?: Record<string, unknown>): void;
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

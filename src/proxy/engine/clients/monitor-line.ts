import { type Bytes, equalsIgnoreCase } from '../bytes.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** Longer arguments are cut, and more are only counted: a line is for people. */
const ARGUMENT_BYTES_MAX = 4096;
const ARGUMENTS_MAX = 1024;

const REDACTED = '"(redacted)"';

/**
 * One command as MONITOR shows it: `+1339518083.107412 [0 127.0.0.1:60866] "set" "k" "v"`, as text of one character a
 * byte. Secrets are left out.
 */
export function monitorLine(
  unixMilliseconds: number,
  address: string,
  name: string,
  bytes: Bytes,
  frame: RequestFrame,
): string {
  const seconds = Math.floor(unixMilliseconds / 1000);
  const micros = Math.floor((unixMilliseconds - seconds * 1000) * 1000);
  const secret = secretArguments(name, bytes, frame);
  let line = `+${seconds}.${String(micros).padStart(6, '0')} [0 ${address}]`;
  const shown = Math.min(frame.count, ARGUMENTS_MAX);
  for (let i = 0; i < shown; i++) {
    line += ` ${secret?.has(i) ? REDACTED : quoted(bytes, frame.starts[i], frame.ends[i])}`;
  }
  if (shown < frame.count) line += ` "... (${frame.count - shown} more arguments)"`;
  return `${line}\r\n`;
}

/** Indices of arguments that nobody may see; null when there are none. */
export function secretArguments(name: string, bytes: Bytes, frame: RequestFrame): Set<number> | null {
  if (name === 'auth') return from(1, frame.count);
  if (name !== 'hello' && name !== 'migrate') return null;
  const is = (i: number, word: string) => equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word);
  // A name may be the same word, and an option be there twice: behind every such word may be a secret.
  let secret: Set<number> | null = null;
  for (let i = name === 'hello' ? 2 : 6; i < frame.count; i++) {
    const words = is(i, 'auth2') || (name === 'hello' && is(i, 'auth')) ? 2 : is(i, 'auth') ? 1 : 0;
    if (words === 0) continue;
    secret ??= new Set();
    for (let j = i + 1; j <= Math.min(i + words, frame.count - 1); j++) secret.add(j);
  }
  return secret;
}

function from(first: number, end: number): Set<number> {
  const indices = new Set<number>();
  for (let i = first; i < end; i++) indices.add(i);
  return indices;
}

const ESCAPES: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

function quoted(bytes: Bytes, start: number, end: number): string {
  const shown = Math.min(end, start + ARGUMENT_BYTES_MAX);
  let text = '"';
  for (let i = start; i < shown; i++) {
    const byte = bytes[i];
    text +=
      ESCAPES[byte] ??
      (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`);
  }
  return shown < end ? `${text}... (${end - shown} more bytes)"` : `${text}"`;
}

/** Many commands as the bytes of one write. Pure. */
import type { Command } from '../node-connection.js';

const STAR = 0x2a;
const DOLLAR = 0x24;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
/** `*` or `$`, the digits of any length that a server takes, and the end of the line. */
const HEAD_MAX = 13;
/** Below this, a loop is faster than a call of the runtime's copy. */
const SHORT_MAX = 64;

/** The commands as arrays of bulk strings (RESP): strings as UTF-8, numbers in decimal. */
export function encodeCommands(commands: readonly Command[]): Buffer {
  let room = 0;
  for (const command of commands) {
    room += HEAD_MAX;
    for (const word of command) room += HEAD_MAX + 2 + roomOf(word);
  }
  const bytes = Buffer.allocUnsafe(room);
  let at = 0;
  for (const command of commands) {
    at = writeHead(bytes, at, STAR, command.length);
    for (const word of command) at = writeWord(bytes, at, word);
  }
  return bytes.subarray(0, at);
}

const UTF8_MAX = 3;
const DIGITS_MAX = 24;

function roomOf(word: Command[number]): number {
  if (typeof word === 'string') return word.length * UTF8_MAX;
  return typeof word === 'number' ? DIGITS_MAX : word.length;
}

function writeWord(bytes: Buffer, at: number, word: Command[number]): number {
  if (typeof word === 'object') {
    const body = writeHead(bytes, at, DOLLAR, word.length);
    if (word.length > SHORT_MAX) bytes.set(word, body);
    else for (let i = 0; i < word.length; i++) bytes[body + i] = word[i] as number;
    return writeEnd(bytes, body + word.length);
  }
  const text = typeof word === 'number' ? String(word) : word;
  const body = writeHead(bytes, at, DOLLAR, Buffer.byteLength(text));
  return writeEnd(bytes, body + bytes.write(text, body));
}

function writeHead(bytes: Buffer, start: number, type: number, value: number): number {
  let at = start;
  bytes[at++] = type;
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.trunc(rest / 10)) digits++;
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    bytes[place] = ZERO + (rest % 10);
    rest = Math.trunc(rest / 10);
  }
  return writeEnd(bytes, at + digits);
}

function writeEnd(bytes: Buffer, at: number): number {
  bytes[at] = CR;
  bytes[at + 1] = LF;
  return at + 2;
}

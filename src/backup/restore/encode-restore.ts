/** RESTORE for many keys as the bytes of one write; values go there without a stop in between. Pure. */
import type { Command } from '../../cluster/node-connection.js';
import type { StoredKey } from './key-reader.js';

/** What is needed of a key's value. */
export type RestoredValue = Pick<StoredKey, 'payload' | 'payloadBytes' | 'writePayload'>;

export interface RestoredKey {
  readonly key: Buffer;
  readonly expireAtMs: number | undefined;
  readonly value: RestoredValue;
}

export const RESTORE_NAME: Command = ['RESTORE'];

/** The time as the backup has it, not how long the key had to live then. */
export function restoreCommand({ key, value, expireAtMs }: RestoredKey, replace: boolean): Command {
  const words: (string | number | Buffer)[] = [key, expireAtMs ?? 0, value.payload()];
  if (expireAtMs !== undefined) words.push('ABSTTL');
  if (replace) words.push('REPLACE');
  return ['RESTORE', ...words];
}

const [STAYS, ABSOLUTE, REPLACE] = ['$1\r\n0\r\n', '$6\r\nABSTTL\r\n', '$7\r\nREPLACE\r\n'].map((text) =>
  Buffer.from(text, 'latin1'),
) as [Buffer, Buffer, Buffer];
/** By number of words, RESTORE included: from four to six. */
const HEADS = [4, 5, 6].map((words) => Buffer.from(`*${words}\r\n$7\r\nRESTORE\r\n`, 'latin1'));
const WORDS_MIN = 4;
/** `$`, up to ten digits, and two ends of lines, for the key and the value; a time; what stands around them. */
const AROUND_MAX = 128;
const END = 0x0a0d;
const DOLLAR = 0x24;
const ZERO = 0x30;
/** Below this, a loop is faster than a call of the runtime's copy. */
const SHORT_MAX = 64;

/** As `restoreCommand`, of all keys, in the protocol's words. */
export function encodeRestores(keys: readonly RestoredKey[], replace: boolean): Buffer {
  let room = 0;
  for (const { key, value } of keys) room += AROUND_MAX + key.length + value.payloadBytes;
  const bytes = Buffer.allocUnsafe(room);
  let at = 0;
  for (const { key, value, expireAtMs } of keys) {
    const words = WORDS_MIN + (expireAtMs === undefined ? 0 : 1) + (replace ? 1 : 0);
    at = put(bytes, at, HEADS[words - WORDS_MIN] as Buffer);
    at = putEnd(bytes, put(bytes, putLength(bytes, at, key.length), key));
    at = expireAtMs === undefined ? put(bytes, at, STAYS) : putNumber(bytes, at, expireAtMs);
    at = putEnd(bytes, value.writePayload(bytes, putLength(bytes, at, value.payloadBytes)));
    if (expireAtMs !== undefined) at = put(bytes, at, ABSOLUTE);
    if (replace) at = put(bytes, at, REPLACE);
  }
  return bytes.subarray(0, at);
}

function put(target: Buffer, at: number, source: Buffer): number {
  const { length } = source;
  if (length > SHORT_MAX) target.set(source, at);
  else for (let i = 0; i < length; i++) target[at + i] = source[i] as number;
  return at + length;
}

function putEnd(target: Buffer, at: number): number {
  return target.writeUInt16LE(END, at);
}

function putLength(target: Buffer, start: number, length: number): number {
  let digits = 1;
  for (let rest = length; rest >= 10; rest = Math.trunc(rest / 10)) digits++;
  target[start] = DOLLAR;
  let rest = length;
  for (let place = start + digits; place > start; place--) {
    target[place] = ZERO + (rest % 10);
    rest = Math.trunc(rest / 10);
  }
  return putEnd(target, start + digits + 1);
}

function putNumber(target: Buffer, at: number, value: number): number {
  const text = String(value);
  const body = putLength(target, at, text.length);
  return putEnd(target, body + target.write(text, body, 'latin1'));
}

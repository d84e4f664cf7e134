import { type Allocate, type Bytes, writeAscii } from '../bytes.js';

/** Text in which each character stands for one byte. */
export function latin1Bytes(text: string, allocate: Allocate): Bytes {
  const bytes = allocate(text.length);
  writeAscii(text, bytes, 0);
  return bytes;
}

/** A bulk string, one character a byte. */
export function latin1Bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

/** A command whose words have one character a byte. */
export function encodeWords(words: readonly string[], allocate: Allocate): Bytes {
  return latin1Bytes(`*${words.length}\r\n${words.map(latin1Bulk).join('')}`, allocate);
}

/**
 * What Redis answers for one name of a subscription or an unsubscription: a push in RESP3.
 * @param name null: there was nothing to unsubscribe from
 * @param count what the client is subscribed to now
 */
export function confirmation(proto: number, word: string, name: string | null, count: number): string {
  const named = name === null ? (proto === 3 ? '_\r\n' : '$-1\r\n') : latin1Bulk(name);
  return `${proto === 3 ? '>' : '*'}3\r\n${latin1Bulk(word)}${named}:${count}\r\n`;
}

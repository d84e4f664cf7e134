import { type Allocate, type Bytes, utf8Bytes } from '../bytes.js';

/** A command as an array of bulk strings; text is UTF-8. */
export function encodeCommand(args: readonly string[], allocate: Allocate): Bytes {
  const encoder = new TextEncoder();
  let text = `*${args.length}\r\n`;
  for (const arg of args) text += `$${encoder.encode(arg).length}\r\n${arg}\r\n`;
  return utf8Bytes(text, allocate);
}

/** A bulk string. */
export function bulk(text: string): string {
  return `$${new TextEncoder().encode(text).length}\r\n${text}\r\n`;
}

/** Text for people: RESP3's verbatim string, RESP2's bulk string. */
export function verbatim(proto: number, text: string): string {
  if (proto !== 3) return bulk(text);
  return `=${new TextEncoder().encode(text).length + 4}\r\ntxt:${text}\r\n`;
}

/** A null in the given RESP version. */
export function nullReply(proto: number): string {
  return proto === 3 ? '_\r\n' : '$-1\r\n';
}

/** Name–value pairs as RESP3's map or RESP2's flat array; values are already encoded. */
export function mapReply(proto: number, pairs: readonly (readonly [string, string])[]): string {
  const head = proto === 3 ? `%${pairs.length}\r\n` : `*${pairs.length * 2}\r\n`;
  return head + pairs.map(([name, value]) => bulk(name) + value).join('');
}

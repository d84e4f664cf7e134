/**
 * RESP for tests, written apart from the proxy's own: encodes commands, cuts a byte stream into raw replies, and
 * decodes them. https://redis.io/docs/latest/develop/reference/protocol-spec/
 */

/** A command as an array of bulk strings. */
export function command(...args: (string | number | Buffer)[]): Buffer {
  return encode(args);
}

/** The same for more arguments than a call can have. */
export function encode(args: readonly (string | number | Buffer)[]): Buffer {
  const pieces: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    pieces.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(pieces);
}

/** An error reply, as a value. */
export class ErrorReply {
  constructor(readonly message: string) {}
}

/** Maps, sets and push messages keep their kind; bulk and simple strings are Latin-1 text, one character a byte. */
export type Value = string | number | bigint | boolean | null | ErrorReply | Value[] | Map<Value, Value> | Set<Value>;

const LF = 10;
/** Children of an aggregate that has `n` in its header. */
const AGGREGATES: Readonly<Record<string, (n: number) => number>> = {
  '*': (n) => n,
  '~': (n) => n,
  '>': (n) => n,
  '%': (n) => 2 * n,
  // An attribute stands before the value that it is about.
  '|': (n) => 2 * n + 1,
};

/** Offset after the reply at `at`; when it is not whole, the negated number of bytes it has at least. */
function replyEnd(bytes: Buffer, at: number): number {
  let left = 1;
  while (left > 0) {
    const newline = bytes.indexOf(LF, at);
    if (newline < 0) return -(bytes.length + 1);
    const type = String.fromCharCode(bytes[at]!);
    const after = newline + 1;
    left--;
    if (AGGREGATES[type] !== undefined || type === '$' || type === '=' || type === '!') {
      const text = bytes.toString('latin1', at + 1, newline - 1);
      if (!/^(-1|\d+)$/.test(text)) throw new Error(`not a length: ${JSON.stringify(text)}`);
      const length = Number(text);
      if (AGGREGATES[type] !== undefined) {
        left += length < 0 ? 0 : AGGREGATES[type](length);
        at = after;
      } else {
        at = length < 0 ? after : after + length + 2;
        if (at > bytes.length) return -at;
      }
    } else if (/[-+:_#,(]/.test(type)) at = after;
    else throw new Error(`not a reply: ${JSON.stringify(bytes.toString('latin1', at, at + 40))}`);
  }
  return at;
}

/** Cuts what arrives into raw replies. */
export class ReplyCutter {
  private chunks: Buffer[] = [];
  private size = 0;
  /** Bytes that must be there before another look is worth it. */
  private wanted = 1;

  /** The replies that became whole with this chunk. */
  push(chunk: Buffer): Buffer[] {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size < this.wanted) return [];
    const bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
    const replies: Buffer[] = [];
    let at = 0;
    this.wanted = 1;
    while (at < bytes.length) {
      const end = replyEnd(bytes, at);
      if (end < 0) {
        this.wanted = -end - at;
        break;
      }
      replies.push(bytes.subarray(at, end));
      at = end;
    }
    const rest = bytes.subarray(at);
    this.chunks = rest.length === 0 ? [] : [rest];
    this.size = rest.length;
    return replies;
  }

  /** Bytes of a reply that is not whole. */
  get rest(): number {
    return this.size;
  }
}

/** Decodes one raw reply. */
export function decode(raw: Buffer): Value {
  const cursor = { at: 0 };
  const value = decodeAt(raw, cursor);
  if (cursor.at !== raw.length) throw new Error('bytes after the reply');
  return value;
}

function decodeAt(raw: Buffer, cursor: { at: number }): Value {
  const type = String.fromCharCode(raw[cursor.at]!);
  const newline = raw.indexOf(LF, cursor.at);
  const line = raw.toString('latin1', cursor.at + 1, newline - 1);
  cursor.at = newline + 1;
  const many = (count: number) => Array.from({ length: count }, () => decodeAt(raw, cursor));
  switch (type) {
    case '+':
      return line;
    case '-':
      return new ErrorReply(line);
    case ':':
    case ',':
      return Number(line);
    case '(':
      return BigInt(line);
    case '_':
      return null;
    case '#':
      return line === 't';
    case '$':
    case '=':
    case '!': {
      const length = Number(line);
      if (length < 0) return null;
      const text = raw.toString('latin1', cursor.at, cursor.at + length);
      cursor.at += length + 2;
      return type === '!' ? new ErrorReply(text) : text;
    }
    case '*':
    case '>':
      return Number(line) < 0 ? null : many(Number(line));
    case '|':
      many(2 * Number(line));
      return decodeAt(raw, cursor);
    case '~':
      return new Set(many(Number(line)));
    case '%': {
      const flat = many(2 * Number(line));
      return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]));
    }
    default:
      throw new Error(`not a reply: ${type}`);
  }
}

/** A number from 0 up to 1 for each call, the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

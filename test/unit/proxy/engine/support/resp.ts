/**
 * A slow and simple RESP codec to measure the engine's fast one against. A value is text with its type in front
 * (`+OK`, `-ERR …`, `:1`, `$bulk`), null, or an array of values; text holds one character a byte.
 */
export type Value = string | null | Value[];

/** The reply at `at`, and where it ends; null when it is cut off. Throws on what is not RESP. */
export function decodeValue(bytes: Buffer, at: number): { value: Value; end: number } | null {
  if (at >= bytes.length) return null;
  const type = String.fromCharCode(bytes[at]);
  const newline = bytes.indexOf('\r\n', at, 'latin1');
  if (newline < 0) return null;
  const line = bytes.toString('latin1', at + 1, newline);
  const next = newline + 2;
  if ('+-:,(#'.includes(type)) return { value: type + line, end: next };
  if (type === '_') return { value: null, end: next };
  const length = Number(line);
  if (!/^-?\d+$/.test(line)) throw new Error(`a length that is none: ${JSON.stringify(type + line)}`);
  if (length < 0) return { value: null, end: next };
  if ('$=!'.includes(type)) {
    if (bytes.length < next + length + 2) return null;
    if (bytes.toString('latin1', next + length, next + length + 2) !== '\r\n')
      throw new Error('a bulk without its end');
    return { value: type + bytes.toString('latin1', next, next + length), end: next + length + 2 };
  }
  if (!'*%~>|'.includes(type)) throw new Error(`not a reply: ${JSON.stringify(type + line)}`);
  const values: Value[] = [];
  let end = next;
  for (let left = '%|'.includes(type) ? length * 2 : length; left > 0; left--) {
    const element = decodeValue(bytes, end);
    if (element === null) return null;
    values.push(element.value);
    end = element.end;
  }
  if (type !== '|') return { value: values, end };
  // An attribute stands before its value and is no value itself.
  return decodeValue(bytes, end);
}

/** The command at `at` as text arguments; null when it is cut off. */
export function decodeCommand(bytes: Buffer, at: number): { args: string[]; end: number } | null {
  const decoded = decodeValue(bytes, at);
  if (decoded === null) return null;
  const args = (decoded.value as string[]).map((arg) => arg.slice(1));
  return { args, end: decoded.end };
}

/** Arguments as a command; text stands for one byte a character. */
export function encodeCommandText(args: readonly (string | Buffer)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg, 'latin1') : arg;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

import type { Bytes } from '../bytes.js';

/**
 * Splits an inline command as Redis's `sdssplitargs` does: white space separates, "double quotes" take \n \r \t \b \a
 * \xHH and backslashed characters, 'single quotes' take \'. Returns null for unbalanced quotes.
 */
export function splitInline(bytes: Uint8Array, start: number, end: number): number[][] | null {
  const args: number[][] = [];
  let i = start;
  for (;;) {
    while (i < end && isSpace(bytes[i])) i++;
    if (i >= end) return args;
    const arg: number[] = [];
    let quote = 0;
    for (; ; i++) {
      if (i >= end) {
        if (quote) return null;
        break;
      }
      const byte = bytes[i];
      if (quote === 34) {
        if (byte === 92 && i + 3 < end && bytes[i + 1] === 120 && hex(bytes[i + 2]) >= 0 && hex(bytes[i + 3]) >= 0) {
          arg.push(hex(bytes[i + 2]) * 16 + hex(bytes[i + 3]));
          i += 3;
        } else if (byte === 92 && i + 1 < end) {
          i++;
          arg.push(escapedByte(bytes[i]));
        } else if (byte === 34) {
          if (i + 1 < end && !isSpace(bytes[i + 1])) return null;
          i++;
          break;
        } else arg.push(byte);
      } else if (quote === 39) {
        if (byte === 92 && i + 1 < end && bytes[i + 1] === 39) {
          i++;
          arg.push(39);
        } else if (byte === 39) {
          if (i + 1 < end && !isSpace(bytes[i + 1])) return null;
          i++;
          break;
        } else arg.push(byte);
      } else if (isSpace(byte)) break;
      else if (byte === 34 || byte === 39) quote = byte;
      else arg.push(byte);
    }
    args.push(arg);
  }
}

/** The command as RESP, which is how it goes upstream. */
export function encodeInline(args: number[][], allocate: (size: number) => Bytes): Bytes {
  const text: number[] = [];
  const ascii = (line: string) => {
    for (let i = 0; i < line.length; i++) text.push(line.charCodeAt(i));
  };
  ascii(`*${args.length}\r\n`);
  for (const arg of args) {
    ascii(`$${arg.length}\r\n`);
    for (const byte of arg) text.push(byte);
    ascii('\r\n');
  }
  const bytes = allocate(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text[i];
  return bytes;
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13) || byte === 0;
}

function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function escapedByte(byte: number): number {
  switch (byte) {
    case 110:
      return 10;
    case 114:
      return 13;
    case 116:
      return 9;
    case 98:
      return 8;
    case 97:
      return 7;
    default:
      return byte;
  }
}

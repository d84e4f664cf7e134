import { LF, latin1, parseDecimal, utf8 } from '../bytes.js';

/** A decoded reply. RESP3's maps are flat arrays here, as RESP2 would send them; numbers are numbers. */
export type Reply = string | number | null | Reply[] | ReplyError;

/** An error reply, as a value. */
export class ReplyError {
  constructor(readonly message: string) {}
}

/** Nested deeper than this a reply is refused; no Redis command comes near it. */
const DEPTH_MAX = 32;

/**
 * Decodes the one whole reply in `bytes[start, end)`; for the proxy's own commands, never on the hot path.
 * @throws Error when the bytes are not one whole reply
 */
export function decodeReply(bytes: Uint8Array, start = 0, end = bytes.length): Reply {
  const cursor = { at: start };
  const reply = decode(bytes, cursor, end, 0);
  if (cursor.at !== end) throw new Error('bytes after the reply');
  return reply;
}

function decode(bytes: Uint8Array, cursor: { at: number }, end: number, depth: number): Reply {
  if (depth > DEPTH_MAX) throw new Error('reply nested too deeply');
  const type = bytes[cursor.at];
  let newline = cursor.at + 1;
  while (newline < end && bytes[newline] !== LF) newline++;
  if (newline >= end) throw new Error('reply cut off');
  const lineStart = cursor.at + 1;
  const lineEnd = newline - 1;
  cursor.at = newline + 1;
  switch (type) {
    case 43: // +
    case 44: // ,
    case 40: // (
    case 35: // #
      return utf8(bytes, lineStart, lineEnd);
    case 45: // -
      return new ReplyError(latin1(bytes, lineStart, lineEnd));
    case 58: // :
      return parseDecimal(bytes, lineStart, lineEnd);
    case 95: // _
      return null;
    case 36: // $
    case 61: // =
    case 33: {
      // !
      const length = parseDecimal(bytes, lineStart, lineEnd);
      if (length === -1) return null;
      const from = cursor.at;
      if (!(length >= 0) || from + length + 2 > end) throw new Error('reply cut off');
      cursor.at = from + length + 2;
      return type === 33 ? new ReplyError(utf8(bytes, from, from + length)) : utf8(bytes, from, from + length);
    }
    case 42: // *
    case 126: // ~
    case 62: // >
    case 37: {
      // %
      const length = parseDecimal(bytes, lineStart, lineEnd);
      if (length === -1) return null;
      if (!(length >= 0)) throw new Error('bad length');
      const values: Reply[] = [];
      for (let i = 0; i < length * (type === 37 ? 2 : 1); i++) values.push(decode(bytes, cursor, end, depth + 1));
      return values;
    }
    default:
      throw new Error('not a reply');
  }
}

import { type Bytes, copyBytes, writeAscii } from '../bytes.js';
import type { Core } from '../core/core.js';
import { RequestFrame } from '../resp/request-framer.js';
import type { Way } from './routing.js';

/** The frame of the command that was rewritten last: good until the next one is. */
export const REWRITTEN = new RequestFrame();

/**
 * Writes a command with the keys that its upstream is to see. The new command begins at 0; its frame is `REWRITTEN`.
 * @param keys argument numbers of the keys, in ascending order
 * @param ways of each key
 */
export function rewriteKeys(
  core: Core,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
  keys: ArrayLike<number>,
  ways: readonly Way[],
): Bytes {
  let size = frame.end - start;
  for (let k = 0; k < ways.length; k++) {
    const length = frame.ends[keys[k]] - frame.starts[keys[k]];
    const now = ways[k].lengthOf(length);
    size += now - length + String(now).length - String(length).length;
  }
  const out = core.runtime.allocate(size);
  REWRITTEN.reserve(frame.count);
  REWRITTEN.count = frame.count;
  REWRITTEN.inline = false;
  let at = copyBytes(bytes, start, frame.starts[0], out, 0);
  let key = 0;
  for (let i = 0; i < frame.count; i++) {
    const from = frame.starts[i];
    const to = frame.ends[i];
    if (key < ways.length && keys[key] === i) {
      const way = ways[key++];
      at = writeAscii(`$${way.lengthOf(to - from)}\r\n`, out, at);
      REWRITTEN.starts[i] = at;
      at = way.write(bytes, from, to, out, at);
      REWRITTEN.ends[i] = at;
      at = writeAscii('\r\n', out, at);
      continue;
    }
    // Its `$<length>` line stands behind the CRLF of the argument before; that of the first one is copied already.
    if (i > 0) at = copyBytes(bytes, frame.ends[i - 1] + 2, from, out, at);
    REWRITTEN.starts[i] = at;
    at = copyBytes(bytes, from, to + 2, out, at);
    REWRITTEN.ends[i] = at - 2;
  }
  REWRITTEN.end = at;
  return out;
}

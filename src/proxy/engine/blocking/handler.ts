import { type Bytes, equalsIgnoreCase } from '../bytes.js';
import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';
import { sendKeyed } from '../core/send.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** Commands that may wait for what other clients do. */
export const blocking: Handler = (client, entry, bytes, start, frame) => {
  if ((entry.name === 'xread' || entry.name === 'xreadgroup') && !hasBlock(bytes, frame)) {
    return sendKeyed(client, entry, bytes, start, frame);
  }
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

/** The BLOCK option of XREAD and XREADGROUP stands before STREAMS. */
function hasBlock(bytes: Bytes, frame: RequestFrame): boolean {
  for (let i = 1; i < frame.count; i++) {
    const is = (word: string) => equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word);
    if (is('block')) return true;
    if (is('streams')) return false;
    // What an option takes is passed over: a group may be named 'streams'.
    if (is('count')) i += 1;
    else if (is('group')) i += 2;
  }
  return false;
}

import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';
import { sendKeyed } from '../core/send.js';

/** Scripts and functions. */
export const scripting: Handler = (client, entry, bytes, start, frame) => {
  if (entry.spec.keys.length > 0) return sendKeyed(client, entry, bytes, start, frame);
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

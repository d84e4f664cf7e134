import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';

/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
export const transaction: Handler = (client, entry) => {
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';

/** SCAN over all shards. */
export const scan: Handler = (client, entry) => {
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';

/** Commands for all masters or all nodes. */
export const broadcast: Handler = (client, entry) => {
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

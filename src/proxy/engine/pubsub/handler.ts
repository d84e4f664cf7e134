import type { Handler } from '../core/handlers.js';
import { refuseUnsupported } from '../core/refuse.js';

/** Subscriptions, and what is published to them. */
export const pubsub: Handler = (client, entry) => {
  refuseUnsupported(client, entry, 'is not supported by the proxy yet');
  return true;
};

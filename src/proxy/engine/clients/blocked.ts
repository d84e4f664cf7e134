import type { Client } from '../core/client.js';

/** Ends a client's wait (CLIENT UNBLOCK); false when it does not wait. */
export function unblock(_client: Client, _how: 'timeout' | 'error'): boolean {
  return false;
}

import type { Client } from '../core/client.js';
import { Hold } from '../core/hold.js';

/**
 * A node that is no longer its slot's master sends its blocked clients on by itself. When it has not for this long, it
 * may be cut off: the wait goes on elsewhere, or ends.
 */
export const MOVED_GRACE_MS = 1000;

/** A command that waits. */
export interface Blocked {
  /** Ends the wait: as when its time is over, or with an error. */
  unblock(how: 'timeout' | 'error'): void;
}

/** What clients wait for; nothing for those that do not. */
const waits = new WeakMap<Client, Blocked>();

/** A client waits from now on: nothing more of it is served. */
export function beginWait(client: Client, blocked: Blocked): void {
  waits.set(client, blocked);
  client.core.blocked++;
  client.setHold(Hold.blocked);
}

/** It waits no more, or has left. Its command must have been answered. */
export function endWait(client: Client): void {
  if (waits.delete(client)) client.core.blocked--;
  client.liftHold(Hold.blocked);
}

/** Redis's answer to a client that another has let go. */
export const UNBLOCKED = '-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n';

/** What a blocking command answers when its time is over. */
export function emptyReply(proto: number): string {
  return proto === 3 ? '_\r\n' : '*-1\r\n';
}

/**
 * Ends a client's wait as CLIENT UNBLOCK has it; false when it does not wait. What comes for it at that moment is lost
 * with its connection, as it would be when the client left.
 */
export function unblock(client: Client, how: 'timeout' | 'error'): boolean {
  const blocked = waits.get(client);
  if (blocked === undefined) return false;
  blocked.unblock(how);
  return true;
}

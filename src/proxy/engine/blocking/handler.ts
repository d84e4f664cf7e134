import type { Handler } from '../core/handlers.js';
import { refuse } from '../core/refuse.js';
import { sendKeyed } from '../core/send.js';
import { findKeys } from '../routing/keys.js';
import { resolve } from '../routing/resolve.js';
import { KeptCommand, streamOptions } from './arguments.js';
import { BlockedCommand } from './blocked-command.js';
import { NewestIds } from './newest-ids.js';
import { waitForReplicas } from './replicas.js';

/** Commands that may wait for what other clients do, or for replicas. */
export const blocking: Handler = (client, entry, bytes, start, frame) => {
  const { name } = entry;
  if (name === 'xread' || name === 'xreadgroup') {
    const { block } = streamOptions(bytes, frame.starts, frame.ends, frame.count);
    if (block === 0) return sendKeyed(client, entry, bytes, start, frame);
  }
  // It goes another way than what the client sent before, which must come first.
  if (client.head !== null) return false;
  if (name === 'wait' || name === 'waitaof') return waitForReplicas(client, entry, bytes, start, frame);
  const resolved = resolve(client, entry, bytes, start, frame);
  if (resolved === null) return true;
  const { limits, runtime } = client.core;
  if (
    resolved.frame.count > limits.blockingKeysMax &&
    findKeys(entry, resolved.bytes, resolved.frame) > limits.blockingKeysMax
  ) {
    refuse(client, entry, `ERR the proxy takes at most ${limits.blockingKeysMax} keys in one blocking command`);
    return true;
  }
  const command = new KeptCommand(runtime.allocate, resolved.bytes, resolved.start, resolved.frame);
  const ids = name === 'xread' ? NewestIds.of(command) : null;
  if (ids !== null && ids.count > limits.newestIdsMax) {
    refuse(client, entry, `ERR the proxy takes at most ${limits.newestIdsMax} '$' IDs in one blocking XREAD`);
    return true;
  }
  client.core.countRequest(entry);
  new BlockedCommand(client, entry, command, resolved.router, resolved.slot, ids);
  return true;
};

import type { Handler } from '../core/handlers.js';
import { sendKeyed } from '../core/send.js';
import { resolve } from '../routing/resolve.js';
import { KeptCommand, streamOptions } from './arguments.js';
import { BlockedCommand } from './blocked-command.js';
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
  client.core.countRequest(entry);
  const command = new KeptCommand(client.core.runtime.allocate, resolved.bytes, resolved.start, resolved.frame);
  new BlockedCommand(client, entry, command, resolved.router, resolved.slot);
  return true;
};

import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { refuse } from '../core/refuse.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { findKeys, KEYS } from '../routing/keys.js';
import { type Resolved, resolve } from '../routing/resolve.js';

export const CROSS_SLOT = "CROSSSLOT Keys in request don't hash to the same slot";

/**
 * Finds the one slot of all keys of a command.
 * @returns null when the command was refused; the client has its answer, and it is counted, then
 */
export function slotOfKeys(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): Resolved | null {
  const resolved = resolve(client, entry, bytes, start, frame);
  if (resolved === null || resolved.slot < 0) return resolved;
  const { keySpace } = resolved.router;
  const { starts, ends } = resolved.frame;
  const count = findKeys(entry, resolved.bytes, resolved.frame);
  for (let i = 0; i < count; i++) {
    const key = KEYS.at[i];
    if (keySpace.slotOf(resolved.bytes, starts[key], ends[key]) === resolved.slot) continue;
    refuse(client, entry, CROSS_SLOT);
    return null;
  }
  return resolved;
}

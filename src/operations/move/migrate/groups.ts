/** Which slots are moved together: so few that they are open for a moment only. Pure. */
import type { MoveLimits } from '../control.js';

/** Marks of so many slots are set in one write, and the nodes save their tables once for all of them. */
export const GROUP_SLOTS_MAX = 32;
/** The keys, and their bytes, that are on their way while slots of a group are open. */
const GROUP_KEYS_MAX = 4_000;
const GROUP_BYTES_MAX = 16 * 1024 * 1024;
/** With a rate limit, slots are open for about so long. */
const GROUP_SECONDS = 1;

export interface SlotKeys {
  readonly slot: number;
  readonly keys: number;
}

/**
 * How many of the slots, from the first on, make the next group; at least one.
 * @param keyBytes average size of a key
 */
export function groupLength(slots: readonly SlotKeys[], keyBytes: number, limits: MoveLimits = {}): number {
  const keysMax = Math.min(GROUP_KEYS_MAX, (limits.keysPerSecond ?? Number.POSITIVE_INFINITY) * GROUP_SECONDS);
  const bytesMax = Math.min(GROUP_BYTES_MAX, (limits.bytesPerSecond ?? Number.POSITIVE_INFINITY) * GROUP_SECONDS);
  let keys = 0;
  let length = 0;
  for (const slot of slots) {
    keys += slot.keys;
    if (length > 0 && (length === GROUP_SLOTS_MAX || keys > keysMax || keys * keyBytes > bytesMax)) break;
    length++;
  }
  return length;
}

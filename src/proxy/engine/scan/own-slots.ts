import { SLOT_COUNT } from '../hash/crc16.js';

/** What a node says of itself in CLUSTER NODES. */
export interface OwnSlots {
  /** It is a replica now. */
  readonly replica: boolean;
  /** One for each slot that it owns. */
  readonly owned: Uint8Array;
  /** Slots are on their way to it or from it. */
  readonly open: boolean;
}

/**
 * Reads the `myself` line of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, then slots as `5`,
 * `0-100`, `[7->-id]` (migrating) or `[7-<-id]` (importing). Null when there is none.
 * https://redis.io/docs/latest/commands/cluster-nodes/
 */
export function readOwnSlots(text: string): OwnSlots | null {
  for (const line of text.split('\n')) {
    const words = line.trim().split(' ');
    const flags = words[2]?.split(',');
    if (!flags?.includes('myself')) continue;
    const owned = new Uint8Array(SLOT_COUNT);
    let open = false;
    for (const word of words.slice(8)) {
      if (word.startsWith('[')) {
        open = true;
        continue;
      }
      const [first, last = first] = word.split('-').map(Number);
      owned.fill(1, first, last + 1);
    }
    return { replica: flags.includes('slave'), owned, open };
  }
  return null;
}

/** The 16,384 slots of a cluster as one line: who serves what, and where there is a hole. */

export interface SlotSpan {
  /** First slot, 0 to 16383. */
  from: number;
  /** Last slot, inclusive. */
  to: number;
  /** Index of the shard that serves the slots; shards are lettered A, B, … in this order. */
  shard: number;
}

const SLOTS = 16_384;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const HOLE = '.';

/** The letter of a shard in the bar; letters repeat after 52 shards. */
export function shardLetter(shard: number): string {
  return LETTERS[shard % LETTERS.length] ?? HOLE;
}

/**
 * A bar of `width` characters (at least 1). A cell shows the letter of the shard that serves most of its slots, or `.`
 * when even one of its slots is served by nobody: a hole must never be too small to be seen.
 */
export function renderSlotBar(spans: readonly SlotSpan[], width = 64): string {
  const owner = new Int32Array(SLOTS).fill(-1);
  for (const { from, to, shard } of spans) owner.fill(shard, Math.max(0, from), Math.min(SLOTS - 1, to) + 1);
  const cells = Math.min(Math.max(1, Math.floor(width)), SLOTS);
  let bar = '';
  for (let cell = 0; cell < cells; cell++) {
    const start = Math.floor((cell * SLOTS) / cells);
    const end = Math.floor(((cell + 1) * SLOTS) / cells);
    bar += cellLetter(owner.subarray(start, end));
  }
  return bar;
}

function cellLetter(owners: Int32Array): string {
  const counts = new Map<number, number>();
  for (const shard of owners) counts.set(shard, (counts.get(shard) ?? 0) + 1);
  if (counts.has(-1)) return HOLE;
  let best = -1;
  for (const [shard, count] of counts) if (best === -1 || count > (counts.get(best) ?? 0)) best = shard;
  return shardLetter(best);
}

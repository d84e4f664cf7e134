/** Sets of hash slots as sorted, disjoint, inclusive ranges: pure, and quick for 1,000 shards. */
export const SLOT_COUNT = 16_384;

export interface SlotRange {
  /** First slot, 0 to 16383. */
  readonly start: number;
  /** Last slot, inclusive, at least `start`. */
  readonly end: number;
}

/** Ranges in ascending order that neither overlap nor touch. All functions here return such sets. */
export type SlotSet = readonly SlotRange[];

export const ALL_SLOTS: SlotSet = [{ start: 0, end: SLOT_COUNT - 1 }];

export function isSlot(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < SLOT_COUNT;
}

/** Sorts, merges overlapping and touching ranges. Throws RangeError on a range that is none. */
export function normalizeSlots(ranges: Iterable<SlotRange>): SlotSet {
  const sorted = [...ranges].sort((left, right) => left.start - right.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    if (!isSlot(start) || !isSlot(end) || start > end) throw new RangeError(`not a slot range: ${start}-${end}`);
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end + 1) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** The set of single slots; any order, repetitions allowed. */
export function slotsFrom(slots: Iterable<number>): SlotSet {
  return normalizeSlots(Array.from(slots, (slot) => ({ start: slot, end: slot })));
}

/** How many slots the set has. */
export function countSlots(set: SlotSet): number {
  return set.reduce((sum, { start, end }) => sum + end - start + 1, 0);
}

export function hasSlot(set: SlotSet, slot: number): boolean {
  let low = 0;
  let high = set.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = set[middle] as SlotRange;
    if (slot < range.start) high = middle - 1;
    else if (slot > range.end) low = middle + 1;
    else return true;
  }
  return false;
}

export function unionSlots(...sets: SlotSet[]): SlotSet {
  return normalizeSlots(sets.flat());
}

export function intersectSlots(left: SlotSet, right: SlotSet): SlotSet {
  const result: SlotRange[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    const a = left[l] as SlotRange;
    const b = right[r] as SlotRange;
    const start = Math.max(a.start, b.start);
    const end = Math.min(a.end, b.end);
    if (start <= end) result.push({ start, end });
    if (a.end < b.end) l++;
    else r++;
  }
  return result;
}

/** The slots of `left` that are not in `right`. */
export function subtractSlots(left: SlotSet, right: SlotSet): SlotSet {
  return intersectSlots(left, invertSlots(right));
}

/** All slots that are not in the set. */
export function invertSlots(set: SlotSet): SlotSet {
  const result: SlotRange[] = [];
  let next = 0;
  for (const { start, end } of set) {
    if (start > next) result.push({ start: next, end: start - 1 });
    next = end + 1;
  }
  if (next < SLOT_COUNT) result.push({ start: next, end: SLOT_COUNT - 1 });
  return result;
}

export function sameSlots(left: SlotSet, right: SlotSet): boolean {
  return (
    left.length === right.length &&
    left.every((range, index) => range.start === right[index]?.start && range.end === right[index]?.end)
  );
}

/** Every slot of the set in ascending order. */
export function* eachSlot(set: SlotSet): Generator<number> {
  for (const { start, end } of set) for (let slot = start; slot <= end; slot++) yield slot;
}

/** `0-5460,5462`; an empty set is ``. With `rangesMax`, what does not fit is told as `…(+n ranges)`. */
export function formatSlots(set: SlotSet, rangesMax = Number.POSITIVE_INFINITY): string {
  const shown = set.slice(0, rangesMax).map(({ start, end }) => (start === end ? `${start}` : `${start}-${end}`));
  const rest = set.length - shown.length;
  return `${shown.join(',')}${rest > 0 ? `…(+${rest} ranges)` : ''}`;
}

/**
 * Splits all slots into `parts` (1 to 16,384) contiguous ranges whose sizes differ by at most one. The boundaries are
 * those of `redis-cli --cluster create` for the usual sizes: three parts are 0-5460, 5461-10922, 10923-16383.
 */
export function splitEvenly(parts: number): SlotRange[] {
  if (!Number.isInteger(parts) || parts < 1 || parts > SLOT_COUNT) throw new RangeError(`cannot split in ${parts}`);
  const boundary = (index: number) => Math.round((index * SLOT_COUNT) / parts);
  return Array.from({ length: parts }, (_, index) => ({ start: boundary(index), end: boundary(index + 1) - 1 }));
}

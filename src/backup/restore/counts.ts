/** How many keys were put into each slot, and how many of them may be gone by now because their time has come. Pure. */
import { SLOT_COUNT } from '../../cluster/slots.js';

/** Keys that expire within so many milliseconds of the moment that counts are about; the last takes all later ones. */
const HORIZONS_MS = [60_000, 600_000, 3_600_000, 86_400_000] as const;

export class SlotCounts {
  readonly #keys = new Uint32Array(SLOT_COUNT);
  readonly #mortal = HORIZONS_MS.map(() => new Uint32Array(SLOT_COUNT));
  readonly #beganMs: number;

  /** @param beganMs milliseconds since 1970: when the first key was written */
  constructor(beganMs: number) {
    this.#beganMs = beganMs;
  }

  add(slot: number, expireAtMs: number | undefined): void {
    this.#keys[slot] = (this.#keys[slot] as number) + 1;
    if (expireAtMs === undefined) return;
    for (const [index, horizon] of HORIZONS_MS.entries()) {
      if (expireAtMs > this.#beganMs + horizon) continue;
      const mortal = this.#mortal[index] as Uint32Array;
      mortal[slot] = (mortal[slot] as number) + 1;
    }
  }

  keys(slot: number): number {
    return this.#keys[slot] as number;
  }

  /** Of those, how many must be there at this time, as far as is known: it may be too few, and is never too many. */
  least(slot: number, atMs: number): number {
    const index = HORIZONS_MS.findIndex((horizon) => atMs <= this.#beganMs + horizon);
    // A run that takes more than a day: whatever may expire may have expired.
    const mortal = this.#mortal[index < 0 ? HORIZONS_MS.length - 1 : index] as Uint32Array;
    return (this.#keys[slot] as number) - (mortal[slot] as number);
  }

  merge(other: SlotCounts): void {
    for (const [mine, theirs] of [
      [this.#keys, other.#keys] as const,
      ...this.#mortal.map((mortal, index) => [mortal, other.#mortal[index] as Uint32Array] as const),
    ]) {
      for (let slot = 0; slot < SLOT_COUNT; slot++) mine[slot] = (mine[slot] as number) + (theirs[slot] as number);
    }
  }

  /** As text for a journal. */
  toJSON(): { beganMs: number; slots: number[][] } {
    const slots: number[][] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.#keys[slot] === 0) continue;
      slots.push([slot, this.#keys[slot] as number, ...this.#mortal.map((mortal) => mortal[slot] as number)]);
    }
    return { beganMs: this.#beganMs, slots };
  }

  static from({ beganMs, slots }: { readonly beganMs: number; readonly slots: readonly (readonly number[])[] }) {
    const counts = new SlotCounts(beganMs);
    for (const [slot = 0, keys = 0, ...mortal] of slots) {
      counts.#keys[slot] = keys;
      for (const [index, each] of counts.#mortal.entries()) each[slot] = mortal[index] ?? 0;
    }
    return counts;
  }
}

/** What is wrong with a slot after all. */
export interface SlotFault {
  readonly slot: number;
  readonly found: number;
  readonly wanted: number;
}

/** Slots with fewer keys than were put there; and, where nothing was there before, those with more. */
export function compareCounts(
  counts: SlotCounts,
  found: ArrayLike<number>,
  { atMs, wasEmpty }: { readonly atMs: number; readonly wasEmpty: boolean },
): { readonly fewer: SlotFault[]; readonly more: SlotFault[] } {
  const fewer: SlotFault[] = [];
  const more: SlotFault[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const there = found[slot] ?? 0;
    const wanted = counts.keys(slot);
    if (there < counts.least(slot, atMs)) fewer.push({ slot, found: there, wanted });
    else if (wasEmpty && there > wanted) more.push({ slot, found: there, wanted });
  }
  return { fewer, more };
}

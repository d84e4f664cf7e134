/** When the newest writes of one key were acknowledged, by their numbers. Pure. */

/** So many are remembered; of older ones only that they are old. */
export const REMEMBERED_MAX = 4_096;

export class Acknowledged {
  /** Milliseconds; 0 for a number that was not acknowledged. The place is the number modulo REMEMBERED_MAX. */
  readonly #times: number[] = [];
  #newest = 0;

  /** @param number higher than all before, or one that counts again: those above it are as if they had never been */
  add(number: number, nowMs: number): void {
    const first = Math.max(this.#newest + 1, number - REMEMBERED_MAX + 1);
    for (let between = first; between < number; between++) this.#times[between % REMEMBERED_MAX] = 0;
    this.#times[number % REMEMBERED_MAX] = nowMs;
    this.#newest = number;
  }

  /**
   * Those from one number to another, both included, which may not be above the newest.
   * @returns the time of each that is remembered, and how many there are; all older ones count as acknowledged
   */
  between(from: number, to: number): { readonly count: number; readonly times: readonly number[] } {
    const oldest = Math.max(1, this.#newest - REMEMBERED_MAX + 1);
    const times: number[] = [];
    for (let number = Math.max(from, oldest); number <= to; number++) {
      const time = this.#times[number % REMEMBERED_MAX] ?? 0;
      if (time > 0) times.push(time);
    }
    return { count: Math.max(0, Math.min(to + 1, oldest) - from) + times.length, times };
  }
}

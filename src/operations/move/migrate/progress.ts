/** How far a move is, and how long it will take at the pace so far. Pure but for the clock that it is given. */
import type { StepEvent } from '../../step.js';
import type { Batch } from './batches.js';

/** Below this, the pace says nothing. */
const PACE_MIN_MS = 500;
const KEY_BYTES_GUESS = 256;

export class MoveProgress {
  readonly slotsTotal: number;
  #slots = 0;
  #keys = 0;
  #bytes = 0;
  #keysExpected = 0;
  readonly #now: () => number;
  readonly #startedAt: number;

  constructor(slotsTotal: number, now: () => number = () => performance.now()) {
    this.slotsTotal = slotsTotal;
    this.#now = now;
    this.#startedAt = now();
  }

  get slots(): number {
    return this.#slots;
  }

  get moved(): { keys: number; bytes: number } {
    return { keys: this.#keys, bytes: this.#bytes };
  }

  /** Average size of a key so far. */
  get keyBytes(): number {
    return this.#keys === 0 || this.#bytes === 0 ? KEY_BYTES_GUESS : this.#bytes / this.#keys;
  }

  /** Told how many keys there are, before they move. */
  expect(keys: number): void {
    this.#keysExpected += keys;
  }

  batch({ keys, bytes }: Batch): void {
    this.#keys += keys.length;
    this.#bytes += bytes;
  }

  slotsDone(count: number): void {
    this.#slots += count;
  }

  event(): StepEvent {
    const { slots: slotsDone, slotsTotal } = this;
    const secondsLeft = this.#secondsLeft();
    return {
      type: 'progress',
      slotsDone,
      slotsTotal,
      ...this.moved,
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    };
  }

  /** By keys where there are some, else by slots. */
  #secondsLeft(): number | undefined {
    const elapsedMs = this.#now() - this.#startedAt;
    if (this.#slots === this.slotsTotal) return 0;
    if (elapsedMs < PACE_MIN_MS) return undefined;
    const [done, total] = this.#keysExpected === 0 ? [this.#slots, this.slotsTotal] : [this.#keys, this.#keysExpected];
    if (done === 0) return undefined;
    return (Math.max(0, total - done) * elapsedMs) / done / 1_000;
  }
}

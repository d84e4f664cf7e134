/** Which keys go together: batches by bytes and by count that adapt to the time that they take. Pure. */
import type { BatchBounds } from './pace.js';

export interface SizedKey {
  readonly key: Buffer;
  readonly bytes: number;
}

export interface Batch {
  readonly slot: number;
  readonly keys: readonly Buffer[];
  readonly bytes: number;
  /** One key, above the threshold. */
  readonly big: boolean;
}

const GROW = 1.5;
const SHRINK = 0.5;

const clamp = (value: number, min: number, max: number) => Math.round(Math.min(max, Math.max(min, value)));

/** Learns how much fits into the time that a batch may take. */
export class BatchSize {
  readonly #bounds: BatchBounds;
  #keys: number;
  #bytes: number;

  constructor(bounds: BatchBounds) {
    this.#bounds = bounds;
    this.#keys = bounds.keysMin;
    this.#bytes = bounds.bytesMin;
  }

  get keysMax(): number {
    return this.#keys;
  }

  get bytesMax(): number {
    return this.#bytes;
  }

  /** Told how long a batch took. One that was far from full says nothing about larger ones. */
  took(batch: Batch, elapsedMs: number): void {
    if (batch.big) return;
    const { targetMs, keysMin, keysMax, bytesMin, bytesMax } = this.#bounds;
    const full = { keys: batch.keys.length >= this.#keys * SHRINK, bytes: batch.bytes >= this.#bytes * SHRINK };
    if (elapsedMs > targetMs * 2) {
      // What is too long was too long by its keys or by its bytes: both are taken down to what it was, and less.
      this.#keys = clamp(Math.min(this.#keys, batch.keys.length) * SHRINK, keysMin, keysMax);
      this.#bytes = clamp(Math.min(this.#bytes, batch.bytes) * SHRINK, bytesMin, bytesMax);
    } else if (elapsedMs < targetMs) {
      if (full.keys) this.#keys = clamp(this.#keys * GROW + 1, keysMin, keysMax);
      if (full.bytes) this.#bytes = clamp(this.#bytes * GROW, bytesMin, bytesMax);
    }
  }
}

/** Cuts the keys of one slot into batches; big keys go alone, after the others, the smallest of them first. */
export function cutBatches(
  keys: readonly SizedKey[],
  limit: { readonly slot: number; readonly keysMax: number; readonly bytesMax: number; readonly bigKeyBytes: number },
): Batch[] {
  const batches: Batch[] = [];
  let open: { keys: Buffer[]; bytes: number } = { keys: [], bytes: 0 };
  const close = () => {
    if (open.keys.length > 0) batches.push({ slot: limit.slot, ...open, big: false });
    open = { keys: [], bytes: 0 };
  };
  for (const { key, bytes } of keys) {
    if (bytes >= limit.bigKeyBytes) continue;
    if (open.keys.length >= limit.keysMax || open.bytes + bytes > limit.bytesMax) close();
    open.keys.push(key);
    open.bytes += bytes;
  }
  close();
  const big = keys.filter(({ bytes }) => bytes >= limit.bigKeyBytes).sort((left, right) => left.bytes - right.bytes);
  return [...batches, ...big.map(({ key, bytes }) => ({ slot: limit.slot, keys: [key], bytes, big: true }))];
}

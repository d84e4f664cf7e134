/** Which keys go together: batches by bytes and by count that adapt to the time that they take. Pure. */

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

/** A master does nothing else while a batch is on its way: its clients wait for so long. */
export const BATCH_TARGET_MS = 2;
const KEYS_FIRST = 64;
/** So few small keys are half a millisecond of work: where they take longer, it is the way, or the machine, not they. */
const KEYS_MIN = KEYS_FIRST;
const KEYS_MAX = 1_000;
const BYTES_FIRST = 64 * 1024;
const BYTES_MIN = BYTES_FIRST;
const BYTES_MAX = 16 * 1024 * 1024;
const GROW = 1.5;
const SHRINK = 0.5;

const clamp = (value: number, min: number, max: number) => Math.round(Math.min(max, Math.max(min, value)));

/** Learns how much fits into the time that a batch may take. */
export class BatchSize {
  #keys = KEYS_FIRST;
  #bytes = BYTES_FIRST;

  get keysMax(): number {
    return this.#keys;
  }

  get bytesMax(): number {
    return this.#bytes;
  }

  /** Told how long a batch took. One that was far from full says nothing about larger ones. */
  took(batch: Batch, elapsedMs: number): void {
    if (batch.big) return;
    const full = { keys: batch.keys.length >= this.#keys * SHRINK, bytes: batch.bytes >= this.#bytes * SHRINK };
    if (elapsedMs > BATCH_TARGET_MS * 2) {
      // What is too long was too long by its keys or by its bytes: both are taken down to what it was, and less.
      this.#keys = clamp(Math.min(this.#keys, batch.keys.length) * SHRINK, KEYS_MIN, KEYS_MAX);
      this.#bytes = clamp(Math.min(this.#bytes, batch.bytes) * SHRINK, BYTES_MIN, BYTES_MAX);
    } else if (elapsedMs < BATCH_TARGET_MS) {
      if (full.keys) this.#keys = clamp(this.#keys * GROW + 1, KEYS_MIN, KEYS_MAX);
      if (full.bytes) this.#bytes = clamp(this.#bytes * GROW, BYTES_MIN, BYTES_MAX);
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

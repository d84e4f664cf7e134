/** Counts the keys of each slot in an RDB file that goes by. */
import { Transform, type TransformCallback } from 'node:stream';
import { keySlot } from '../../cluster/key-slot.js';
import { SLOT_COUNT } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { RdbReaderOptions } from './events.js';
import { RdbReader } from './reader.js';

/** No key of an application is longer; a longer one ends the counting, not the stream. */
export const COUNTED_KEY_MAX_BYTES = 16 * 1024 * 1024;

export interface RdbCounterOptions extends Pick<RdbReaderOptions, 'checksum'> {
  /** Milliseconds since 1970: keys that have expired by then are counted apart, as a server that loads the file drops them. */
  readonly aliveAtMs?: number;
}

/**
 * Lets all bytes through as they are. What cannot be counted goes through as well: look at {@link failure} when the stream
 * has ended. Holds no values: some kilobytes, and a key that has come in part.
 */
export class RdbCounter extends Transform {
  readonly #slots = new Float64Array(SLOT_COUNT);
  readonly #aliveAtMs: number;
  readonly #reader: RdbReader;
  #keys = 0;
  #expired = 0;
  #failure: ForgeError | undefined;

  constructor({ aliveAtMs = Number.NEGATIVE_INFINITY, checksum }: RdbCounterOptions = {}) {
    super();
    this.#aliveAtMs = aliveAtMs;
    this.#reader = new RdbReader(
      {
        key: (bytes, start, end, { expireAtMs }) => {
          if (expireAtMs >= 0 && expireAtMs <= this.#aliveAtMs) {
            this.#expired++;
            return;
          }
          this.#keys++;
          const slot = keySlot(bytes, start, end);
          this.#slots[slot] = (this.#slots[slot] as number) + 1;
        },
      },
      { keyMaxBytes: COUNTED_KEY_MAX_BYTES, checksum },
    );
  }

  /** Keys in all databases; exact when the stream has ended without a {@link failure}. */
  get keys(): number {
    return this.#keys;
  }

  /** Keys that had expired by `aliveAtMs`, and are not among {@link keys}; 0 when that was not given. */
  get expired(): number {
    return this.#expired;
  }

  /** As a manifest has them: slots with keys, and how many, by slot. */
  get slotKeys(): [slot: number, keys: number][] {
    const found: [number, number][] = [];
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const keys = this.#slots[slot] as number;
      if (keys > 0) found.push([slot, keys]);
    }
    return found;
  }

  /**
   * Why the counts are not to be used: UnsupportedRdb for a file of which a server must be asked, DamagedRdb for one that no
   * server would load, also when it ended too early. Whole when the stream has ended.
   */
  get failure(): ForgeError | undefined {
    return this.#failure;
  }

  override _transform(piece: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#try(() => this.#reader.push(piece));
    done(null, piece);
  }

  override _flush(done: TransformCallback): void {
    this.#try(() => this.#reader.finish());
    done();
  }

  #try(work: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      work();
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      this.#failure = error;
    }
  }
}

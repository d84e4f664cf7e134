/**
 * Valkey 9 notes in a snapshot which slots were on their way to the node. Servers that are in no cluster do not survive
 * that when they load it (seen with 9.1.2), and ours is in none: the notes are left out of what it is given.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { ForgeError } from '../../errors.js';
import { TRAILER_BYTES } from '../rdb/format.js';
import { RdbReader } from '../rdb/reader.js';

/** An RDB file that goes by, without such notes; then without its sum, too, which says nothing of the rest. */
export class WithoutSlotImports extends Transform {
  readonly #reader: RdbReader;
  /** Notes of which the end has been found: `[start, end)`, by the place in the file. */
  readonly #found: [start: number, end: number][] = [];
  #reading = true;
  #base = 0;
  /** Up to where the file has been passed on, or left out. */
  #passed = 0;
  /** The last bytes, which may be the sum. */
  #tail: Buffer = Buffer.alloc(0);
  #isChanged = false;

  constructor() {
    super();
    this.#reader = new RdbReader({ slotImport: (start, end) => this.#found.push([start, end]) });
  }

  override _transform(piece: Buffer, _: BufferEncoding, done: TransformCallback): void {
    const base = this.#base;
    const end = base + piece.length;
    this.#base = end;
    this.#read(piece);
    const parts: Buffer[] = [this.#tail];
    const pass = (until: number) => {
      if (until > this.#passed) parts.push(piece.subarray(this.#passed - base, until - base));
      this.#passed = Math.max(this.#passed, until);
    };
    for (const [from, until] of this.#found.splice(0)) {
      pass(from);
      this.#passed = until;
      this.#isChanged = true;
    }
    pass(this.#reading ? (this.#reader.slotImportAt ?? end) : end);
    const all = Buffer.concat(parts);
    const whole = Math.max(0, all.length - TRAILER_BYTES);
    this.#tail = all.subarray(whole);
    done(null, all.subarray(0, whole));
  }

  override _flush(done: TransformCallback): void {
    // All zero: the server was told not to sum. Every byte has been proved by the manifest's own sum.
    done(null, this.#isChanged ? Buffer.alloc(this.#tail.length) : this.#tail);
  }

  /** Notes stand before the keys; what this program does not know comes behind them. */
  #read(piece: Buffer): void {
    if (!this.#reading) return;
    try {
      this.#reader.push(piece);
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      this.#reading = false;
    }
  }
}

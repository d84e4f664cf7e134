/** Strings and values that somebody wants, put together from the pieces in which they come. Pure. */
import type { Cursor } from './cursor.js';
import { UnsupportedRdb } from './errors.js';
import { StringEncoding } from './format.js';
import { expandLzf } from './lzf.js';

const PLAIN = -1;

/** Grows only as bytes come, whatever was promised. */
export class Pieces {
  readonly #maxBytes: number;
  readonly #what: string;
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** @param what for the error: `a value` */
  constructor(maxBytes: number, what: string) {
    this.#maxBytes = maxBytes;
    this.#what = what;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  /** @throws UnsupportedRdb when there are more than may be kept, with those `more` that were promised */
  check(more: number, position: number): void {
    if (this.#bytes + more <= this.#maxBytes) return;
    throw new UnsupportedRdb(`${this.#what} of more than ${this.#maxBytes} bytes`, position);
  }

  /** Keeps what lies in the cursor's bytes between `start` and where it stands. */
  add(cursor: Cursor, start: number): void {
    const { at, bytes } = cursor;
    this.check(at - start, cursor.position);
    if (at === start) return;
    this.#pieces.push(bytes.subarray(start, at));
    this.#bytes += at - start;
  }

  /** All of it, and nothing is kept any more. */
  take(): Buffer {
    const whole = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    return whole as Buffer;
  }
}

/** A string, one after the other. */
export class WantedString {
  readonly #pieces: Pieces;
  #hasHead = false;
  #left = 0;
  #encoding = PLAIN;
  #plainBytes = 0;

  /** @param what for the error: `a key` */
  constructor(maxBytes: number, what: string) {
    this.#pieces = new Pieces(maxBytes, what);
  }

  /** Whether a part of it was read already. */
  get hasBegun(): boolean {
    return this.#hasHead;
  }

  /** @throws UnsupportedRdb for one of so many bytes */
  check(bytes: number, position: number): void {
    this.#pieces.check(bytes, position);
  }

  /** @returns undefined when it is not whole yet: call again when more has come */
  read(cursor: Cursor): Buffer | undefined {
    if (!this.#hasHead) {
      if (!cursor.stringHead()) return undefined;
      this.#pieces.check(Math.max(cursor.bodyBytes, cursor.plainBytes), cursor.position);
      this.#hasHead = true;
      this.#left = cursor.bodyBytes;
      this.#encoding = cursor.encoding;
      this.#plainBytes = cursor.plainBytes;
    }
    const start = cursor.at;
    this.#left = cursor.pass(this.#left);
    this.#pieces.add(cursor, start);
    if (this.#left > 0) return undefined;
    this.#hasHead = false;
    return this.#decoded(this.#pieces.take(), cursor);
  }

  #decoded(body: Buffer, cursor: Cursor): Buffer {
    switch (this.#encoding) {
      case PLAIN:
        return body;
      case StringEncoding.int8:
        return Buffer.from(String(body.readInt8()), 'latin1');
      case StringEncoding.int16:
        return Buffer.from(String(body.readInt16LE()), 'latin1');
      case StringEncoding.int32:
        return Buffer.from(String(body.readInt32LE()), 'latin1');
      default: {
        const plain = expandLzf(body, this.#plainBytes);
        if (plain === undefined) throw cursor.damaged('a compressed string cannot be expanded');
        return plain;
      }
    }
  }
}

/** Where a reader stands in the bytes that have come. Whatever is not whole yet stays for the next piece. Pure. */
import { DamagedRdb } from './errors.js';
import { LENGTH_32, LENGTH_64, StringEncoding } from './format.js';

const NOTHING = Buffer.alloc(0);
const PLAIN = -1;
const WORD = 2 ** 32;

export class Cursor {
  bytes: Buffer = NOTHING;
  at = 0;
  end = 0;
  /** What {@link length} has read. Exact up to 2^53: larger numbers are ids and times, which nobody here looks at. */
  value = 0;
  /** Of {@link stringHead}: -1 for bytes as they are, else a StringEncoding. */
  encoding = PLAIN;
  /** Of {@link stringHead}: bytes that follow, and bytes that they stand for. */
  bodyBytes = 0;
  plainBytes = 0;
  /** Bytes of the file before {@link bytes}. */
  #before = 0;

  /** In the file, from 0 on. */
  get position(): number {
    return this.#before + this.at;
  }

  /** The next piece: what was left of the former ones comes first. */
  take(piece: Buffer): void {
    this.#before += this.at;
    const left = this.end - this.at;
    this.bytes = left === 0 ? piece : Buffer.concat([this.bytes.subarray(this.at, this.end), piece]);
    this.at = 0;
    this.end = this.bytes.length;
  }

  damaged(why: string): DamagedRdb {
    return new DamagedRdb(why, this.position);
  }

  /** Reads a length into {@link value}; false, and nothing is read, when it is not whole. */
  length(): boolean {
    const { bytes, at, end } = this;
    if (at >= end) return false;
    const first = bytes[at] as number;
    if (first < 0x40) {
      this.value = first;
      this.at = at + 1;
      return true;
    }
    if (first < 0x80) {
      if (at + 2 > end) return false;
      this.value = ((first & 0x3f) << 8) | (bytes[at + 1] as number);
      this.at = at + 2;
      return true;
    }
    if (first === LENGTH_32) {
      if (at + 5 > end) return false;
      this.value = bytes.readUInt32BE(at + 1);
      this.at = at + 5;
      return true;
    }
    if (first !== LENGTH_64) throw this.damaged('a length is none');
    if (at + 9 > end) return false;
    this.value = bytes.readUInt32BE(at + 1) * WORD + bytes.readUInt32BE(at + 5);
    this.at = at + 9;
    return true;
  }

  /** Reads what stands before a string's bytes; false, and nothing is read, when it is not whole. */
  stringHead(): boolean {
    const { at } = this;
    if (at >= this.end) return false;
    const first = this.bytes[at] as number;
    if (first < 0xc0) {
      if (!this.length()) return false;
      this.encoding = PLAIN;
      this.bodyBytes = this.value;
      this.plainBytes = this.value;
      return true;
    }
    const encoding = first & 0x3f;
    if (encoding > StringEncoding.lzf) throw this.damaged(`strings of encoding ${encoding} are unknown`);
    this.encoding = encoding;
    this.at = at + 1;
    if (encoding !== StringEncoding.lzf) {
      this.bodyBytes = 1 << encoding;
      this.plainBytes = 0;
      return true;
    }
    if (this.length()) {
      this.bodyBytes = this.value;
      if (this.length()) {
        this.plainBytes = this.value;
        return true;
      }
    }
    this.at = at;
    return false;
  }

  /** Passes over bytes, as many as are there. @returns how many of them are still to come */
  pass(count: number): number {
    const there = this.end - this.at;
    if (count <= there) {
      this.at += count;
      return 0;
    }
    this.at = this.end;
    return count - there;
  }
}

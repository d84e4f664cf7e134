/**
 * CRC64 as Redis sums: the polynomial of Jones (0xad93d23594c935a9), bits from the lowest on, nothing before or after it. In
 * two halves of 32 bits, as numbers of JavaScript have no more, and eight bytes in a step. Pure.
 */
const STEP_BYTES = 8;
/** The polynomial with its bits turned round. */
const POLYNOMIAL_LOW = 0xac4bc9b5 | 0;
const POLYNOMIAL_HIGH = 0x95ac9329 | 0;

/** `[256 * k + byte]`: the sum of the byte with k zero bytes behind it. */
const LOW = new Int32Array(STEP_BYTES * 256);
const HIGH = new Int32Array(STEP_BYTES * 256);
for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = -(low & 1);
    low = ((low >>> 1) | (high << 31)) ^ (POLYNOMIAL_LOW & odd);
    high = (high >>> 1) ^ (POLYNOMIAL_HIGH & odd);
  }
  LOW[byte] = low;
  HIGH[byte] = high;
}
for (let at = 256; at < LOW.length; at++) {
  const low = LOW[at - 256] as number;
  const high = HIGH[at - 256] as number;
  LOW[at] = ((low >>> 8) | (high << 24)) ^ (LOW[low & 255] as number);
  HIGH[at] = (high >>> 8) ^ (HIGH[low & 255] as number);
}

/** A sum that goes on over pieces. */
export class Crc64 {
  #low = 0;
  #high = 0;

  reset(): this {
    this.#low = 0;
    this.#high = 0;
    return this;
  }

  /** Adds `bytes[start, end)`. */
  add(bytes: Uint8Array, start = 0, end = bytes.length): this {
    let low = this.#low;
    let high = this.#high;
    let at = start;
    for (const last = end - STEP_BYTES; at <= last; at += STEP_BYTES) {
      const a = (low & 255) ^ (bytes[at] as number);
      const b = ((low >>> 8) & 255) ^ (bytes[at + 1] as number);
      const c = ((low >>> 16) & 255) ^ (bytes[at + 2] as number);
      const d = (low >>> 24) ^ (bytes[at + 3] as number);
      const e = (high & 255) ^ (bytes[at + 4] as number);
      const f = ((high >>> 8) & 255) ^ (bytes[at + 5] as number);
      const g = ((high >>> 16) & 255) ^ (bytes[at + 6] as number);
      const h = (high >>> 24) ^ (bytes[at + 7] as number);
      low =
        (LOW[1792 + a] as number) ^
        (LOW[1536 + b] as number) ^
        (LOW[1280 + c] as number) ^
        (LOW[1024 + d] as number) ^
        (LOW[768 + e] as number) ^
        (LOW[512 + f] as number) ^
        (LOW[256 + g] as number) ^
        (LOW[h] as number);
      high =
        (HIGH[1792 + a] as number) ^
        (HIGH[1536 + b] as number) ^
        (HIGH[1280 + c] as number) ^
        (HIGH[1024 + d] as number) ^
        (HIGH[768 + e] as number) ^
        (HIGH[512 + f] as number) ^
        (HIGH[256 + g] as number) ^
        (HIGH[h] as number);
    }
    for (; at < end; at++) {
      const index = (low & 255) ^ (bytes[at] as number);
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] as number);
      high = (high >>> 8) ^ (HIGH[index] as number);
    }
    this.#low = low;
    this.#high = high;
    return this;
  }

  /** Puts the sum of all that was added into `target[at, at + 8)`, the lowest byte first. */
  write(target: Buffer, at = 0): void {
    target.writeInt32LE(this.#low, at);
    target.writeInt32LE(this.#high, at + 4);
  }
}

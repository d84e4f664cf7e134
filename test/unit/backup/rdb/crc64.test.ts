import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crc64 } from '../../../../src/backup/rdb/crc64.js';

/** Bit by bit. */
function slow(bytes: Uint8Array): bigint {
  let sum = 0n;
  for (const byte of bytes) {
    sum ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) sum = sum & 1n ? (sum >> 1n) ^ 0x95ac9329ac4bc9b5n : sum >> 1n;
  }
  return sum;
}
function fast(...pieces: Uint8Array[]): bigint {
  const sum = new Crc64();
  for (const piece of pieces) sum.add(piece);
  const bytes = Buffer.alloc(10);
  sum.write(bytes, 1);
  return bytes.readBigUInt64LE(1);
}

describe('the sum of dumps and RDB files', () => {
  it('is the one that Redis makes', () => {
    // From crc64.c.
    expect(fast(Buffer.from('123456789'))).toBe(0xe9c6d914c4b8d9can);
    expect(fast()).toBe(0n);
  });

  it('is the same for any bytes as bit by bit, in any pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (bytes, where) => {
        const cut = where % (bytes.length + 1);
        expect(fast(bytes)).toBe(slow(bytes));
        expect(fast(bytes.subarray(0, cut), bytes.subarray(cut))).toBe(slow(bytes));
        expect(new Crc64().add(bytes, cut).reset().add(bytes, 0, cut)).toEqual(new Crc64().add(bytes.subarray(0, cut)));
      }),
    );
  });
});

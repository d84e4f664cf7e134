import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/cluster/key-slot.js';
import { keySlot as proxyKeySlot } from '../../../src/proxy/engine/hash/crc16.js';

describe('the slot of a key', () => {
  it.each([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{user1000}.following', 3_443],
    ['', 0],
    ['foo{}{bar}', 8_363],
    ['foo{{bar}}zap', 4_015],
    ['foo{bar}{zap}', 5_061],
  ])('of %s is %i, as servers tell it', (key, slot) => {
    expect(keySlot(Buffer.from(key))).toBe(slot);
  });

  it('is that of the proxy, for any bytes', () => {
    let state = 7;
    const next = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    const alphabet = Buffer.from('ab{}{}\u0000ÿé');
    for (let round = 0; round < 5_000; round++) {
      const key = Buffer.from(Array.from({ length: next(24) }, () => alphabet[next(alphabet.length)] as number));
      const slot = proxyKeySlot(key, 0, key.length);
      expect(keySlot(key)).toBe(slot);
      // Also where it lies between other bytes, with braces of their own.
      expect(keySlot(Buffer.concat([Buffer.from('{a'), key, Buffer.from('}')]), 2, 2 + key.length)).toBe(slot);
    }
  });
});

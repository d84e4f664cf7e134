import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc16, keySlot } from '../../../../../src/proxy/engine/hash/crc16.js';

/** The one that ioredis uses; it brings no types. */
const clusterKeySlot = createRequire(import.meta.url)('cluster-key-slot') as (key: Buffer) => number;

function slot(key: string | Uint8Array): number {
  const bytes = Buffer.from(key as string);
  return keySlot(bytes, 0, bytes.length);
}

describe('the slot of a key', () => {
  it('is made with CRC16-XMODEM', () => {
    expect(crc16(Buffer.from('123456789'), 0, 9)).toBe(0x31c3);
    expect(crc16(Buffer.from(''), 0, 0)).toBe(0);
  });

  it.each([
    ['foo', 12182],
    ['bar', 5061],
    ['', 0],
  ])('of %j is %i', (key, expected) => {
    expect(slot(key)).toBe(expected);
  });

  it('is that of its hash tag', () => {
    expect(slot('{user1000}.following')).toBe(slot('{user1000}.followers'));
    expect(slot('{user1000}.following')).toBe(slot('user1000'));
    expect(slot('a{b}c{d}')).toBe(slot('b'));
    expect(slot('foo{bar')).not.toBe(slot('bar'));
    expect(slot('foo{{bar}}zap')).toBe(slot('{bar'));
    expect(slot('}{bar}')).toBe(slot('bar'));
  });

  it('is that of the whole key when the first tag is empty', () => {
    const whole = (key: string) => crc16(Buffer.from(key), 0, key.length) & 16383;
    for (const key of ['{}', 'foo{}{bar}', '{}{a}', '{', '}', 'a{', '{a', '{}}'])
      expect(slot(key), key).toBe(whole(key));
  });

  it('is the one that other clients find', () => {
    const keys = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      fc.string({ unit: fc.constantFrom('{', '}', 'a', 'b', 'é'), maxLength: 10 }).map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(keys, (key) => {
        // That library takes a later brace for the end of an empty tag; Redis hashes the whole key then.
        fc.pre(!key.includes('{}'));
        expect(slot(key)).toBe(clusterKeySlot(key));
      }),
      { numRuns: 3000 },
    );
  });

  it('looks at nothing outside of the key', () => {
    const bytes = Buffer.from('{x}foo{y}');
    expect(keySlot(bytes, 3, 6)).toBe(12182);
  });
});

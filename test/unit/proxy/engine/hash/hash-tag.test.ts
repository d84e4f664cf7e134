import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc16, keySlot } from '../../../../../src/proxy/engine/hash/crc16.js';
import { findHashTag, HASH_TAG } from '../../../../../src/proxy/engine/hash/hash-tag.js';

/** The part of the key that counts: its hash tag, or all of it. */
function counted(key: string): string {
  const bytes = Buffer.from(key);
  return findHashTag(bytes, 0, bytes.length) ? bytes.toString('utf8', HASH_TAG[0], HASH_TAG[1]) : key;
}

describe('the hash tag of a key', () => {
  it.each([
    ['{user1000}.following', 'user1000'],
    ['a{b}c{d}', 'b'],
    ['a}b{c}', 'c'],
    ['{{x}}', '{x'],
    ['foo{{bar}}zap', '{bar'],
    ['{a}', 'a'],
    ['}{a}', 'a'],
    ['{a}{}', 'a'],
    ['{ }', ' '],
    ['{é}x', 'é'],
  ])('of %j is %j', (key, tag) => {
    expect(counted(key)).toBe(tag);
  });

  it.each(['', '{', '}', '{}', '}{', '{a', 'a}', 'a{', '{}{a}', 'foo{}{bar}', '{}}', 'abc'])('of %j is none', (key) => {
    expect(counted(key)).toBe(key);
  });

  it('is the one that the slots of a cluster are made of', () => {
    const texts = fc.string({ unit: fc.constantFrom('{', '}', 'a', 'b', 'é'), maxLength: 10 });
    fc.assert(
      fc.property(texts, (key) => {
        const bytes = Buffer.from(key);
        const part = Buffer.from(counted(key));
        expect(crc16(part, 0, part.length) & 16383).toBe(keySlot(bytes, 0, bytes.length));
      }),
      { numRuns: 3000 },
    );
  });

  it('looks at nothing outside of the key', () => {
    const bytes = Buffer.from('{x}f{o}o{y}');
    expect(findHashTag(bytes, 3, 8)).toBe(true);
    expect([HASH_TAG[0], HASH_TAG[1]]).toEqual([5, 6]);
    expect(findHashTag(bytes, 3, 6)).toBe(false);
    expect(findHashTag(bytes, 5, 8)).toBe(false);
  });
});

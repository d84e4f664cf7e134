import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../../../src/proxy/engine/hash/crc16.js';
import {
  ClusterKeySpace,
  type KeySpace,
  MaglevKeySpace,
  RingKeySpace,
} from '../../../../../src/proxy/engine/sharding/key-space.js';
import { buildRing } from '../../../../../src/proxy/engine/sharding/ring.js';
import { murmur2Reference } from '../hash/reference.js';
import { murmur, servers, slotOf } from './hosts.js';

const ring = buildRing(servers(5));
const ringSpace = (hashtagging: boolean) => new RingKeySpace(ring.hashesHi, ring.hashesLo, hashtagging);

/** The first entry at or after a hash, looked for one by one. */
function entryAfter(hi: Uint32Array, lo: Uint32Array, hash: bigint): number {
  for (let i = 0; i < hi.length; i++) if (((BigInt(hi[i]) << 32n) | BigInt(lo[i])) >= hash) return i;
  return 0;
}

/** Keys, and the part of each that counts when hash tags do. */
const TAGGED: [key: string, counted: string][] = [
  ['', ''],
  ['{}', '{}'],
  ['{a', '{a'],
  ['a}', 'a}'],
  ['a}b{c}', 'c'],
  ['{{x}}', '{x'],
  ['{}{a}', '{}{a}'],
  ['foo{}{bar}', 'foo{}{bar}'],
  ['{user1000}.following', 'user1000'],
  ['x{user1000}{y}', 'user1000'],
];

describe.each<[string, (hashtagging: boolean) => KeySpace]>([
  ['Maglev', (hashtagging) => new MaglevKeySpace(5_000_011, hashtagging)],
  ['ring', ringSpace],
])('the key space of a %s', (_, spaceOf) => {
  it.each(TAGGED)('takes %j for %j when hash tags count', (key, counted) => {
    expect(slotOf(spaceOf(true), key)).toBe(slotOf(spaceOf(false), counted));
  });

  it.each(TAGGED)('hashes all of %j when hash tags do not count', (key) => {
    const hash = murmur(key);
    const space = spaceOf(false);
    const slot =
      space instanceof MaglevKeySpace ? Number(hash % 5_000_011n) : entryAfter(ring.hashesHi, ring.hashesLo, hash);
    expect(slotOf(space, key)).toBe(slot);
  });

  it('leaves it to the servers what they store', () => {
    expect(spaceOf(true).clustered).toBe(false);
  });

  it('looks at nothing outside of the key', () => {
    const bytes = Buffer.from('{x}f{o}o{y}');
    expect(spaceOf(true).slotOf(bytes, 3, 8)).toBe(slotOf(spaceOf(false), 'o'));
    expect(spaceOf(true).slotOf(bytes, 3, 6)).toBe(slotOf(spaceOf(false), 'f{o'));
  });

  it('has a slot for any key', () => {
    const space = spaceOf(true);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (key) => {
        const slot = space.slotOf(key, 0, key.length);
        expect(Number.isInteger(slot) && slot >= 0 && slot < space.slots).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the key space of a Maglev table', () => {
  it('is the hash modulo the size', () => {
    const sizes = fc.constantFrom(2, 7, 17, 65_537, 655_373, 5_000_011);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), sizes, (key, size) => {
        const expected = Number(murmur2Reference(key) % BigInt(size));
        expect(new MaglevKeySpace(size, false).slotOf(key, 0, key.length)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it('has as many slots as the table', () => {
    expect(new MaglevKeySpace(65_537, true).slots).toBe(65_537);
  });
});

describe('the key space of a ring', () => {
  it('is the first entry at or after the hash, and the first of all after the last', () => {
    const words = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 1, 0x7fffffff, 0xffffffff));
    const space = ringSpace(true);
    fc.assert(
      fc.property(words, words, (hi, lo) => {
        const hash = (BigInt(hi) << 32n) | BigInt(lo);
        expect(space.slotAt(hi, lo)).toBe(entryAfter(ring.hashesHi, ring.hashesLo, hash));
      }),
      { numRuns: 1000 },
    );
  });

  it('finds every entry by its own hash, by the one before and by the one after', () => {
    const space = ringSpace(true);
    for (let i = 0; i < space.slots; i++) {
      const hash = (BigInt(ring.hashesHi[i]) << 32n) | BigInt(ring.hashesLo[i]);
      for (const near of [hash - 1n, hash, hash + 1n]) {
        const slot = space.slotAt(Number(near >> 32n), Number(near & 0xffffffffn));
        expect(slot).toBe(entryAfter(ring.hashesHi, ring.hashesLo, near));
      }
    }
  });

  it('takes the first of entries with the same hash, and tells hashes apart by their lower halves', () => {
    const space = new RingKeySpace(Uint32Array.of(5, 5, 5, 5, 9), Uint32Array.of(1, 3, 3, 0xffffffff, 0), true);
    expect(space.slots).toBe(5);
    expect(space.slotAt(0, 0)).toBe(0);
    expect(space.slotAt(5, 1)).toBe(0);
    expect(space.slotAt(5, 2)).toBe(1);
    expect(space.slotAt(5, 3)).toBe(1);
    expect(space.slotAt(5, 4)).toBe(3);
    expect(space.slotAt(6, 0)).toBe(4);
    expect(space.slotAt(9, 0)).toBe(4);
    expect(space.slotAt(9, 1)).toBe(0);
  });

  it('has a slot on a ring of nobody', () => {
    const nobody = buildRing([]);
    expect(slotOf(new RingKeySpace(nobody.hashesHi, nobody.hashesLo, true), 'any')).toBe(0);
  });
});

describe('the key space of a Redis Cluster', () => {
  it('is CRC16 of the key or its tag, and known to the servers', () => {
    const space = new ClusterKeySpace();
    expect(space).toMatchObject({ slots: 16_384, clustered: true });
    for (const [key] of TAGGED) expect(slotOf(space, key)).toBe(keySlot(Buffer.from(key), 0, Buffer.byteLength(key)));
    expect(slotOf(space, 'foo')).toBe(12_182);
  });
});

describe('the slots of many keys', () => {
  const spaces: [string, KeySpace][] = [
    ['a cluster', new ClusterKeySpace()],
    ['Maglev with the usual table', new MaglevKeySpace(65_537, true)],
    ['Maglev without hash tags', new MaglevKeySpace(65_537, false)],
    ['Maglev with another table', new MaglevKeySpace(655_373, true)],
    ['a ring', ringSpace(true)],
  ];
  const text = fc.string({ maxLength: 40, unit: fc.constantFrom('a', 'b', '0', '{', '}') });
  const plain = fc.string({ maxLength: 40, unit: fc.constantFrom('a', 'b', '0') });

  it.each(spaces)('are those of each of them, in %s', (_, space) => {
    const lists = fc.oneof(fc.array(text, { minLength: 1, maxLength: 80 }), fc.array(plain, { maxLength: 80 }));
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 3 }), (words, step) => {
        const bytes = Buffer.from(words.join('|'));
        const starts = new Int32Array(words.length);
        const ends = new Int32Array(words.length);
        let at = 0;
        for (const [i, word] of words.entries()) {
          starts[i] = at;
          ends[i] = at + word.length;
          at = ends[i] + 1;
        }
        for (const first of [0, 1]) {
          const count = Math.max(0, Math.ceil((words.length - first) / step));
          const slots = new Int32Array(count);
          space.slotsOf(bytes, starts, ends, first, step, count, slots);
          const one = (i: number) => space.slotOf(bytes, starts[first + i * step], ends[first + i * step]);
          expect([...slots]).toEqual(Array.from(slots, (_slot, i) => one(i)));
        }
      }),
    );
  });
});

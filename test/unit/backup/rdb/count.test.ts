import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COUNTED_KEY_MAX_BYTES, RdbCounter, type RdbCounterOptions } from '../../../../src/backup/rdb/count.js';
import { DamagedRdb, UnsupportedRdb } from '../../../../src/backup/rdb/errors.js';
import { keySlot } from '../../../../src/proxy/engine/hash/crc16.js';
import { length, MAGIC, rdb, rdbOf, stringRecord } from './make-rdb.js';

async function count(pieces: readonly Buffer[], options?: RdbCounterOptions) {
  const counter = new RdbCounter(options);
  const passed = await Readable.from(pieces).compose(counter).toArray();
  return { counter, passed: Buffer.concat(passed) };
}
const expiring = (key: string, atMs: bigint) => {
  const time = Buffer.alloc(9, 252);
  time.writeBigInt64LE(atMs, 1);
  return Buffer.concat([time, stringRecord(key, 'value')]);
};

describe('the counter of keys', () => {
  it('lets all bytes through, and tells the keys of each slot', async () => {
    await fc.assert(
      fc.asyncProperty(rdb, fc.nat(), async ({ file, events }, where) => {
        const cut = where % file.length;
        const { counter, passed } = await count([file.subarray(0, cut), file.subarray(cut)]);
        expect(passed).toEqual(file);
        expect(counter.failure).toBeUndefined();
        const slots = new Map<number, number>();
        const keys = events.flatMap((event) => ('key' in event ? [Buffer.from(event.key, 'hex')] : []));
        for (const key of keys) {
          const slot = keySlot(key, 0, key.length);
          slots.set(slot, (slots.get(slot) ?? 0) + 1);
        }
        expect(counter.keys).toBe(keys.length);
        expect(counter.slotKeys).toEqual([...slots].sort(([one], [other]) => one - other));
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    [
      'of a type that nobody knows',
      rdbOf(MAGIC.redis, stringRecord('a', ''), Buffer.of(99), Buffer.alloc(50)),
      UnsupportedRdb,
    ],
    ['of a newer version', rdbOf('REDIS0099'), UnsupportedRdb],
    [
      'with a key that is too long',
      rdbOf(MAGIC.redis, Buffer.of(0), length(COUNTED_KEY_MAX_BYTES + 1)),
      UnsupportedRdb,
    ],
    ['that is none', Buffer.from('something else, of some length'), DamagedRdb],
    ['that ends too early', rdbOf(MAGIC.redis, stringRecord('a', '')).subarray(0, -1), DamagedRdb],
    ['that is empty', Buffer.alloc(0), DamagedRdb],
  ])('lets a file through %s, and says that it could not count', async (_, file, kind) => {
    const { counter, passed } = await count([file, Buffer.from('more')].slice(0, file.length === 0 ? 1 : 2));
    expect(passed.subarray(0, file.length)).toEqual(file);
    expect(counter.failure).toBeInstanceOf(kind);
  });

  it('looks at the sum when it is told to', async () => {
    const file = rdbOf(MAGIC.redis, stringRecord('a', ''));
    file[file.length - 1] = 1;
    expect((await count([file])).counter.failure).toBeUndefined();
    const { counter } = await count([file], { checksum: true });
    expect(counter.failure?.message).toContain('its sum is another one');
    expect(counter.keys).toBe(1);
  });

  it('counts apart what has expired by a given time', async () => {
    const file = rdbOf(
      MAGIC.redis,
      expiring('past', 999n),
      expiring('now', 1_000n),
      expiring('later', 1_001n),
      stringRecord('stays', ''),
    );
    const { counter } = await count([file], { aliveAtMs: 1_000 });
    expect([counter.keys, counter.expired, counter.slotKeys.length]).toEqual([2, 2, 2]);
    const { counter: all } = await count([file]);
    expect([all.keys, all.expired]).toEqual([4, 0]);
  });
});

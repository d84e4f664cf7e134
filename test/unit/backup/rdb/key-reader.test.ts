import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dumpPayload } from '../../../../src/backup/rdb/dump-payload.js';
import { DamagedRdb, UnsupportedRdb } from '../../../../src/backup/rdb/errors.js';
import { versionOfType } from '../../../../src/backup/rdb/format.js';
import {
  BATCH_MAX_BYTES,
  type RdbKey,
  RdbKeyReader,
  type RdbKeyReaderOptions,
} from '../../../../src/backup/rdb/key-reader.js';
import { hex, MAGIC, rdb, rdbOf, stringRecord } from './make-rdb.js';

async function readAll(source: Readable, options?: RdbKeyReaderOptions) {
  const reader = new RdbKeyReader(source, options);
  const keys: RdbKey[] = [];
  let failure: unknown;
  try {
    for await (const batch of reader.batches()) {
      expect(batch.length).toBeGreaterThan(0);
      keys.push(...batch);
    }
  } catch (error) {
    failure = error;
  }
  return { reader, keys, failure };
}
const manyKeys = (count: number, value = 'value') =>
  rdbOf(MAGIC.redis, ...Array.from({ length: count }, (_, i) => stringRecord(`key ${i}`, value)));

describe('the keys of an RDB file', () => {
  it('come in its order, with what the file says of them and with the payload of DUMP', async () => {
    await fc.assert(
      fc.asyncProperty(rdb, fc.boolean(), fc.nat(), async ({ file, events, family }, portable, where) => {
        const cut = where % file.length;
        const { reader, keys, failure } = await readAll(Readable.from([file.subarray(0, cut), file.subarray(cut)]), {
          portable,
        });
        expect(failure).toBeUndefined();
        const own = family === 'redis' ? 13 : 80;
        expect(reader).toMatchObject({ family, version: own, ordered: true });
        const wanted = events.flatMap((event) => ('key' in event ? [event] : []));
        for (const [i, key] of keys.entries()) {
          const { value, metadata, expireAtMs, idleSeconds, frequency, ...same } = wanted[i]!;
          expect({ ...key, key: hex(key.key) }).toMatchObject(same);
          const noted = (told: number) => (told < 0 ? undefined : told);
          expect([key.expireAtMs, key.idleSeconds, key.frequency]).toEqual(
            [expireAtMs, idleSeconds, frequency].map(noted),
          );
          const bytes = Buffer.from(value, 'hex');
          const payload = dumpPayload({
            metadata: metadata === undefined ? undefined : Buffer.from(metadata, 'hex'),
            type: same.type,
            bytes,
            start: 0,
            end: bytes.length,
            version: portable && metadata === undefined ? versionOfType(same.type, family)! : own,
          });
          expect(key.payload()).toEqual(payload);
          expect(key.payloadBytes).toBe(payload.length);
          const target = Buffer.alloc(payload.length + 1);
          expect(key.writePayload(target, 1)).toBe(target.length);
          expect(target.subarray(1)).toEqual(payload);
        }
        expect(keys).toHaveLength(wanted.length);
        const functions = events.flatMap((event) =>
          'function' in event ? [Buffer.from(event.function, 'hex').toString()] : [],
        );
        expect(reader.functions).toEqual(functions);
      }),
      { numRuns: 40 },
    );
  });

  it('come in batches that are bounded, whatever the source gives at once', async () => {
    const file = manyKeys(30_000);
    const reader = new RdbKeyReader(Readable.from([file]));
    let keys = 0;
    let largest = 0;
    for await (const batch of reader.batches()) {
      keys += batch.length;
      largest = Math.max(largest, batch.length);
    }
    expect(keys).toBe(30_000);
    expect(largest).toBeLessThan(BATCH_MAX_BYTES / 13);
  });

  it('are read as they are asked for, and no further', async () => {
    let given = 0;
    const file = manyKeys(1_000);
    const source = new Readable({
      highWaterMark: 1_024,
      read(size) {
        this.push(given < file.length ? file.subarray(given, given + size) : null);
        given += size;
      },
    });
    const reader = new RdbKeyReader(source);
    const batches = reader.batches();
    await batches.next();
    await batches.next();
    await new Promise(setImmediate);
    expect(given).toBeLessThan(8 * 1_024);
    await reader.close();
    await reader.close();
    expect(source.destroyed).toBe(true);
  });

  it('end where the file is not as it should be, after those before that place', async () => {
    const file = rdbOf(MAGIC.redis, stringRecord('one', '1'), stringRecord('two', '2'), Buffer.of(77));
    const source = (async function* () {
      yield file;
      throw new Error('it was read on');
    })();
    const unknown = await readAll(Readable.from(source));
    expect(unknown.keys.map(({ key }) => key.toString())).toEqual(['one', 'two']);
    expect(unknown.failure).toBeInstanceOf(UnsupportedRdb);
    const short = await readAll(Readable.from([manyKeys(3).subarray(0, -9)]));
    expect(short.keys).toHaveLength(3);
    expect(short.failure).toBeInstanceOf(DamagedRdb);
    const large = await readAll(Readable.from([manyKeys(3, 'x'.repeat(100))]), { valueMaxBytes: 50 });
    expect(large.failure).toBeInstanceOf(UnsupportedRdb);
    const summed = manyKeys(2);
    summed[summed.length - 1] = 1;
    const wrong = await readAll(Readable.from([summed]), { checksum: true });
    expect([wrong.keys.length, (wrong.failure as Error).message]).toEqual([2, expect.stringContaining('its sum')]);
  });

  it('fail with what their source fails with', async () => {
    const source = Readable.from(
      (async function* () {
        yield manyKeys(3).subarray(0, -9);
        throw new Error('the store is gone');
      })(),
    );
    const { keys, failure } = await readAll(source);
    expect(keys).toHaveLength(3);
    expect((failure as Error).message).toBe('the store is gone');
  });
});

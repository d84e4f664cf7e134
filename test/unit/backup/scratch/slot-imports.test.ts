import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WithoutSlotImports } from '../../../../src/backup/scratch/slot-imports.js';
import { length, MAGIC, plain, rdb, rdbOf, stringRecord } from '../rdb/make-rdb.js';

const note = Buffer.concat([
  Buffer.of(243),
  plain('a'.repeat(40)),
  length(2),
  ...[0, 7, 9_000, 16_383].map((n) => length(n)),
]);
const through = (pieces: readonly Buffer[]) => buffer(Readable.from(pieces).pipe(new WithoutSlotImports()));
const cut = (bytes: Buffer, size: number) =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );

describe('an RDB file for a server in no cluster', () => {
  it('is without notes on slots, wherever they stand and however they come, and has all else', async () => {
    const records = [note, stringRecord('key', 'value'), note, note, stringRecord('other', 'x'.repeat(50))];
    const summed = rdbOf(MAGIC.valkey, ...records);
    summed.fill(7, summed.length - 8);
    const wanted = rdbOf(MAGIC.valkey, ...records.filter((each) => each !== note));
    for (let size = 1; size <= summed.length; size++) expect(await through(cut(summed, size))).toEqual(wanted);
  });

  it('is as it was where it has none, or is not known to the end', async () => {
    const unknown = Buffer.concat([rdbOf(MAGIC.valkey, stringRecord('a', 'b')).subarray(0, -9), Buffer.of(6, 1, 2, 3)]);
    await fc.assert(
      fc.asyncProperty(rdb, fc.integer({ min: 1, max: 40 }), async ({ file, family }, size) => {
        const all: Buffer[] = [unknown, Buffer.concat([unknown, file])];
        if (family === 'redis') all.push(file);
        for (const each of all) expect((await through(cut(each, size))).equals(each)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crc64 } from '../../../../src/backup/rdb/crc64.js';
import { DamagedRdb, UnsupportedRdb } from '../../../../src/backup/rdb/errors.js';
import type { RdbReaderOptions } from '../../../../src/backup/rdb/events.js';
import { RdbReader } from '../../../../src/backup/rdb/reader.js';
import { compressed, type Event, hex, length, MAGIC, plain, rdb, rdbOf, stringRecord } from './make-rdb.js';

const cuts = fc.array(fc.nat(), { maxLength: 12 });
/** The file in pieces that end at these places. */
function piecesOf(file: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((cut) => cut % (file.length + 1))), file.length].sort((one, other) => one - other);
  return ends.map((end, i) => file.subarray(ends[i - 1] ?? 0, end));
}
const single = (file: Buffer) => Array.from(file, (_, i) => file.subarray(i, i + 1));

function readAll(pieces: readonly Buffer[], options?: RdbReaderOptions) {
  const events: Event[] = [];
  let key: Omit<Extract<Event, { key: string }>, 'value'> | undefined;
  const reader = new RdbReader(
    {
      key: (bytes, start, end, { metadata, hasMetadata, ...about }) => {
        expect(hasMetadata).toBe(metadata !== undefined);
        key = { key: hex(bytes.subarray(start, end)), ...about };
        if (metadata !== undefined) key = { ...key, metadata: hex(metadata) };
      },
      value: (bytes, start, end) => events.push({ ...key!, value: hex(bytes.subarray(start, end)) }),
      function: (source) => events.push({ function: hex(source) }),
      auxiliary: (name, value) => events.push({ auxiliary: [hex(Buffer.from(name, 'latin1')), hex(value)] }),
    },
    options,
  );
  return {
    reader,
    events,
    run: () => {
      for (const piece of pieces) reader.push(piece);
      reader.finish();
    },
  };
}
/** Keys without their values, as one who counts is told. */
function countAll(pieces: readonly Buffer[], options?: RdbReaderOptions): string[] {
  const keys: string[] = [];
  const reader = new RdbReader(
    {
      key: (bytes, start, end, { hasMetadata }) =>
        keys.push(hex(bytes.subarray(start, end)) + (hasMetadata ? ' noted' : '')),
    },
    options,
  );
  for (const piece of pieces) reader.push(piece);
  reader.finish();
  return keys;
}
function failureOf(work: () => unknown): UnsupportedRdb | DamagedRdb {
  try {
    work();
  } catch (error) {
    if (error instanceof UnsupportedRdb || error instanceof DamagedRdb) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('an RDB file', () => {
  it('is read whole, however its bytes arrive', () => {
    fc.assert(
      fc.property(rdb, cuts, ({ file, events, family }, at) => {
        for (const pieces of [[file], piecesOf(file, at), single(file)]) {
          const { reader, events: found, run } = readAll(pieces);
          run();
          expect(found).toEqual(events);
          expect(reader).toMatchObject({
            family,
            ended: true,
            position: file.length,
            version: family === 'redis' ? 13 : 80,
          });
        }
        const keys = events.flatMap((event) =>
          'key' in event ? [event.key + (event.metadata === undefined ? '' : ' noted')] : [],
        );
        expect(countAll(piecesOf(file, at))).toEqual(keys);
        expect(countAll(single(file))).toEqual(keys);
      }),
    );
  });

  it('is not whole before its last byte, and what was read until there is right', () => {
    fc.assert(
      fc.property(rdb, ({ file, events }) => {
        for (let end = 0; end < file.length; end++) {
          const { events: found, run } = readAll([file.subarray(0, end)]);
          expect(failureOf(run)).toBeInstanceOf(DamagedRdb);
          expect(found).toEqual(events.slice(0, found.length));
        }
      }),
      { numRuns: 6 },
    );
  });

  it('that is no such file, or not any more, is refused with an error that says so', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('redis' as const, 'valkey' as const),
        fc.uint8Array({ maxLength: 400 }),
        cuts,
        (family, noise, at) => {
          const file = Buffer.concat([Buffer.from(MAGIC[family]), noise]);
          const failure = failureOf(() => {
            readAll(piecesOf(file, at)).run();
            // As good as impossible, and then it is a file.
            throw new DamagedRdb('', 0);
          });
          expect(['refused', 'verification']).toContain(failure.kind);
        },
      ),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(rdb, fc.nat(), fc.nat({ max: 254 }), cuts, ({ file }, where, by, at) => {
        const changed = Buffer.from(file);
        const place = where % file.length;
        changed[place] = (changed[place]! + 1 + by) & 255;
        for (const read of [() => readAll(piecesOf(changed, at)).run(), () => countAll(piecesOf(changed, at))]) {
          try {
            read();
          } catch (error) {
            expect(error instanceof UnsupportedRdb || error instanceof DamagedRdb, String(error)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is refused for good: what was wrong once is said again', () => {
    const { reader } = readAll([]);
    const first = failureOf(() => reader.push(Buffer.from('no RDB file')));
    expect(failureOf(() => reader.push(Buffer.from(MAGIC.redis)))).toBe(first);
    expect(failureOf(() => reader.finish())).toBe(first);
    expect(first.message).toBe('The RDB is damaged: it does not begin as an RDB file does (byte 0).');
    expect(failureOf(() => readAll([Buffer.concat([rdbOf(MAGIC.redis), Buffer.of(0)])]).run()).message).toContain(
      'something is behind its end',
    );
  });

  it.each([
    ['REDIS0008', "Redis's format of version 8"],
    ['REDIS0014', "Redis's format of version 14"],
    ['VALKEY079', "Valkey's format of version 79"],
    ['VALKEY081', "Valkey's format of version 81"],
  ])('of another version is for a server: %s', (magic, what) => {
    const failure = failureOf(() => readAll([rdbOf(magic)]).run());
    expect(failure).toBeInstanceOf(UnsupportedRdb);
    expect(failure.message).toContain(what);
  });

  it.each([
    ['REDIS0013', 6],
    ['REDIS0013', 8],
    ['REDIS0013', 27],
    ['REDIS0013', 242],
    ['REDIS0013', 246],
    ['REDIS0012', 26],
    ['REDIS0012', 243],
    ['REDIS0011', 22],
    ['REDIS0010', 20],
    ['VALKEY080', 23],
    ['VALKEY080', 26],
  ])('with what its version does not have is for a server: %s, %i', (magic, type) => {
    const file = rdbOf(magic, stringRecord('key', 'value'), Buffer.of(type), plain('key'), plain('value'));
    const failure = failureOf(() => readAll([file]).run());
    expect(failure).toBeInstanceOf(UnsupportedRdb);
    expect(failure.message).toContain(`type ${type},`);
    expect(failure.details).toEqual({ atByte: 9 + 11 });
  });
});

it('an RDB file that Valkey 9.1 has written while a slot was on its way to it is read', () => {
  const file = Buffer.from(
    [
      '56414c4b4559303830fa0a76616c6b65792d76657205392e312e32fa0a72656469732d62697473c040fa056374696d65c2b1b0026bfa0875',
      '7365642d6d656dc2b8b12b00fa08616f662d62617365c000f3283266646564353735393638653833666238356538356238323336343539633',
      '8623337393133656161017e137e13ff72439600c10112a8',
    ].join(''),
    'hex',
  );
  const { reader, events, run } = readAll(single(file), { checksum: true });
  run();
  expect(reader.family).toBe('valkey');
  expect(events[0]).toEqual({ auxiliary: [hex(Buffer.from('valkey-ver')), hex(Buffer.from('9.1.2'))] });
  expect(events).toHaveLength(5);
});

describe('the sum of an RDB file', () => {
  const summed = (file: Buffer) => {
    const copy = Buffer.from(file);
    new Crc64().add(copy, 0, copy.length - 8).write(copy, copy.length - 8);
    return copy;
  };

  it('is looked at when that is wanted, however the bytes arrive', () => {
    fc.assert(
      fc.property(rdb, cuts, fc.nat(), ({ file: unsummed }, at, where) => {
        const file = summed(unsummed);
        readAll(piecesOf(file, at), { checksum: true }).run();
        readAll(single(file), { checksum: true }).run();
        // A server that was told not to sum writes zeros.
        readAll(piecesOf(unsummed, at), { checksum: true }).run();
        const changed = Buffer.from(file);
        changed[9 + (where % (file.length - 9))]! ^= 1;
        const { run } = readAll(piecesOf(changed, at), { checksum: true });
        expect(failureOf(run).message).toMatch(/^The RDB/);
      }),
    );
  });
});

describe('what a reader holds', () => {
  const huge = length(2n ** 40n);

  it.each([
    ['a key', {}, Buffer.concat([Buffer.of(0), huge])],
    ['a key', {}, Buffer.concat([Buffer.of(0, 0xc3), length(10), huge])],
    ['a key', { keyMaxBytes: 9 }, Buffer.concat([Buffer.of(0), plain('0123456789')])],
    ['a key', { keyMaxBytes: 9 }, Buffer.concat([Buffer.of(0), compressed('0'.repeat(10))])],
    ['a value', {}, Buffer.concat([Buffer.of(0), plain('key'), huge])],
    ['a value', { valueMaxBytes: 9 }, stringRecord('key', '012345678')],
    [
      'a value',
      { valueMaxBytes: 9 },
      Buffer.concat([Buffer.of(1), plain('key'), length(9), Buffer.alloc(9, plain('x'))]),
    ],
    ['a string', {}, Buffer.concat([Buffer.of(245), huge])],
    ['a string', { keyMaxBytes: 9 }, Buffer.concat([Buffer.of(245), plain('0123456789')])],
  ])('has a bound: %s, with %o', (what, options, record) => {
    for (const pieces of [[rdbOf(MAGIC.redis, record)], single(rdbOf(MAGIC.redis, record))]) {
      const failure = failureOf(() => readAll(pieces, options).run());
      expect(failure).toBeInstanceOf(UnsupportedRdb);
      expect(failure.message).toContain(`${what} of more than`);
    }
  });

  it('is nothing of values that nobody asks for, of any size, and promises cost nothing', () => {
    const megabyte = Buffer.alloc(1024 * 1024);
    const before = process.memoryUsage().arrayBuffers;
    const keys: string[] = [];
    const reader = new RdbReader({ key: (bytes, start, end) => keys.push(bytes.toString('latin1', start, end)) });
    reader.push(Buffer.concat([Buffer.from(MAGIC.redis), Buffer.of(0), plain('large'), length(600 * megabyte.length)]));
    for (let i = 0; i < 600; i++) reader.push(megabyte);
    // A hash that should have more fields than there are bytes in the world.
    reader.push(Buffer.concat([Buffer.of(4), plain('hash'), length(2n ** 64n - 1n), plain('field')]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * megabyte.length);
    expect(keys).toEqual(['large', 'hash']);
    expect(failureOf(() => reader.finish()).message).toContain('it ends too early');
  });

  it('is a string only as far as its bytes have come', () => {
    const { reader } = readAll([]);
    const before = process.memoryUsage().arrayBuffers;
    reader.push(Buffer.concat([Buffer.from(MAGIC.redis), Buffer.of(0), length(500 * 1024 * 1024), Buffer.alloc(100)]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    const lies = Buffer.concat([Buffer.of(0, 0xc3), length(10), length(500 * 1024 * 1024), Buffer.alloc(10)]);
    expect(failureOf(() => readAll([rdbOf(MAGIC.redis, lies)]).run()).message).toContain('cannot be expanded');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  });
});

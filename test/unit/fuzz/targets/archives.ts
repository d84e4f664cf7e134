/** The data of backups: RDB files, what is in them, archives of files, and how objects are packed. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { keyFor } from '../../../../src/backup/archive/encryption.js';
import { pack, unpack } from '../../../../src/backup/archive/pack.js';
import { RdbCounter } from '../../../../src/backup/rdb/count.js';
import { DamagedRdb, UnsupportedRdb } from '../../../../src/backup/rdb/errors.js';
import { RdbKeyReader } from '../../../../src/backup/rdb/key-reader.js';
import { expandLzf } from '../../../../src/backup/rdb/lzf.js';
import { RdbReader } from '../../../../src/backup/rdb/reader.js';
import { readTar, TarError, writeTar } from '../../../../src/backup/source/files/tar.js';
import { ForgeError } from '../../../../src/errors.js';
import { lzf, rdb } from '../../backup/rdb/make-rdb.js';
import { changed, cuts, piecesOf } from '../mutate.js';
import { must, mustEqual, resultOf, target } from '../target.js';

/** What somebody who wants all of it is told, until it fails. */
function told(pieces: readonly Buffer[]): { events: string[]; failure: string } {
  const events: string[] = [];
  const hash = (bytes: Buffer, start: number, end: number) => bytes.toString('latin1', start, end).slice(0, 500);
  const reader = new RdbReader(
    {
      key: (bytes, start, end, { metadata, ...about }) =>
        events.push(`key ${hash(bytes, start, end)} ${JSON.stringify(about)} ${metadata?.toString('hex')}`),
      value: (bytes, start, end) => events.push(`value ${hash(bytes, start, end)}`),
      function: (source) => events.push(`function ${source.toString('latin1')}`),
      auxiliary: (name, value) => events.push(`auxiliary ${name} ${value.toString('latin1')}`),
    },
    { checksum: true },
  );
  const { refusal } = {
    refusal: undefined,
    ...resultOf<void, ForgeError>(
      () => {
        for (const piece of pieces) reader.push(piece);
        reader.finish();
      },
      UnsupportedRdb,
      DamagedRdb,
    ),
  };
  return { events, failure: refusal?.message ?? '' };
}

async function counted(pieces: readonly Buffer[]): Promise<RdbCounter> {
  const counter = new RdbCounter();
  const out = Readable.from(pieces).pipe(counter);
  const through = await buffer(out);
  must(through.equals(Buffer.concat(pieces)), 'what is counted goes through as it is');
  return counter;
}

async function keysOf(pieces: readonly Buffer[]): Promise<{ keys: number; failed: boolean }> {
  const reader = new RdbKeyReader(Readable.from(pieces), { portable: true });
  let keys = 0;
  try {
    for await (const batch of reader.batches()) {
      for (const key of batch) {
        keys++;
        const payload = key.payload();
        must(payload.length === key.payloadBytes, 'a payload has the length that was told');
        const target = Buffer.alloc(payload.length + 2);
        must(key.writePayload(target, 1) === payload.length + 1, 'and is written in that length');
        must(target.subarray(1, -1).equals(payload), 'as it is');
      }
    }
    return { keys, failed: false };
  } catch (error) {
    if (error instanceof UnsupportedRdb || error instanceof DamagedRdb) return { keys, failed: true };
    throw error;
  }
}

const KEY = keyFor(Buffer.alloc(32, 3), Buffer.alloc(16, 4), 'x');
const PLAIN = Buffer.from(Array.from({ length: 3_000 }, (_, index) => (index * index) % 251));

interface PackedObject {
  readonly stored: Buffer;
  readonly object: ReturnType<ReturnType<typeof pack>['object']>;
  readonly how: { compression: 'gzip' | 'none'; key?: Buffer };
}
async function packed(how: PackedObject['how']): Promise<PackedObject> {
  const made = pack(Readable.from([PLAIN]), { name: 'x', key: undefined, ...how });
  const stored = await buffer(made.stream);
  return { stored, object: made.object(), how };
}
const packedWays = Promise.all([
  packed({ compression: 'gzip' }),
  packed({ compression: 'gzip', key: KEY }),
  packed({ compression: 'none', key: KEY }),
  packed({ compression: 'none' }),
]);

async function archiveOf(): Promise<Buffer> {
  const file = (name: string, content: string) => ({
    file: { path: name, bytes: content.length, mode: 0o600, uid: 0, gid: 0, modified: new Date(0) },
    content: Readable.from([Buffer.from(content)]),
  });
  const files = [file('nodes.conf', 'x'), file('dump.rdb', 'y'.repeat(700)), file('appendonlydir/a.aof', '')];
  return buffer(Readable.from(writeTar(files)));
}
const archive = archiveOf();

async function entriesOf(pieces: readonly Buffer[]): Promise<{ entries: string[]; failure: string }> {
  const entries: string[] = [];
  try {
    for await (const { path, bytes, content } of readTar(Readable.from(pieces) as AsyncIterable<Buffer>)) {
      const sum = createHash('sha256');
      let read = 0;
      for await (const piece of content) {
        sum.update(piece);
        read += piece.length;
      }
      must(read === bytes, 'an entry has the length that was told');
      entries.push(`${path} ${bytes} ${sum.digest('hex')}`);
    }
    return { entries, failure: '' };
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    return { entries, failure: error.message };
  }
}

/** Bytes that are only known later, changed in the same ways. */
const change = fc.func(fc.nat());

export const archives = [
  target('RDB files', fc.tuple(changed(rdb.map(({ file }) => file)), cuts), async ([file, at]) => {
    const pieces = piecesOf(file, at);
    const whole = told([file]);
    const cut = told(pieces);
    must(cut.failure === whole.failure, `however it comes, it is as wrong: ${cut.failure}, ${whole.failure}`);
    mustEqual(cut.events, whole.events, 'however it comes, it is the same');
    const { keys, failure } = await counted(pieces);
    const read = await keysOf(pieces);
    must(read.failed === (failure !== undefined), 'whoever counts fails as whoever reads');
    if (failure === undefined) must(keys === read.keys, 'whoever counts finds as many keys as whoever reads');
  }),
  target(
    'LZF',
    fc.tuple(changed(fc.uint8Array({ maxLength: 400 }).map((bytes) => lzf(Buffer.from(bytes)))), fc.nat(2_000)),
    ([bytes, plainBytes]) => {
      const plain = expandLzf(bytes, plainBytes);
      must(plain === undefined || plain.length === plainBytes, 'it has the length that was told');
    },
  ),
  target(
    'archives of files',
    fc.tuple(changed(fc.constant(Buffer.alloc(0))), change, cuts),
    async ([extra, by, at]) => {
      const bytes = Buffer.concat([await archive, extra]);
      for (let index = 0; index < 3; index++) {
        const where = by(index) % bytes.length;
        bytes[where] = by(index, where) & 255;
      }
      const whole = await entriesOf([bytes]);
      mustEqual(await entriesOf(piecesOf(bytes, at)), whole, 'however it comes, it is the same');
    },
  ),
  target(
    'objects in a store',
    fc.tuple(fc.nat(3), changed(fc.constant(Buffer.alloc(1))), fc.nat(), fc.nat(3), cuts),
    async ([way, come, where, gone, at]) => {
      const { stored, object, how } = (await packedWays)[way] as PackedObject;
      const start = where % (stored.length + 1);
      const bytes = Buffer.concat([stored.subarray(0, start), come, stored.subarray(start + gone)]);
      const stream = unpack(Readable.from(piecesOf(bytes, at)), object, { ...how, place: 'x' });
      const outcome = await buffer(stream).catch((error: unknown) => error);
      if (Buffer.isBuffer(outcome)) must(bytes.equals(stored) && outcome.equals(PLAIN), 'no other byte goes unnoticed');
      else
        must(outcome instanceof ForgeError && outcome.kind === 'verification', `a refusal says what it is: ${outcome}`);
    },
  ),
];

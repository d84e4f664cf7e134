import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_BYTES, decryption, encryption, keyFor } from '../../../src/backup/archive/encryption.js';
import { compressions, pack, unpack } from '../../../src/backup/archive/pack.js';
import type { BackupObject } from '../../../src/backup/manifest.js';
import { ForgeError } from '../../../src/errors.js';

const SALT = Buffer.alloc(16, 1);
const KEY = keyFor(Buffer.alloc(32, 2), SALT, 'shard-0001.rdb.gz');
const SMALL = 16;

const inPieces = (bytes: Buffer, size: number) =>
  Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })(),
    { objectMode: false },
  );
const encrypted = (bytes: Buffer, chunk = SMALL) => buffer(inPieces(bytes, 7).pipe(encryption(KEY, chunk)));
const decrypted = (bytes: Buffer, chunk = SMALL, key = KEY) =>
  buffer(inPieces(bytes, 11).pipe(decryption(key, 'shard', chunk)));
const kindOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => (error instanceof ForgeError ? error.kind : error),
  );

describe('encryption', () => {
  it('gives back what it took, whatever the length and the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5 * SMALL }), async (array) => {
        const bytes = Buffer.from(array);
        expect((await decrypted(await encrypted(bytes))).equals(bytes)).toBe(true);
      }),
    );
    for (const length of [0, SMALL, 2 * SMALL, 3 * CHUNK_BYTES]) {
      const bytes = randomBytes(length);
      expect((await decrypted(await encrypted(bytes, CHUNK_BYTES), CHUNK_BYTES)).equals(bytes)).toBe(true);
    }
  });

  it('finds every bit that is another one, every chunk that is moved, and every end that is missing', async () => {
    const bytes = randomBytes(4 * SMALL);
    const sealed = await encrypted(bytes);
    const chunk = SMALL + 16;
    for (let at = 0; at < sealed.length; at += 3) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      expect(await kindOf(decrypted(changed)), `byte ${at}`).toBe('verification');
      expect(await kindOf(decrypted(sealed.subarray(0, at))), `the first ${at} bytes`).toBe('verification');
    }
    const parts = [0, 1, 2, 3].map((index) => sealed.subarray(index * chunk, (index + 1) * chunk));
    for (const order of [
      [1, 0, 2, 3],
      [0, 2, 3],
      [0, 1, 1, 2, 3],
      [0, 1, 2],
      [0, 1, 2, 3, 3],
    ]) {
      expect(await kindOf(decrypted(Buffer.concat(order.map((index) => parts[index] as Buffer)))), `${order}`).toBe(
        'verification',
      );
    }
  });

  it('knows another key, also that of another object or backup', async () => {
    const sealed = await encrypted(randomBytes(100));
    const secret = Buffer.alloc(32, 2);
    const others = [
      keyFor(secret, SALT, 'shard-0002.rdb.gz'),
      keyFor(secret, Buffer.alloc(16, 9), 'shard-0001.rdb.gz'),
      keyFor(Buffer.alloc(32, 3), SALT, 'shard-0001.rdb.gz'),
    ];
    for (const key of others) expect(await kindOf(decrypted(sealed, SMALL, key))).toBe('verification');
  });
});

describe.each(compressions())('an object packed with %s', (compression) => {
  const packed = async (bytes: Buffer, key?: Buffer): Promise<{ stored: Buffer; object: BackupObject }> => {
    const { stream, object } = pack(inPieces(bytes, 1_000), { name: 'shard-0001.rdb', compression, key });
    const stored = await buffer(stream);
    return { stored, object: object() };
  };
  const unpacked = (stored: Buffer, object: BackupObject, key?: Buffer) =>
    buffer(unpack(inPieces(stored, 999), object, { compression, key, place: 'the shard' }));

  it.each([undefined, KEY])('comes back as it was, and smaller where it can', async (key) => {
    const bytes = Buffer.concat([Buffer.alloc(300_000, 'abc'), randomBytes(10_000)]);
    const { stored, object } = await packed(bytes, key);
    expect(object.plainBytes).toBe(bytes.length);
    expect(object.bytes).toBe(stored.length);
    if (compression !== 'none') expect(stored.length).toBeLessThan(bytes.length / 5);
    expect((await unpacked(stored, object, key)).equals(bytes)).toBe(true);
    expect(stored.includes(Buffer.alloc(100, 'abc'))).toBe(compression === 'none' && key === undefined);
  });

  it('is found out when a byte is another one, or when it is cut off or longer', async () => {
    const { stored, object } = await packed(randomBytes(20_000));
    for (let at = 0; at < stored.length; at += 997) {
      const changed = Buffer.from(stored);
      changed[at] = (changed[at] as number) ^ 4;
      expect(await kindOf(unpacked(changed, object)), `byte ${at}`).toBe('verification');
      expect(await kindOf(unpacked(stored.subarray(0, at), object)), `the first ${at}`).toBe('verification');
    }
    expect(await kindOf(unpacked(Buffer.concat([stored, Buffer.of(0)]), object))).toBe('verification');
  });

  it('fails as its source does', async () => {
    const source = Readable.from(
      (async function* () {
        yield Buffer.alloc(100);
        throw new ForgeError('unreachable', 'the node has gone');
      })(),
      { objectMode: false },
    );
    const { stream } = pack(source, { name: 'shard-0001.rdb', compression, key: KEY });
    expect(await kindOf(buffer(stream))).toBe('unreachable');
  });
});

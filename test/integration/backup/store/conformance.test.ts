/** What every store does alike: directories and S3. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import { S3Store } from '../../../../src/backup/store/s3/store.js';
import type { BackupStore, StoredObject } from '../../../../src/backup/store/store.js';
import { startS3, type TestS3 } from '../../../support/s3.js';

const MIB = 1024 * 1024;
const never = new AbortController().signal;

let s3: TestS3;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-store-'));
  s3 = await startS3();
});
afterAll(async () => {
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
});

const KINDS: readonly [string, () => Promise<BackupStore>][] = [
  ['a directory', async () => new DirectoryStore(path.join(folder, randomBytes(6).toString('hex')))],
  ['S3', () => S3Store.connect(s3.settings())],
  [
    'S3 with checksums, at the top of a bucket',
    async () => {
      const settings = s3.settings({ bucket: await s3.makeBucket(), prefix: '', checksums: 'supported' });
      return S3Store.connect(settings);
    },
  ],
];

async function all(listed: AsyncIterable<StoredObject>): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const each of listed) found.push(each);
  return found;
}
const keys = async (store: BackupStore, prefix = '') => (await all(store.list(prefix, never))).map(({ key }) => key);

/** Random bytes, in pieces that fit no part. */
function* pieces(content: Buffer, size = 77_777): Generator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}
async function digest(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of stream) hash.update(piece);
  return hash.digest('hex');
}

describe.each(KINDS)('%s', (_, make) => {
  let store: BackupStore;
  beforeAll(async () => {
    store = await make();
  });
  afterAll(() => store?.close());

  it('has nothing before anything is put there, and can be tried', async () => {
    expect(await keys(store)).toEqual([]);
    await store.check(never);
    expect(await keys(store)).toEqual([]);
  });

  it('gives small objects back, and replaces them', async () => {
    expect(await store.read('small/a', { maxBytes: 10, signal: never })).toBeUndefined();
    await store.write('small/a', Buffer.from('one'), never);
    await store.write('small/a', Buffer.from('three'), never);
    await store.write('small/empty', Buffer.alloc(0), never);
    expect(String(await store.read('small/a', { maxBytes: 5, signal: never }))).toBe('three');
    expect(await store.read('small/empty', { maxBytes: 5, signal: never })).toEqual(Buffer.alloc(0));
    await expect(store.read('small/a', { maxBytes: 4, signal: never })).rejects.toMatchObject({ kind: 'verification' });
    await expect(store.open('small/none', never)).rejects.toMatchObject({ kind: 'verification' });
  });

  it.each([0, 1, 8 * MIB, 8 * MIB + 1, 27 * MIB + 17])('puts a stream of %d bytes and gives it back', async (bytes) => {
    const content = randomBytes(bytes);
    const told: number[] = [];
    await store.put('streams/one', Readable.from(pieces(content)), {
      signal: never,
      onProgress: (now) => told.push(now),
    });
    expect(told.at(-1) ?? 0).toBe(bytes);
    expect(told).toEqual([...told].sort((one, other) => one - other));
    expect(await digest(await store.open('streams/one', never))).toBe(
      createHash('sha256').update(content).digest('hex'),
    );
    expect(await all(store.list('streams/', never))).toEqual([
      { key: 'streams/one', bytes, modifiedMs: expect.toSatisfy((at: number) => Math.abs(at - Date.now()) < 60_000) },
    ]);
    await store.remove(['streams/one'], never);
  });

  it('lists by prefix, in the order of keys, whatever they hold', async () => {
    const names = ['list/a/1', 'list/a-b', 'list/ä +%&<>"\'', 'list/b/c/d', 'listen', 'list/a/10'];
    for (const name of names) await store.write(name, Buffer.from(name), never);
    const sorted = [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    expect(await keys(store, 'list')).toEqual(sorted);
    expect(await keys(store, 'list/a/')).toEqual(['list/a/1', 'list/a/10']);
    expect(await keys(store, 'list/none')).toEqual([]);
    await store.remove(names, never);
    expect(await keys(store, 'list')).toEqual([]);
  });

  it('removes what is there, and finds no fault with what is not', async () => {
    const many = Array.from({ length: 12 }, (_, index) => `many/${index}`);
    await Promise.all(many.map((key) => store.write(key, Buffer.from(key), never)));
    await store.remove([...many.slice(2), 'many/none', 'none/at/all'], never);
    expect(await keys(store, 'many/')).toEqual(['many/0', 'many/1']);
    await store.remove([], never);
  });

  it('has nothing of a stream that fails, at any length', async () => {
    for (const bytes of [10, 17 * MIB]) {
      const source = new PassThrough();
      const put = store.put('failing/one', source, { signal: never });
      source.write(randomBytes(bytes));
      setTimeout(() => source.destroy(new Error('the source broke')), 30);
      await expect(put).rejects.toThrow('the source broke');
      expect(await keys(store, 'failing/')).toEqual([]);
      expect(await store.sweep('failing/', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    }
  });

  it('has nothing of a stream that a signal ends, even when it is silent', async () => {
    for (const bytes of [0, 20 * MIB]) {
      const control = new AbortController();
      const source = new PassThrough();
      const put = store.put('ended/one', source, { signal: control.signal });
      if (bytes > 0) source.write(randomBytes(bytes));
      setTimeout(() => control.abort(new Error('enough')), 60);
      await expect(put).rejects.toThrow('enough');
      expect(source.destroyed).toBe(true);
      expect(await keys(store, 'ended/')).toEqual([]);
      expect(await store.sweep('ended/', { beforeMs: Date.now() + 60_000, signal: never })).toBe(0);
    }
  });

  it('ends a reading when the signal says so, or when the reader has enough', async () => {
    await store.write('read/one', randomBytes(3 * MIB), never);
    const control = new AbortController();
    const stream = await store.open('read/one', control.signal);
    const reading = digest(stream);
    control.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
    const left = await store.open('read/one', never);
    for await (const _ of left) break;
    expect(left.destroyed).toBe(true);
    (await store.open('read/one', never)).destroy();
  });

  it('takes several streams at once, in bounded memory', async () => {
    const contents = Array.from({ length: 3 }, () => randomBytes(9 * MIB));
    await Promise.all(
      contents.map((content, index) =>
        store.put(`at-once/${index}`, Readable.from(pieces(content)), { signal: never }),
      ),
    );
    const found = await Promise.all(
      contents.map(async (_, index) => digest(await store.open(`at-once/${index}`, never))),
    );
    expect(found).toEqual(contents.map((content) => createHash('sha256').update(content).digest('hex')));
  });
});

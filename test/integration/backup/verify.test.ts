import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackup, listBackups } from '../../../src/backup/catalogue.js';
import { keepBackup } from '../../../src/backup/keep.js';
import { KEEP_MARK, keyOf, MANIFEST, newBackupId, RUNNING_MARK, VERIFIED_MARK } from '../../../src/backup/layout.js';
import { DirectoryStore } from '../../../src/backup/store/directory.js';
import type { BackupStore } from '../../../src/backup/store/store.js';
import { chooseToVerify, verifyBackup } from '../../../src/backup/verify.js';
import { verifySums } from '../../../src/backup/verify-sums.js';
import { ForgeError } from '../../../src/errors.js';
import { EMPTY_RDB, type MakeBackupOptions, makeBackup } from '../../support/backup.js';

const SECRET = Buffer.alloc(32, 5);
const MIB = 1024 * 1024;
/** Bytes from one that is changed to the next: seals and packing have tests of their own that change each. */
const STEP = process.env.FORGE_TORTURE === 'full' ? 1 : 47;
const { signal } = new AbortController();

let directory: string;
let store: DirectoryStore;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-verify-'));
  store = new DirectoryStore(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const file = (key: string) => path.join(directory, key);
let made = 0;
/** Each in a cluster of its own. */
const make = (options: MakeBackupOptions = {}) => makeBackup(store, { cluster: `c${made++}`, ...options });

async function verdict({ cluster, id }: { cluster: string; id: string }, secret?: Buffer) {
  const [backup] = await listBackups(store, { cluster, id, signal, secret });
  if (backup === undefined) throw new Error(`no ${cluster}/${id}`);
  return verifySums(store, backup, { signal, secret });
}

describe('a backup that is verified', () => {
  it.each([undefined, SECRET])(
    'is found out when any byte of it is another one: manifest, objects, marks',
    async (secret) => {
      const backup = await make({ secret, shards: [EMPTY_RDB, randomBytes(50)] });
      const { cluster, id } = backup;
      const where = { cluster, id, signal };
      await keepBackup(store, { ...where, by: 'somebody@here', note: 'for ever' });
      const [listed] = await listBackups(store, { ...where, secret });
      if (listed === undefined) throw new Error('not listed');
      expect(await verifyBackup(store, listed, { signal, secret, by: 'somebody@here' })).toMatchObject({
        good: true,
        remembered: true,
        objects: 3,
      });
      const keys = [...backup.keys, keyOf(cluster, id, KEEP_MARK), keyOf(cluster, id, VERIFIED_MARK)];
      let tried = 0;
      for (const key of keys) {
        const content = readFileSync(file(key));
        for (let at = tried % STEP; at < content.length; at += STEP) {
          const changed = Buffer.from(content);
          changed[at] = (changed[at] as number) ^ (1 << (at % 8));
          writeFileSync(file(key), changed);
          const found = await verdict(backup, secret);
          if (found.good) expect.fail(`byte ${at} of ${key}`);
          tried++;
        }
        for (const other of [content.subarray(0, -1), Buffer.concat([content, Buffer.from('\n')]), Buffer.alloc(0)]) {
          writeFileSync(file(key), other);
          expect((await verdict(backup, secret)).good, `${key} with ${other.length} bytes`).toBe(false);
        }
        writeFileSync(file(key), content);
      }
      expect(tried).toBeGreaterThan(2_500 / STEP);
      expect((await verdict(backup, secret)).good).toBe(true);
    },
  );

  it('names every object that is damaged, missing, or swapped with another', async () => {
    const backup = await make({
      shards: [randomBytes(5_000), randomBytes(5_000), randomBytes(5_000)],
      settings: false,
    });
    const [first = '', second = '', third = ''] = backup.keys;
    const [one, other] = [readFileSync(file(first)), readFileSync(file(second))];
    writeFileSync(file(first), other);
    writeFileSync(file(second), one);
    await rm(file(third));
    const { faults, good } = await verdict(backup);
    expect(good).toBe(false);
    const names = backup.manifest.shards.map(({ object }) => object.name);
    expect(faults.map(({ object }) => object).sort()).toEqual(names);
    expect(faults.find(({ object }) => object === names[2])?.problem).toMatch(/missing/);
  });

  it('says of an encrypted one without its key what it could look at, and of another key that it is another', async () => {
    const backup = await make({ secret: SECRET });
    expect(await verdict(backup)).toMatchObject({ good: true, decrypted: false });
    const other = await verdict(backup, Buffer.alloc(32, 6));
    expect(other).toMatchObject({ good: false, decrypted: true });
    // Objects are read side by side.
    expect(new Map(other.faults.map(({ object, ofKey }) => [object, ofKey]))).toEqual(
      new Map(
        [MANIFEST, ...backup.manifest.shards.map(({ object }) => object.name), 'settings.json'].map((name) => [
          name,
          true,
        ]),
      ),
    );
    // Nothing is remembered that may be the key's fault.
    const [listed] = await listBackups(store, { cluster: backup.cluster, signal });
    if (listed === undefined) throw new Error('not listed');
    const wrong = await verifyBackup(store, listed, { signal, secret: Buffer.alloc(32, 6), by: 'a@b' });
    expect(wrong).toMatchObject({ good: false, remembered: false });
    const without = await verifyBackup(store, listed, { signal, by: 'a@b' });
    expect(without).toMatchObject({ good: true, remembered: false });
    // A byte of the object: that is told from a wrong key.
    const [key = ''] = backup.keys;
    const content = readFileSync(file(key));
    content[3] = (content[3] as number) ^ 1;
    writeFileSync(file(key), content);
    const damaged = await verdict(backup, Buffer.alloc(32, 6));
    expect(damaged.faults.filter(({ ofKey }) => !ofKey).map(({ object }) => object)).toEqual(['shard-0001.rdb.gz.enc']);
    expect((await verdict(backup)).good).toBe(false);
  });

  it('is remembered as damaged until it is found good, and the newest one does not hide behind the one before', async () => {
    const cluster = 'remembered';
    const older = await makeBackup(store, { cluster, atMs: Date.now() - 3_600_000 });
    const newer = await makeBackup(store, { cluster });
    const [key = ''] = newer.keys;
    const content = readFileSync(file(key));
    const changed = Buffer.from(content);
    changed[20] = (changed[20] as number) ^ 1;
    writeFileSync(file(key), changed);
    const verifyLatest = async () => {
      const { toVerify } = await chooseToVerify(store, 'latest', { cluster, signal });
      expect(toVerify.map(({ id }) => id)).toEqual([newer.id]);
      return verifyBackup(store, toVerify[0] as (typeof toVerify)[0], { signal, by: 'a@b' });
    };
    const states = async () => (await listBackups(store, { cluster, signal })).map(({ state }) => state);
    const latest = async () => (await findBackup(store, { cluster, id: 'latest', signal })).id;
    expect(await states()).toEqual(['complete', 'complete']);
    expect(await latest()).toBe(newer.id);
    expect((await verifyLatest()).good).toBe(false);
    expect(await states()).toEqual(['damaged', 'complete']);
    expect(await latest()).toBe(older.id);
    expect((await verifyLatest()).good).toBe(false);
    writeFileSync(file(key), content);
    expect((await verifyLatest()).good).toBe(true);
    expect(await states()).toEqual(['complete', 'complete']);
    expect(await latest()).toBe(newer.id);
  });

  it('loads into servers where that is asked for', async () => {
    const backup = await make({ secret: SECRET });
    const listed = await findBackup(store, { id: backup.id, cluster: backup.cluster, signal, secret: SECRET });
    const found = await verifyBackup(store, listed, { signal, secret: SECRET, load: 'deep', by: 'a@b' });
    expect(found).toMatchObject({ good: true, how: 'deep', problems: [] });
    expect(found.load?.shards.map(({ keys }) => keys)).toEqual([0, 0]);
    expect(found.load?.digest).toMatch(/^[0-9a-f]{64}$/);
    const [again] = await listBackups(store, { cluster: backup.cluster, signal });
    expect(again?.verified).toMatchObject({ how: 'deep', faults: [], loadFaults: [] });
    // What is no snapshot has right sums all the same.
    const odd = await make({ shards: [Buffer.from('REDIS0010 is not all of it')] });
    const oddListed = await findBackup(store, { id: odd.id, cluster: odd.cluster, signal });
    expect(await verifyBackup(store, oddListed, { signal, load: 'load', by: 'a@b' })).toMatchObject({ good: false });
    const [state] = await listBackups(store, { cluster: odd.cluster, signal });
    // It may be the servers' fault.
    expect(state).toMatchObject({ state: 'complete', verified: { faults: [], loadFaults: [expect.any(String)] } });
  });

  it('is read in flat memory', async () => {
    const backup = await make({ shards: [Buffer.alloc(96 * MIB, randomBytes(MIB))], compression: 'none' });
    const [listed] = await listBackups(store, { cluster: backup.cluster, signal });
    if (listed === undefined) throw new Error('not listed');
    let most = 0;
    let told = 0;
    const before = process.memoryUsage();
    const found = await verifySums(store, listed, {
      signal,
      onProgress: ({ bytes }) => {
        told = bytes;
        const { arrayBuffers } = process.memoryUsage();
        most = Math.max(most, arrayBuffers - before.arrayBuffers);
      },
    });
    expect(found.good).toBe(true);
    expect(told).toBeGreaterThanOrEqual(96 * MIB);
    expect(most).toBeLessThan(72 * MIB);
  });

  it('is not called damaged because the store fails, and is where a disk cannot read it', async () => {
    const backup = await make();
    const [listed] = await listBackups(store, { cluster: backup.cluster, signal });
    if (listed === undefined) throw new Error('not listed');
    const failing = (error: Error): BackupStore => ({
      place: store.place,
      check: (...given) => store.check(...given),
      list: (...given) => store.list(...given),
      read: (...given) => store.read(...given),
      open: async () =>
        Readable.from(
          (async function* () {
            yield Buffer.alloc(10);
            throw error;
          })(),
          { objectMode: false },
        ),
      write: (...given) => store.write(...given),
      put: (...given) => store.put(...given),
      remove: (keys) => store.remove(keys),
      sweep: (...given) => store.sweep(...given),
      close: () => undefined,
    });
    const gone = new ForgeError('unreachable', 'the store has gone');
    await expect(verifyBackup(failing(gone), listed, { signal, by: 'a@b' })).rejects.toBe(gone);
    const bad = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
    expect((await verifySums(failing(bad), listed, { signal })).faults).toHaveLength(3);
    expect((await listBackups(store, { cluster: backup.cluster, signal }))[0]?.verified).toBeUndefined();
  });

  it('is chosen by its cluster where there are several', async () => {
    const choose = (id: string, cluster?: string) => chooseToVerify(store, id, { signal, ...(cluster && { cluster }) });
    await expect(choose('latest')).rejects.toThrow(/several clusters/);
    await expect(choose('latest', 'nobody')).rejects.toThrow(/has no backup of nobody/);
    await expect(choose('all', 'nobody')).rejects.toThrow(/has no backup of nobody/);
    const begun = newBackupId(Date.now());
    await store.write(keyOf('begun', begun, RUNNING_MARK), Buffer.from('{}'), signal);
    const all = await choose('all');
    expect(all.left.map(({ id }) => id)).toEqual([begun]);
    expect(all.toVerify.length).toBeGreaterThan(5);
  });

  it('ends at once when the operator says so', async () => {
    const backup = await make({ shards: [randomBytes(4 * MIB)] });
    const [listed] = await listBackups(store, { cluster: backup.cluster, signal });
    if (listed === undefined) throw new Error('not listed');
    const stop = new AbortController();
    const ended = verifySums(store, listed, { signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) });
    await expect(ended).rejects.toThrow('enough');
  });
});

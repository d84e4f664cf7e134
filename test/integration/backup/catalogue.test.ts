import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackup, type ListOptions, listBackups, RUNNING_STALE_MS } from '../../../src/backup/catalogue.js';
import { KEEP_MARK, keyOf, MANIFEST, newBackupId, RUNNING_MARK, VERIFIED_MARK } from '../../../src/backup/layout.js';
import { writeManifest } from '../../../src/backup/manifest.js';
import { DirectoryStore } from '../../../src/backup/store/directory.js';
import { ForgeError } from '../../../src/errors.js';
import { EMPTY_RDB, makeBackup } from '../../support/backup.js';

const HOUR_MS = 3_600_000;
const SECRET = Buffer.alloc(32, 3);
const { signal } = new AbortController();
const MANY = process.env.FORGE_TORTURE === 'full' ? 10_000 : 1_000;

let directory: string;
let store: DirectoryStore;
let made = 0;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-catalogue-'));
  store = new DirectoryStore(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const newCluster = () => `c${made++}`;
const file = (key: string) => path.join(directory, key);
const list = (cluster: string, more: Partial<ListOptions> = {}) => listBackups(store, { cluster, signal, ...more });
const hoursAgo = (hours: number) => Date.now() - hours * HOUR_MS;
const kindOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof ForgeError ? error.kind : error),
  );

async function changeManifest(key: string, change: (text: string) => string): Promise<void> {
  await writeFile(file(key), change(await readFile(file(key), 'utf8')));
}

describe('a list of backups', () => {
  it('has what is whole, partial, being made, unfinished, damaged and newer, newest first', async () => {
    const cluster = newCluster();
    const whole = await makeBackup(store, { cluster, atMs: hoursAgo(1) });
    const partial = await makeBackup(store, { cluster, atMs: hoursAgo(2), missing: 1 });
    const running = newBackupId(hoursAgo(3));
    const dead = newBackupId(hoursAgo(4));
    for (const id of [running, dead]) {
      await store.write(keyOf(cluster, id, RUNNING_MARK), Buffer.from('{}'), signal);
      await store.write(keyOf(cluster, id, 'shard-0001.rdb.gz'), Buffer.from('half'), signal);
    }
    const old = new Date(Date.now() - RUNNING_STALE_MS - 1_000);
    await utimes(file(keyOf(cluster, dead, RUNNING_MARK)), old, old);
    const damaged = await makeBackup(store, { cluster, atMs: hoursAgo(5) });
    await rm(file(damaged.keys[0] ?? ''));
    const newer = await makeBackup(store, { cluster, atMs: hoursAgo(6) });
    await changeManifest(keyOf(cluster, newer.id, MANIFEST), (text) => text.replace('"format": 1', '"format": 7'));
    // Its run is reading it back.
    const almost = await makeBackup(store, { cluster, atMs: hoursAgo(7) });
    await store.write(keyOf(cluster, almost.id, RUNNING_MARK), Buffer.from('{}'), signal);
    const listed = await list(cluster);
    expect(listed.map(({ id, state, active }) => [id, state, active])).toEqual([
      [whole.id, 'complete', false],
      [partial.id, 'partial', false],
      [running, 'running', true],
      [dead, 'unfinished', false],
      [damaged.id, 'damaged', false],
      [newer.id, 'newer', false],
      [almost.id, 'complete', true],
    ]);
    expect(listed[4]?.problem).toMatch(/shard-0001.rdb.gz is missing/);
    expect(listed[0]?.manifest?.shards).toHaveLength(2);
    expect((await list(cluster, { limit: 2 })).map(({ id }) => id)).toEqual([whole.id, partial.id]);
    expect((await findBackup(store, { cluster, id: 'latest', signal })).id).toBe(whole.id);
  });

  it('says why one is damaged, whatever somebody has done to it', async () => {
    const cluster = newCluster();
    const texts: [RegExp, (text: string) => string][] = [
      [/no JSON/, () => 'not at all'],
      [/no JSON/, () => ''],
      [/damaged/, () => 'null'],
      [/damaged/, () => '['.repeat(200_000)],
      [/seal/, (text) => text.replace('"offset": 1000', '"offset": 1001')],
      [/seal/, (text) => text.replace('\n', ' \n')],
      [/damaged/, (text) => text.replace('"shards"', '"__proto__"')],
    ];
    const wanted = new Map<string, RegExp>();
    const make = async (problem: RegExp, options: Parameters<typeof makeBackup>[1] = {}) => {
      const backup = await makeBackup(store, { cluster, ...options });
      wanted.set(backup.id, problem);
      return backup;
    };
    for (const [problem, change] of texts) {
      const { id } = await make(problem);
      await changeManifest(keyOf(cluster, id, MANIFEST), change);
    }
    const shorter = await make(/has 31 bytes, and should have/);
    await writeFile(file(shorter.keys[0] ?? ''), Buffer.alloc(31));
    const huge = await make(/bytes/);
    await writeFile(file(keyOf(cluster, huge.id, MANIFEST)), Buffer.alloc(17 * 1024 * 1024, ' '));
    const twice = await make(/which is no object of its own/);
    const [shard] = twice.manifest.shards;
    if (shard === undefined) throw new Error('no shard');
    const odd = { ...twice.manifest, shards: [shard, shard] };
    await writeFile(file(keyOf(cluster, twice.id, MANIFEST)), writeManifest(odd));
    const reserved = await make(/names keep/);
    const named = { ...shard, object: { ...shard.object, name: KEEP_MARK } };
    const wrong = { ...reserved.manifest, shards: [named] };
    await writeFile(file(keyOf(cluster, reserved.id, MANIFEST)), writeManifest(wrong));
    const copy = newBackupId(Date.now());
    await cp(file(`${cluster}/${twice.id}`), file(`${cluster}/${copy}`), { recursive: true });
    wanted.set(copy, /it is of c/);
    const listed = await list(cluster);
    expect(listed).toHaveLength(wanted.size);
    for (const { id, state, problem } of listed) {
      expect(state, problem).toBe('damaged');
      expect(problem).toMatch(wanted.get(id) ?? /never/);
    }
    expect(await kindOf(findBackup(store, { cluster, id: 'latest', signal }))).toBe('refused');
  });

  it('has nothing of others, and follows no links', async () => {
    const cluster = newCluster();
    const { id } = await makeBackup(store, { cluster });
    const elsewhere = await mkdtemp(path.join(os.tmpdir(), 'forge-elsewhere-'));
    try {
      await writeFile(path.join(elsewhere, MANIFEST), '{}');
      await symlink(elsewhere, file(`${cluster}/20260101T000000Z-aaaaaa`));
      for (const name of ['20269999T000000Z-aaaaaa', 'backup', '.hidden', '-x', 'ä\u001b[31m']) {
        mkdirSync(file(`${cluster}/${name}`), { recursive: true });
        writeFileSync(file(`${cluster}/${name}/${MANIFEST}`), '{}');
        mkdirSync(file(`${name}-cluster!/20260101T000000Z-aaaaaa`), { recursive: true });
        writeFileSync(file(`${name}-cluster!/20260101T000000Z-aaaaaa/${MANIFEST}`), '{}');
      }
      mkdirSync(file(`${cluster}/${id}/deep/er`), { recursive: true });
      writeFileSync(file(`${cluster}/${id}/deep/er/${MANIFEST}`), '{}');
      writeFileSync(file('readme.txt'), 'of somebody');
      expect((await list(cluster)).map(({ id: each, state }) => [each, state])).toEqual([[id, 'complete']]);
      const clusters = new Set((await listBackups(store, { signal })).map((each) => each.cluster));
      for (const name of clusters) expect(name).toMatch(/^c\d+$/);
    } finally {
      await rm(elsewhere, { recursive: true });
    }
  });

  it('has encrypted ones, with their key, without it, and with another', async () => {
    const cluster = newCluster();
    const { id } = await makeBackup(store, { cluster, secret: SECRET });
    expect(await list(cluster)).toMatchObject([{ id, state: 'complete', sealed: false }]);
    expect(await list(cluster, { secret: SECRET })).toMatchObject([{ id, state: 'complete', sealed: true }]);
    const [other] = await list(cluster, { secret: Buffer.alloc(32, 4) });
    expect(other).toMatchObject({ id, state: 'damaged', sealed: false, problem: expect.stringMatching(/another key/) });
    expect(other?.manifest?.encryption).toBeDefined();
    // Nobody gets an older one unasked because of a key.
    await makeBackup(store, { cluster, atMs: hoursAgo(1) });
    const latest = (secret?: Buffer) => findBackup(store, { cluster, id: 'latest', secret, signal });
    expect((await latest(SECRET)).id).toBe(id);
    expect((await latest()).id).toBe(id);
    expect(await kindOf(latest(Buffer.alloc(32, 4)))).toBe('verification');
  });

  it('takes no mark for granted that is not as it was written', async () => {
    const cluster = newCluster();
    const { id } = await makeBackup(store, { cluster });
    for (const text of ['', '{}', 'null', 'x'.repeat(200_000)]) {
      await store.write(keyOf(cluster, id, VERIFIED_MARK), Buffer.from(text), signal);
      const [listed] = await list(cluster);
      expect(listed).toMatchObject({ state: 'complete' });
      expect(listed?.verified).toBeUndefined();
    }
  });

  it('finds the latest without reading all, and asks which cluster is meant', async () => {
    const place = path.join(directory, 'several');
    const several = new DirectoryStore(place);
    const one = await makeBackup(several, { cluster: 'one', atMs: hoursAgo(1) });
    await makeBackup(several, { cluster: 'one', atMs: hoursAgo(2) });
    expect((await findBackup(several, { id: 'latest', signal })).id).toBe(one.id);
    const slotKeys: [number, number][] = [[7, 1]];
    const other = await makeBackup(several, { cluster: 'two', id: one.id, shard: () => ({ slotKeys }) });
    await expect(findBackup(several, { id: 'latest', signal })).rejects.toThrow(/several clusters: one, two/);
    await expect(findBackup(several, { id: other.id, signal })).rejects.toThrow(/several clusters/);
    const found = await findBackup(several, { cluster: 'two', id: 'latest', signal });
    expect(found.manifest?.shards[0]?.slotKeys).toEqual(slotKeys);
    // A list of thousands would fill the memory with them.
    const [listed] = await listBackups(several, { cluster: 'two', signal });
    expect(listed?.manifest?.shards[0]).not.toHaveProperty('slotKeys');
    expect(await kindOf(findBackup(several, { cluster: 'none', id: 'latest', signal }))).toBe('refused');
    expect(await kindOf(findBackup(several, { id: '20200101T000000Z-aaaaaa', signal }))).toBe('refused');
  });

  it(`is quick with ${MANY} backups`, async () => {
    const cluster = newCluster();
    const { id, manifest } = await makeBackup(store, { cluster, shards: [EMPTY_RDB, EMPTY_RDB, EMPTY_RDB] });
    const names = [...manifest.shards.map(({ object }) => object.name), 'settings.json'];
    for (let index = 1; index < MANY; index++) {
      const next = newBackupId(Date.now() - index * 60_000);
      mkdirSync(file(`${cluster}/${next}`));
      for (const name of names) linkSync(file(keyOf(cluster, id, name)), file(keyOf(cluster, next, name)));
      writeFileSync(file(keyOf(cluster, next, MANIFEST)), writeManifest({ ...manifest, id: next }));
    }
    const before = performance.now();
    const listed = await list(cluster);
    const each = (performance.now() - before) / MANY;
    expect(listed).toHaveLength(MANY);
    expect(new Set(listed.map(({ state }) => state))).toEqual(new Set(['complete']));
    // Half a millisecond on a quiet machine.
    expect(each).toBeLessThan(15);
  });
});

import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackup, listBackups, RUNNING_STALE_MS } from '../../../src/backup/catalogue.js';
import { withRemovalClaim } from '../../../src/backup/claim.js';
import { keepBackup, keepMarkOf, releaseBackup } from '../../../src/backup/keep.js';
import { keyOf, MANIFEST, newBackupId, RUNNING_MARK } from '../../../src/backup/layout.js';
import { dropBackup, planPrune, pruneBackups } from '../../../src/backup/prune.js';
import { BackupArchive } from '../../../src/backup/restore/archive.js';
import { whileInUse } from '../../../src/backup/restore/in-use.js';
import { DirectoryStore } from '../../../src/backup/store/directory.js';
import { openStore } from '../../../src/backup/store/open.js';
import type { BackupStore } from '../../../src/backup/store/store.js';
import { verifySums } from '../../../src/backup/verify-sums.js';
import { ForgeError } from '../../../src/errors.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { EMPTY_RDB, type MadeBackup, makeBackup } from '../../support/backup.js';
import { startForge } from '../../support/forge.js';
import { startS3, type TestS3 } from '../../support/s3.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const FULL = process.env.FORGE_TORTURE === 'full';
const KILLS_MS = FULL ? 600_000 : 90_000;
const { signal } = new AbortController();

let directory: string;
let s3: TestS3;
let made = 0;
const newCluster = () => `c${made++}`;

beforeAll(async () => {
  [directory, s3] = await Promise.all([mkdtemp(path.join(os.tmpdir(), 'forge-prune-')), startS3()]);
});
afterAll(async () => {
  await s3?.stop();
  await rm(directory, { recursive: true, force: true });
});

const kindOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: unknown) => (error instanceof ForgeError ? error.kind : error),
  );

/** Days before now, the newest first. */
async function makeDays(store: BackupStore, cluster: string, days: readonly number[]): Promise<MadeBackup[]> {
  const backups: MadeBackup[] = [];
  const shards = [EMPTY_RDB];
  for (const day of days) backups.push(await makeBackup(store, { cluster, atMs: Date.now() - day * DAY_MS, shards }));
  return backups;
}
const idsOf = (backups: readonly { readonly id: string }[]) => backups.map(({ id }) => id);
const listedIds = async (store: BackupStore, cluster: string) => idsOf(await listBackups(store, { cluster, signal }));

/** Every backup that is listed as complete is whole, byte by byte. @returns their ids */
async function provenIds(store: BackupStore, cluster: string): Promise<string[]> {
  const complete = (await listBackups(store, { cluster, signal })).filter(({ state }) => state === 'complete');
  for (const backup of complete) expect((await verifySums(store, backup, { signal })).faults).toEqual([]);
  return idsOf(complete);
}

class Killed extends Error {}

/** A real store whose user is ended at the n-th change: that one is done in part, and none comes after it. */
function endingAt(store: BackupStore, changes: number): BackupStore {
  let count = 0;
  const change = async (whole: () => Promise<unknown>, part: () => Promise<unknown>) => {
    count++;
    if (count > changes) throw new Killed();
    if (count < changes) return whole();
    await part();
    throw new Killed();
  };
  return {
    place: store.place,
    check: (...given) => store.check(...given),
    list: (prefix, each) => store.list(prefix, each),
    read: (key, options) => store.read(key, options),
    open: (key, each) => store.open(key, each),
    write: async (key, content, each) => {
      await change(
        () => store.write(key, content, each),
        () => store.write(key, content, each),
      );
    },
    put: (key, source, options) => store.put(key, source, options),
    remove: async (keys, each) => {
      await change(
        () => store.remove(keys, each),
        () => store.remove(keys.slice(0, Math.ceil(keys.length / 2)), each),
      );
    },
    sweep: (prefix, options) => store.sweep(prefix, options),
    close: () => undefined,
  };
}

/** Of a user who may only look. */
function readOnly(store: BackupStore): BackupStore {
  const denied = async () => {
    throw new ForgeError('denied', 'no right to write');
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'write' || name === 'remove') return denied;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe.each(['directory', 's3'] as const)('in a store of the kind %s', (kind) => {
  let store: BackupStore;

  beforeAll(async () => {
    store = kind === 'directory' ? new DirectoryStore(path.join(directory, 'store')) : await openStore(s3.settings());
  });
  afterAll(() => store.close());

  it('what no rule keeps goes, after it was shown, and nothing else', async () => {
    const cluster = newCluster();
    const backups = await makeDays(store, cluster, [0, 1, 2, 3, 4]);
    const other = await makeDays(store, newCluster(), [50]);
    const foreign = `${cluster}/${backups[4]?.id}/somebody.txt`;
    await store.write(foreign, Buffer.from('of somebody'), signal);
    await store.write(`${cluster}/readme.txt`, Buffer.from('of somebody'), signal);
    await keepBackup(store, { cluster, id: backups[3]?.id ?? '', by: 'a@b', note: 'audit', signal });
    const options = { cluster, rules: { last: 2 }, signal };
    const plan = await planPrune(store, options);
    expect(plan.verdicts.map(({ stays }) => stays)).toEqual([true, true, false, true, false]);
    expect(await listedIds(store, cluster)).toEqual(idsOf(backups));
    const removed: string[] = [];
    const result = await pruneBackups(store, { ...options, onRemoved: ({ id }) => removed.push(id) });
    expect(result.removed).toEqual([backups[4]?.id, backups[2]?.id]);
    expect(removed).toEqual(result.removed);
    expect(result.bytesRemoved).toBeGreaterThan(0);
    expect(await provenIds(store, cluster)).toEqual([backups[0]?.id, backups[1]?.id, backups[3]?.id]);
    expect(await store.read(`${cluster}/readme.txt`, { maxBytes: 100, signal })).toEqual(Buffer.from('of somebody'));
    expect(await listedIds(store, other[0]?.cluster ?? '')).toEqual(idsOf(other));
    expect((await pruneBackups(store, options)).removed).toEqual([]);
  });

  it('a prune that is ended at any change leaves whole backups, and the next one finishes', async () => {
    const cluster = newCluster();
    // The claim, then two changes for each of the two that go; in a bucket, every change takes its time.
    const all = [1, 2, 3, 4, 5, 6];
    for (const changes of kind === 'directory' || FULL ? all : [3]) {
      const backups = await makeDays(store, cluster, [0, 1, 2]);
      const options = { cluster, rules: { last: 1 }, signal };
      const outcome = await kindOf(pruneBackups(endingAt(store, changes), options));
      if (outcome !== 'done') expect(outcome).toBeInstanceOf(Killed);
      const proven = await provenIds(store, cluster);
      expect(proven).toContain(backups[0]?.id);
      // The claim of a process that lives stays for others; this one is taken for dead.
      for await (const { key } of store.list(`${cluster}/.`, signal)) await store.remove([key], signal);
      // Its objects were written a moment ago: of those, a run could be at work.
      await dropRemains(store, cluster);
      await pruneBackups(store, options);
      expect(await listedIds(store, cluster)).toEqual([backups[0]?.id]);
      await dropBackup(store, { cluster, id: backups[0]?.id ?? '', force: true, signal });
      expect(await listedIds(store, cluster)).toEqual([]);
      expect(outcome === 'done').toBe(changes === 6);
    }
  });

  it('two at a time are one after the other, or one is told who is at work', async () => {
    const cluster = newCluster();
    const backups = await makeDays(store, cluster, [0, 1, 2, 3]);
    const results = await Promise.allSettled([
      pruneBackups(store, { cluster, rules: { last: 3 }, signal }),
      pruneBackups(store, { cluster, rules: { last: 2 }, signal }),
      dropBackup(store, { cluster, id: backups[0]?.id ?? '', force: false, signal }),
    ]);
    const failures = results.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    for (const failure of failures) expect(failure).toMatchObject({ kind: 'locked' });
    expect((await provenIds(store, cluster)).length).toBeGreaterThan(0);
    await withRemovalClaim(store, { cluster, purpose: 'forge backup prune', signal }, async () => {
      const late = pruneBackups(store, { cluster, rules: { last: 1 }, signal });
      await expect(late).rejects.toMatchObject({
        kind: 'locked',
        message: expect.stringMatching(`process ${process.pid} `),
      });
      // Of another cluster, there is nothing to wait for.
      await pruneBackups(store, { cluster: newCluster(), rules: { last: 1 }, signal });
    });
    expect((await pruneBackups(store, { cluster, rules: { last: 1 }, signal })).verdicts.length).toBeGreaterThan(0);
    const left: string[] = [];
    for await (const { key } of store.list(`${cluster}/.`, signal)) left.push(key);
    expect(left).toEqual([]);
  });
});

/** As the next prune would, a quarter of an hour later. */
async function dropRemains(store: BackupStore, cluster: string): Promise<void> {
  for (const { id, state } of await listBackups(store, { cluster, signal })) {
    if (state === 'unfinished') await dropBackup(store, { cluster, id, force: false, signal });
  }
}

describe('in a directory', () => {
  let store: DirectoryStore;

  beforeAll(() => {
    store = new DirectoryStore(path.join(directory, 'local'));
  });

  it('what is agreed to is all that goes, and not when it was marked meanwhile', async () => {
    const cluster = newCluster();
    const backups = await makeDays(store, cluster, [0, 1, 2, 3]);
    const [, second, third] = idsOf(backups);
    const only = new Set([second ?? '', third ?? '']);
    await keepBackup(store, { cluster, id: second ?? '', by: 'a@b', signal });
    const { removed } = await pruneBackups(store, { cluster, rules: { last: 1 }, only, signal });
    expect(removed).toEqual([third]);
    expect(await releaseBackup(store, { cluster, id: second ?? '', signal })).toBe(true);
    expect(await releaseBackup(store, { cluster, id: second ?? '', signal })).toBe(false);
    expect((await pruneBackups(store, { cluster, rules: { last: 1 }, signal })).removed).toHaveLength(2);
    expect(await provenIds(store, cluster)).toEqual([backups[0]?.id]);
  });

  it('the claim of a process that has died is taken over at once', async () => {
    const cluster = newCluster();
    await makeDays(store, cluster, [0, 1]);
    const claims = () =>
      withRemovalClaim(store, { cluster, purpose: 'x', signal }, async () => {
        for await (const { key } of store.list(`${cluster}/.`, signal)) {
          return store.read(key, { maxBytes: 10_000 });
        }
        return undefined;
      });
    const mine = JSON.parse((await claims())?.toString() ?? '') as { start: string };
    const dead = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => dead.once('close', resolve));
    const content = JSON.stringify({ ...mine, pid: dead.pid, start: `${mine.start}1` });
    await store.write(`${cluster}/.forge-removal-0.json`, Buffer.from(content), signal);
    expect((await pruneBackups(store, { cluster, rules: { last: 1 }, signal })).removed).toHaveLength(1);
    // Of another machine, which could be at work.
    await store.write(
      `${cluster}/.forge-removal-0.json`,
      Buffer.from(JSON.stringify({ ...mine, host: 'another' })),
      signal,
    );
    expect(await kindOf(pruneBackups(store, { cluster, rules: { last: 1 }, signal }))).toBe('locked');
  });

  it('what is being made, or was made a moment ago without an end, is left alone', async () => {
    const cluster = newCluster();
    const [whole] = await makeDays(store, cluster, [1]);
    const running = newBackupId(Date.now() - 2 * HOUR_MS);
    const copied = newBackupId(Date.now() - 3 * HOUR_MS);
    await store.write(keyOf(cluster, running, RUNNING_MARK), Buffer.from('{}'), signal);
    await store.write(keyOf(cluster, running, 'shard-0001.rdb.gz'), Buffer.from('half'), signal);
    await store.write(keyOf(cluster, copied, 'shard-0001.rdb.gz'), Buffer.from('half'), signal);
    const { verdicts, removed } = await pruneBackups(store, { cluster, rules: { last: 1 }, signal });
    expect(removed).toEqual([]);
    expect(verdicts.map(({ state }) => state)).toEqual(['running', 'unfinished', 'complete']);
    expect(await kindOf(dropBackup(store, { cluster, id: running, force: true, signal }))).toBe('refused');
    expect(await kindOf(keepBackup(store, { cluster, id: running, by: 'a@b', signal }))).toBe('refused');
    expect(await kindOf(dropBackup(store, { cluster, id: whole?.id ?? '', force: false, signal }))).toBe('refused');
    await dropBackup(store, { cluster, id: copied, force: false, signal });
    await dropBackup(store, { cluster, id: whole?.id ?? '', force: true, signal });
    expect(await listedIds(store, cluster)).toEqual([running]);
  });

  it('one that is being restored stays, also when somebody drops it; afterwards it goes', async () => {
    const cluster = newCluster();
    const backups = await makeDays(store, cluster, [0, 1, 2]);
    const oldest = backups[2] as MadeBackup;
    const backup = await findBackup(store, { cluster, id: oldest.id, signal });
    const options = { cluster, rules: { last: 1 }, signal };
    const newest = await findBackup(store, { cluster, id: 'latest', signal });
    const use = { backup, forge: '0.0.0', home: directory, signal };
    const denied: ForgeError[] = [];
    await whileInUse(store, { ...use, onUnmarked: (error) => denied.push(error) }, async () => {
      const { verdicts } = await planPrune(store, options);
      expect(verdicts[2]).toMatchObject({ id: oldest.id, stays: true });
      expect((await pruneBackups(store, options)).removed).toEqual([backups[1]?.id]);
      expect(await kindOf(dropBackup(store, { cluster, id: oldest.id, force: true, signal }))).toBe('refused');
      // Whose home cannot be written to may mark it.
      const homeless = { ...use, home: '/dev/null', onUnmarked: (error: ForgeError) => denied.push(error) };
      await whileInUse(store, { ...homeless, backup: newest }, async () => {
        expect((await findBackup(store, { cluster, id: newest.id, signal })).active).toBe(true);
      });
      // Who may not mark it may restore it all the same.
      await whileInUse(readOnly(store), { ...use, onUnmarked: (error) => denied.push(error) }, async () => undefined);
    });
    expect(denied.map(({ kind }) => kind)).toEqual(['denied']);
    expect((await pruneBackups(store, options)).removed).toEqual([oldest.id]);
    const archive = new BackupArchive(store, backup, undefined);
    const [object] = oldest.manifest.shards.map((shard) => shard.object);
    if (object === undefined) throw new Error('no shard');
    await expect(archive.open(object, signal)).rejects.toThrow(
      /is not there any more: somebody has removed the backup/,
    );
    expect(await kindOf(whileInUse(store, { ...use, onUnmarked: () => undefined }, async () => undefined))).toBe(
      'refused',
    );
    expect(await listedIds(store, cluster)).toEqual([backups[0]?.id]);
  });

  it('what is in hand is removed to its end when the operator says stop, and nothing after it', async () => {
    const cluster = newCluster();
    const backups = await makeDays(store, cluster, [0, 1, 2, 3]);
    const stop = new AbortController();
    const stopping: BackupStore = {
      ...endingAt(store, Number.POSITIVE_INFINITY),
      remove: async (keys) => {
        if (keys.some((key) => key.endsWith(MANIFEST))) stop.abort(new ForgeError('interrupted', 'enough'));
        await store.remove(keys);
      },
    };
    const options = { cluster, rules: { last: 1 }, signal: stop.signal };
    expect(await kindOf(pruneBackups(stopping, options))).toBe('interrupted');
    expect(await listedIds(store, cluster)).toEqual(idsOf(backups.slice(0, 3)));
    expect((await pruneBackups(store, { ...options, signal })).removed).toHaveLength(2);
  });

  it('what is marked is dropped only by force', async () => {
    const cluster = newCluster();
    const [newest, older] = await makeDays(store, cluster, [0, 1]);
    const id = older?.id ?? '';
    const mark = await keepBackup(store, { cluster, id, by: 'a@b', note: 'before the upgrade', signal });
    const [, listed] = await listBackups(store, { cluster, signal });
    if (listed === undefined) throw new Error('not listed');
    expect(await keepMarkOf(store, listed, signal)).toEqual(mark);
    expect(await kindOf(dropBackup(store, { cluster, id, force: false, signal }))).toBe('refused');
    await dropBackup(store, { cluster, id, force: true, signal });
    expect(await listedIds(store, cluster)).toEqual([newest?.id]);
    expect(await kindOf(dropBackup(store, { cluster, id, force: true, signal }))).toBe('refused');
  });

  it('what dead runs left is cleared away when it is old, and not while its process lives', async () => {
    const cluster = newCluster();
    await makeDays(store, cluster, [0]);
    const old = new Date(Date.now() - 2 * RUNNING_STALE_MS);
    const mark = (identity: object) =>
      Buffer.from(JSON.stringify({ owner: 'o', host: 'h', startedAt: old.toISOString(), forge: '0', ...identity }));
    const begin = async (content: Buffer) => {
      const id = newBackupId(Date.now() - HOUR_MS);
      const keys = [keyOf(cluster, id, RUNNING_MARK), keyOf(cluster, id, 'shard-0001.rdb.gz')];
      for (const key of keys) await store.write(key, content, signal);
      await writeFile(path.join(store.place, cluster, id, '.forge-upload-0123456789ab'), 'half');
      for (const key of keys) await utimes(path.join(store.place, key), old, old);
      return id;
    };
    const self = await identifyProcess(process.pid);
    const alive = await begin(mark(self ?? {}));
    const dead = await begin(mark({ pid: process.pid, start: 'another boot' }));
    const { removed } = await pruneBackups(store, { cluster, rules: {}, signal });
    expect(removed).toEqual([dead]);
    expect(await readdir(path.join(store.place, cluster))).not.toContain(dead);
    expect(await listedIds(store, cluster)).toContain(alive);
  });

  it('one that a newer forge has made, or that was dated by a wrong clock, does not go', async () => {
    const cluster = newCluster();
    const [today, yesterday] = await makeDays(store, cluster, [0, 1, 2]);
    const [newer] = await makeDays(store, cluster, [5]);
    const text = await store.read(keyOf(cluster, newer?.id ?? '', MANIFEST), { maxBytes: 1_000_000 });
    const changed = text?.toString().replace('"format": 1', '"format": 2') ?? '';
    await store.write(keyOf(cluster, newer?.id ?? '', MANIFEST), Buffer.from(changed), signal);
    const future = await makeDays(store, cluster, [-400, -800]);
    const { verdicts, removed } = await pruneBackups(store, { cluster, rules: { last: 2 }, signal });
    expect(removed).toHaveLength(1);
    const staying = verdicts.filter(({ stays }) => stays).map(({ id }) => id);
    expect(staying).toEqual([...idsOf(future).reverse(), today?.id, yesterday?.id, newer?.id]);
    // What is of the future is no latest while there is anything of the present.
    expect((await findBackup(store, { cluster, id: 'latest', signal })).id).toBe(today?.id);
  });

  it(
    'a prune that is killed leaves whole backups, and the next one finishes at once',
    async () => {
      const place = path.join(directory, 'killed');
      const store = new DirectoryStore(place);
      const cluster = newCluster();
      const args = ['backup', 'prune', '--from', place, '--cluster', cluster, '--keep-last', '2', '--yes'];
      const kills = FULL ? 60 : 3;
      for (let kill = 0; kill < kills; kill++) {
        const backups = await makeDays(store, cluster, [...Array(8).keys()]);
        // Nothing is fresh, so that remains are nobody's.
        await age(path.join(place, cluster), new Date(Date.now() - HOUR_MS));
        const run = startForge([...args, '--config', '/dev/null', '--env-file', '/dev/null']);
        await run.said(`✔ ${backups[7 - (kill % 5)]?.id}`);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
        run.child.kill('SIGKILL');
        await run.ended;
        const proven = await provenIds(store, cluster);
        expect(proven).toEqual(expect.arrayContaining(idsOf(backups.slice(0, 2))));
        await pruneBackups(store, { cluster, rules: { last: 2 }, signal });
        expect(await listedIds(store, cluster)).toEqual(idsOf(backups.slice(0, 2)));
        await rm(path.join(place, cluster), { recursive: true });
      }
    },
    KILLS_MS,
  );
});

/** Sets the times of all files below. */
async function age(folder: string, time: Date): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await utimes(path.join(entry.parentPath, entry.name), time, time);
  }
}

import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';

import os, { hostname } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RUNNING_STALE_MS } from '../../../../src/backup/catalogue.js';
import { KEEP_MARK, keyOf, MANIFEST, newBackupId, RUNNING_MARK } from '../../../../src/backup/layout.js';
import { sweepDeadRuns } from '../../../../src/backup/run/sweep.js';
import { DirectoryStore } from '../../../../src/backup/store/directory.js';
import { ForgeError } from '../../../../src/errors.js';
import { identifyProcess } from '../../../../src/runtime/process/identity.js';
import { failureOf } from '../../cluster/formed.js';

const CLUSTER = 'orders';
const OWNER = '0123456789abcdef';
const OBJECT = 'shard-0001.rdb.gz';
const { signal } = new AbortController();

let directory: string;
let store: DirectoryStore;
let denied: string[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-sweep-'));
  store = new DirectoryStore(directory);
  denied = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const put = (id: string, name: string, text = 'x', cluster = CLUSTER) =>
  store.write(keyOf(cluster, id, name), Buffer.from(text), signal);
/** A mark as a run sets it; of a process that is gone, unless something else is told. */
const mark = (more: object = {}) =>
  JSON.stringify({
    ...{ owner: OWNER, host: hostname(), pid: 4_194_303, start: 'boot:1', startedAt: '', forge: '0.1.0', ...more },
  });
const sweep = async () => {
  const id = newBackupId(Date.now());
  await put(id, RUNNING_MARK, mark());
  const onDenied = ({ message }: ForgeError) => denied.push(message);
  return sweepDeadRuns(store, { cluster: CLUSTER, id, owner: OWNER, signal, onDenied });
};
const made = async (marked: string | undefined, ...names: string[]) => {
  const id = newBackupId(Date.now() - 3_600_000);
  if (marked !== undefined) await put(id, RUNNING_MARK, marked);
  for (const name of names) await put(id, name);
  return id;
};
const of = async (id: string) => (await readdir(path.join(directory, CLUSTER, id)).catch(() => [])).sort();

describe('what dead runs have left', () => {
  it('is removed: of a process of this host that is gone, without a mark, and with one that is old or none at all', async () => {
    const old = await made(mark({ owner: 'another' }), OBJECT);
    const past = new Date(Date.now() - RUNNING_STALE_MS - 1_000);
    await utimes(path.join(directory, keyOf(CLUSTER, old, RUNNING_MARK)), past, past);
    const ids = [await made(mark(), OBJECT, 'settings.json'), await made(undefined, OBJECT), old];
    expect((await sweep()).sort()).toEqual(ids.sort());
    for (const id of ids) expect(await of(id)).toEqual([]);
  });

  it('is not what another run is at work on, here or elsewhere: that one is named', async () => {
    const living = await identifyProcess(process.pid);
    for (const text of [mark({ ...living }), mark({ owner: 'another' }), mark({ host: 'other' }), 'no mark']) {
      const id = await made(text, OBJECT);
      const failure = await failureOf(sweep());
      expect(failure).toMatchObject({ kind: 'locked', details: { id } });
      expect(await of(id)).toEqual([RUNNING_MARK, OBJECT].sort());
      await rm(path.join(directory, CLUSTER), { recursive: true });
    }
  });

  it('is nothing of a backup that is whole, of another cluster, or that is marked to be kept', async () => {
    const whole = await made(undefined, MANIFEST, OBJECT);
    const over = await made(mark(), MANIFEST, OBJECT);
    const busy = await made(mark({ host: 'other' }), MANIFEST, OBJECT);
    const kept = await made(mark(), OBJECT, KEEP_MARK);
    const other = newBackupId(Date.now());
    await put(other, OBJECT, 'x', 'carts');
    await store.write(`${CLUSTER}/notes.txt`, Buffer.from('x'), signal);
    expect(await sweep()).toEqual([]);
    for (const id of [whole, over]) expect(await of(id)).toEqual([MANIFEST, OBJECT]);
    expect(await of(busy)).toEqual([MANIFEST, RUNNING_MARK, OBJECT]);
    expect(await of(kept)).toEqual([KEEP_MARK, RUNNING_MARK, OBJECT]);
    expect(await readdir(path.join(directory, 'carts', other))).toEqual([OBJECT]);
    expect(await readdir(path.join(directory, CLUSTER))).toContain('notes.txt');
  });

  it('is nothing of a backup that came to its end while the list was read', async () => {
    const id = await made(undefined, OBJECT);
    const list = store.list.bind(store);
    store.list = async function* (prefix, listed) {
      yield* list(prefix, listed);
      await put(id, MANIFEST);
    };
    expect(await sweep()).toEqual([]);
    expect(await of(id)).toEqual([MANIFEST, OBJECT]);
  });

  it('stays where this user may not remove it, and the run goes on', async () => {
    const id = await made(mark(), OBJECT);
    store.remove = async () => {
      throw new ForgeError('denied', 'No right to remove.');
    };
    expect(await sweep()).toEqual([]);
    expect(denied).toEqual(['No right to remove.']);
    expect(await of(id)).toEqual([RUNNING_MARK, OBJECT].sort());
  });
});

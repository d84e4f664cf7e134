import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBackup, type ListedBackup } from '../../../../src/backup/catalogue.js';
import { BackupArchive } from '../../../../src/backup/restore/archive.js';
import { openRestore, type RestoreOptions } from '../../../../src/backup/restore/restore.js';
import { Selection } from '../../../../src/backup/restore/selection.js';
import { keySlot } from '../../../../src/cluster/key-slot.js';
import { ForgeError } from '../../../../src/errors.js';
import { ClusterSession } from '../../../../src/operations/session.js';
import { makeBackup } from '../../../support/backup.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import {
  addGroup,
  backUp,
  contentOf,
  DEBUG,
  empty,
  everything,
  LIBRARY,
  makePlace,
  type Place,
  signal,
  write,
} from './fixtures.js';

const SECRET = Buffer.alloc(32, 3);
const START_MS = 60_000;

let place: Place;
let source: RedisCluster;
let target: RedisCluster;
let backup: ListedBackup;
let content: Map<string, string>;

beforeAll(async () => {
  place = await makePlace();
  [source, target] = (await Promise.all([3, 5].map((masters) => startCluster({ masters, args: DEBUG })))) as [
    RedisCluster,
    RedisCluster,
  ];
  await write(source.masters, everything());
  await addGroup(source.masters);
  for (const master of source.masters) await master.call('FUNCTION', 'LOAD', LIBRARY);
  content = await contentOf(source.masters);
  backup = await backUp(place.store, source.masters, { secret: SECRET });
}, START_MS);
afterAll(async () => {
  await Promise.all([source?.stop(), target?.stop()]);
  await place?.remove();
});
beforeEach(() => empty(target.nodes));

const home = () => path.join(place.directory, 'home');

async function open(options: Partial<RestoreOptions> & { readonly of?: ListedBackup } = {}) {
  const { of = backup, ...more } = options;
  const [seed] = target.nodes;
  const session = await ClusterSession.open({
    seeds: [{ host: seed?.host ?? '', port: seed?.port ?? 0 }],
    connect: {},
  });
  return {
    session,
    restore: await openRestore({
      session,
      archive: new BackupArchive(place.store, of, SECRET),
      selection: new Selection(),
      existing: 'refuse',
      parallel: 2,
      verify: true,
      home: home(),
      environment: { ...process.env, FORGE_SCRATCH_DIR: place.directory },
      signal: signal(),
      ...more,
    }).catch((error: unknown) => {
      session.close();
      throw error;
    }),
  };
}
async function restored(options: Parameters<typeof open>[0] = {}) {
  const { session, restore } = await open(options);
  try {
    return await restore.apply();
  } finally {
    session.close();
  }
}
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(ForgeError);
      return error as ForgeError;
    },
  );

describe('a restore into a cluster of another shape', () => {
  it('gives every key, time, type and function back', async () => {
    const { session, restore } = await open();
    expect(restore.plan).toMatchObject({ keys: content.size, counted: true, existingKeys: 0, resumed: false });
    expect(restore.plan.masters.reduce((sum, { incoming = 0 }) => sum + incoming, 0)).toBe(content.size);
    const result = await restore.apply().finally(() => session.close());
    expect(result).toMatchObject({ restored: content.size, existing: 0, refused: 0, notes: [] });
    expect(await contentOf(target.masters)).toEqual(content);
    for (const master of target.masters) expect(await master.call('FCALL', 'one', 0)).toBe(1);
    const slot = Math.floor((keySlot(Buffer.from('stream')) * 5) / 16_384);
    const pending = await target.masters[slot]?.call('XPENDING', 'stream', 'workers');
    expect(pending).toMatchObject([5, '1-1', '5-1', [['one', '5']]]);
    expect(await readdir(path.join(home(), 'restores'))).toEqual([]);
  });

  it('refuses one that holds keys, keeps those that are there, or replaces them', async () => {
    await write(target.masters, [
      ['SET', 'string:1', 'mine'],
      ['SET', 'another', 'stays'],
    ]);
    const failure = await failureOf(open());
    expect(failure).toMatchObject({ kind: 'refused', message: expect.stringContaining('The cluster holds 2 keys') });
    const kept = await restored({ existing: 'keep' });
    expect(kept).toMatchObject({ restored: content.size - 1, existing: 1, existingNames: ['string:1'] });
    const after = await contentOf(target.masters);
    expect(after.size).toBe(content.size + 1);
    expect(after.get('string:1')).not.toBe(content.get('string:1'));
    const replaced = await restored({ existing: 'replace' });
    expect(replaced).toMatchObject({ restored: content.size, existing: 0 });
    const all = await contentOf(target.masters);
    all.delete('another');
    expect(all).toEqual(content);
  });

  it('takes only what is asked for: a pattern, slots, a shard', async () => {
    const only = async (options: ConstructorParameters<typeof Selection>[0]) => {
      await empty(target.nodes);
      const result = await restored({ selection: new Selection(options) });
      const found = await contentOf(target.masters);
      expect(result.restored).toBe(found.size);
      for (const [key, value] of found) expect(value).toBe(content.get(key));
      return new Set(found.keys());
    };
    const keys = [...content.keys()];
    const slotOf = (key: string) => keySlot(Buffer.from(key, 'latin1'));
    expect(await only({ match: 'mortal:[1-3]*' })).toEqual(new Set(keys.filter((key) => /^mortal:[1-3]/.test(key))));
    const slots = [{ start: 100, end: 3_000 }];
    expect(await only({ slots })).toEqual(new Set(keys.filter((key) => slotOf(key) >= 100 && slotOf(key) <= 3_000)));
    expect(await only({ shards: [2] })).toEqual(
      new Set(keys.filter((key) => Math.floor((slotOf(key) * 3) / 16_384) === 1)),
    );
    expect((await failureOf(open({ selection: new Selection({ shards: [4] }) }))).kind).toBe('usage');
  });

  it('goes on after a failure, and begins anew when what it had done is gone', async () => {
    const controller = new AbortController();
    const stopped = new ForgeError('interrupted', 'Ctrl-C');
    const observer = { restored: () => controller.abort(stopped) };
    const failure = await failureOf(restored({ signal: controller.signal, observer, parallel: 1 }));
    expect(failure.kind).toBe('interrupted');
    const again = await open();
    expect(again.restore.plan).toMatchObject({ resumed: true });
    expect(again.restore.plan.existingKeys).toBeGreaterThan(0);
    again.session.close();
    await empty(target.nodes);
    const { session, restore } = await open();
    expect(restore.plan).toMatchObject({ resumed: false, existingKeys: 0 });
    const result = await restore.apply().finally(() => session.close());
    expect(result).toMatchObject({ restored: content.size, existing: 0, notes: [] });
    expect(await contentOf(target.masters)).toEqual(content);
  });

  it('finds a damaged byte, and another key, before anything is written', async () => {
    const [shard] = backup.manifest?.shards ?? [];
    if (shard === undefined || backup.manifest === undefined) throw new Error('no shard');
    const other = Buffer.alloc(32, 4);
    const archive = new BackupArchive(place.store, backup, other);
    expect((await failureOf(open({ archive }))).message).toMatch(/cannot be decrypted: this is another key/);
    const object = { ...shard.object, plainSha256: '0'.repeat(64) };
    const damaged = { ...backup, manifest: { ...backup.manifest, shards: [{ ...shard, object }] } };
    expect(await failureOf(open({ of: damaged }))).toMatchObject({ kind: 'verification' });
    expect((await contentOf(target.masters)).size).toBe(0);
  });
});

describe('a backup that cannot be restored', () => {
  it('is said to be of a newer forge, damaged, or none, with its place and what to do', async () => {
    const { id, cluster } = await makeBackup(place.store, { cluster: 'others' });
    const manifest = `${cluster}/${id}/manifest.json`;
    const text = String(await place.store.read(manifest, { maxBytes: 1_000_000 }));
    const failureWith = async (content: string | undefined, missing?: string) => {
      if (content === undefined) await place.store.remove([manifest]);
      else await place.store.write(manifest, Buffer.from(content), signal());
      if (missing !== undefined) await place.store.remove([`${cluster}/${id}/${missing}`]);
      const found = await findBackup(place.store, { cluster, id, signal: signal() });
      return failureOf((async () => new BackupArchive(place.store, found, undefined))());
    };
    const name = `${place.store.place}/${cluster}/${id}`;
    expect(await failureWith(text.replace('"format": 1', '"format": 2'))).toMatchObject({
      ...{ kind: 'refused', next: ['Update forge.', expect.stringContaining('forge backup list')] },
      message: `${name}/manifest.json was made by a newer forge (format 2; this one reads 1).`,
    });
    const another = text.replace('"currentEpoch": 2', '"currentEpoch": 3');
    expect(another).not.toBe(text);
    expect(await failureWith(another)).toMatchObject({
      ...{ kind: 'verification', message: `${name}/manifest.json is damaged: its seal is wrong.` },
    });
    expect(await failureWith(text, 'shard-0002.rdb.gz')).toMatchObject({
      ...{ kind: 'verification', message: `${name} is damaged: shard-0002.rdb.gz is missing.` },
    });
    expect(await failureWith(undefined)).toMatchObject({
      ...{ kind: 'verification', message: `${name} is no whole backup.` },
    });
  });
});

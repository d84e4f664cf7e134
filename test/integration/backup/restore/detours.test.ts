import { spawnSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBackup, type ListedBackup } from '../../../../src/backup/catalogue.js';
import { BackupArchive } from '../../../../src/backup/restore/archive.js';
import { openRestore, type Restore } from '../../../../src/backup/restore/restore.js';
import { Selection } from '../../../../src/backup/restore/selection.js';
import { verifyLoad } from '../../../../src/backup/verify-load.js';
import { keySlot } from '../../../../src/cluster/key-slot.js';
import { ClusterSession } from '../../../../src/operations/session.js';
import { makeBackup } from '../../../support/backup.js';
import { poll, type RedisCluster, startCluster } from '../../../support/redis.js';
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

const START_MS = 60_000;
const WAIT_MS = 20_000;

let place: Place;
let source: RedisCluster;
let target: RedisCluster;
let content: Map<string, string>;
let backup: ListedBackup;

beforeAll(async () => {
  place = await makePlace();
  [source, target] = await Promise.all([
    startCluster({ masters: 1, args: [...DEBUG, '--appendonly', 'yes'] }),
    startCluster({ masters: 3, replicasPerMaster: 1, args: DEBUG }),
  ]);
  await write(source.masters, everything());
  await addGroup(source.masters);
  await source.masters[0]?.call('FUNCTION', 'LOAD', LIBRARY);
  content = await contentOf(source.masters);
  backup = await backUp(place.store, source.masters);
}, START_MS);
afterAll(async () => {
  await Promise.all([source?.stop(), target?.stop()]);
  await place?.remove();
});
const masters = async () => {
  const roles = await Promise.all(target.nodes.map((node) => node.call('INFO', 'replication')));
  return target.nodes.filter((_, index) => String(roles[index]).includes('role:master'));
};
beforeEach(async () => empty(await masters()));

/** Looked at, and then `between`, which is not known when keys go out. */
async function restored(between: (restore: Restore) => Promise<void>, of = backup) {
  const remarks: string[] = [];
  const [seed] = target.nodes;
  const session = await ClusterSession.open({
    seeds: [{ host: seed?.host ?? '', port: seed?.port ?? 0 }],
    connect: {},
  });
  try {
    const restore = await openRestore({
      session,
      archive: new BackupArchive(place.store, of, undefined),
      selection: new Selection(),
      existing: 'refuse',
      parallel: 1,
      verify: true,
      home: place.directory,
      environment: { ...process.env, FORGE_SCRATCH_DIR: place.directory },
      signal: signal(),
      observer: { remark: (text) => remarks.push(text) },
    });
    await between(restore);
    return { result: await restore.apply(), remarks };
  } finally {
    session.close();
  }
}

describe('a restore', () => {
  it(
    'follows slots that are on their way, and that have gone',
    async () => {
      const [one, other] = await masters();
      if (one === undefined || other === undefined) throw new Error('no masters');
      const mine = [...content.keys()].map((key) => keySlot(Buffer.from(key, 'latin1')));
      const ranges = String(await one.call('CLUSTER', 'NODES'))
        .split('\n')
        .find((line) => line.includes('myself'));
      const [first = 0, last = 0] =
        / (\d+)-(\d+)$/
          .exec(ranges ?? '')
          ?.slice(1)
          .map(Number) ?? [];
      const [open = 0, gone = 0] = [...new Set(mine)].filter((slot) => slot >= first && slot <= last);
      const [from, to] = [String(await one.call('CLUSTER', 'MYID')), String(await other.call('CLUSTER', 'MYID'))];
      const { result, remarks } = await restored(async () => {
        await other.call('CLUSTER', 'SETSLOT', open, 'IMPORTING', from);
        await one.call('CLUSTER', 'SETSLOT', open, 'MIGRATING', to);
        await other.call('CLUSTER', 'SETSLOT', gone, 'IMPORTING', from);
        for (const node of [other, one]) await node.call('CLUSTER', 'SETSLOT', gone, 'NODE', to);
      });
      expect(result).toMatchObject({ restored: content.size, notes: [] });
      expect(remarks.join('\n')).toContain('MOVED');
      for (const slot of [open, gone]) {
        expect(await one.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);
        expect(await other.call('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(mine.filter((each) => each === slot).length);
      }
      for (const node of [other, one]) await node.call('CLUSTER', 'SETSLOT', open, 'NODE', to);
      expect(await contentOf(await masters())).toEqual(content);
    },
    START_MS,
  );

  it(
    'follows a replica that takes over, and replicas have it all in the end',
    async () => {
      const { result } = await restored(async () => {
        const replica = target.replicas.at(-1);
        await replica?.call('CLUSTER', 'FAILOVER');
        await poll('it is the master', WAIT_MS, async () =>
          String(await replica?.call('INFO', 'replication')).includes('role:master'),
        );
      });
      expect(result.restored).toBe(content.size);
      expect(await contentOf(await masters())).toEqual(content);
      const sizes = await Promise.all(target.nodes.map((node) => node.call('DBSIZE')));
      expect(sizes.reduce<number>((sum, size) => sum + Number(size), 0)).toBe(2 * content.size);
    },
    START_MS,
  );

  it(
    'takes the files of a server, which a server of this host loads first',
    async () => {
      const [node] = source.masters;
      await node?.call('SET', 'in the last file', 'x');
      const all = await contentOf(source.masters);
      await poll('it is in the file', WAIT_MS, async () =>
        String(await node?.call('INFO', 'persistence')).includes('aof_pending_bio_fsync:0'),
      );
      const directory = node?.dir ?? '';
      const names = (await readdir(path.join(directory, 'appendonlydir'))).map((name) => `appendonlydir/${name}`);
      const tar = ['--format=ustar', '-C', directory, '-cf', '-', ...names, 'nodes.conf'];
      const { stdout: archive } = spawnSync('tar', tar, { maxBuffer: 64 * 1024 * 1024 });
      const [shard] = backup.manifest?.shards ?? [];
      if (shard === undefined) throw new Error('no shard');
      const { object: _, slotKeys: __, ...about } = shard;
      const made = await makeBackup(place.store, {
        shards: [archive],
        shard: () => ({ ...about, source: { ...shard.source, kind: 'files' } }),
      });
      const files = await findBackup(place.store, { id: made.id, signal: signal() });
      const verdict = await verifyLoad(place.store, files, { deep: true, signal: signal() });
      expect(verdict).toMatchObject({ problems: [], shards: [{ keys: all.size }] });
      const { result } = await restored(async () => undefined, files);
      expect(result).toMatchObject({ restored: all.size, functions: { loaded: ['orders'] } });
      expect(await contentOf(await masters())).toEqual(all);
      expect((await readdir(place.directory)).filter((name) => name.startsWith('forge-scratch'))).toEqual([]);
    },
    START_MS,
  );
});

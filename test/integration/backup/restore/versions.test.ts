import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BackupArchive } from '../../../../src/backup/restore/archive.js';
import { openRestore } from '../../../../src/backup/restore/restore.js';
import { Selection } from '../../../../src/backup/restore/selection.js';
import { ClusterSession } from '../../../../src/operations/session.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../../support/servers.js';
import {
  addGroup,
  backUp,
  contentOf,
  DEBUG,
  empty,
  everything,
  makePlace,
  type Place,
  signal,
  write,
} from './fixtures.js';

const TEST_MS = 60_000;
type Name = (typeof SERVERS)[number][1];
/** What each takes of another: all, or what it takes only without the types that it does not know. */
const PAIRS: readonly (readonly [from: Name, to: Name, without: readonly string[]])[] = [
  ['installed', 'redis8', []],
  ['installed', 'valkey9', []],
  ['redis8', 'valkey9', []],
  ['valkey9', 'redis8', []],
  // Small sets and streams are packed in a way that Redis 7.0 does not know.
  ['redis8', 'installed', ['set', 'stream']],
  ['valkey9', 'installed', ['set', 'stream']],
];

let place: Place;
const clusters = new Map<Name, RedisCluster>();

beforeAll(async () => {
  place = await makePlace();
  for (const [, name] of SERVERS) {
    clusters.set(name, await startCluster({ masters: 1, executable: executableOf(name), args: DEBUG }));
  }
}, FETCH_TIMEOUT_MS);
afterAll(async () => {
  for (const cluster of clusters.values()) await cluster.stop();
  await place.remove();
});

const here = new Set(SERVERS.map(([, name]) => name));

describe.each(PAIRS.filter(([from, to]) => here.has(from) && here.has(to)))('a backup of %s', (from, to, without) => {
  it(
    `is restored into ${to}, but for values that it does not know, which are found before`,
    async () => {
      const [source, target] = [clusters.get(from)?.masters ?? [], clusters.get(to)?.masters ?? []];
      await empty([...source, ...target]);
      await write(source, everything());
      await addGroup(source);
      const open = async () => {
        const [seed] = target;
        const session = await ClusterSession.open({
          seeds: [{ host: seed?.host ?? '', port: seed?.port ?? 0 }],
          connect: {},
        });
        try {
          const restore = await openRestore({
            session,
            archive: new BackupArchive(place.store, await backUp(place.store, source), undefined),
            selection: new Selection(),
            existing: 'refuse',
            parallel: 1,
            verify: true,
            home: place.directory,
            signal: signal(),
          });
          return await restore.apply();
        } finally {
          session.close();
        }
      };
      if (without.length > 0) {
        await expect(open()).rejects.toMatchObject({
          kind: 'refused',
          message: expect.stringMatching(/takes no values of RDB version 11: 2 keys have such/),
        });
        expect(await target[0]?.call('DBSIZE')).toBe(0);
        for (const key of without) await source[0]?.call('DEL', key);
      }
      const content = await contentOf(source);
      const result = await open();
      expect(result).toMatchObject({ restored: content.size, refused: 0 });
      expect(await contentOf(target)).toEqual(content);
    },
    TEST_MS,
  );
});

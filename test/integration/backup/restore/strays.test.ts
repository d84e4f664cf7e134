/** Slots that are on their way while a backup is made: their keys may be at both ends, at one, or hidden at either. */
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canHaveNewerServers, redisWithAtomicMigration } from '../../../../scripts/newer-servers.js';
import { findBackup } from '../../../../src/backup/catalogue.js';
import { BackupArchive } from '../../../../src/backup/restore/archive.js';
import { openRestore, type RestoreOptions } from '../../../../src/backup/restore/restore.js';
import { Selection } from '../../../../src/backup/restore/selection.js';
import { readRdb } from '../../../../src/backup/source/network.js';
import { verifyLoad } from '../../../../src/backup/verify-load.js';
import { keySlot } from '../../../../src/cluster/key-slot.js';
import type { ClusterSession } from '../../../../src/operations/session.js';
import { slotTags } from '../../../../src/smoke/key-slot.js';
import { openSession } from '../../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { halfMove, idOf } from '../../operations/fix/broken.js';
import { type Making, startMaking } from '../run/making.js';
import { contentOf, DEBUG, empty, signal, write } from './fixtures.js';

const TEST_MS = 120_000;
const WAIT_MS = 20_000;
const KEYS = 2_000;
const SLOT = 5;
/** Of each key, while a server writes a snapshot: the slot is on its way for longer than a backup takes. */
const KEY_DELAY_US = 5_000;
const ATOMIC = [
  ['Valkey 9', () => executableOf('valkey9')],
  ['Redis 8.4 or newer', () => redisWithAtomicMigration()],
] as const;
const SERVERS = process.env['CI'] || canHaveNewerServers() ? ATOMIC : [];

let making: Making;
let target: RedisCluster;
let half: RedisCluster;
const atomic = new Map<string, RedisCluster>();
let session: ClusterSession;

beforeAll(async () => {
  making = await startMaking();
  [half, target] = (await Promise.all([2, 1].map((masters) => startCluster({ masters, args: DEBUG })))) as [
    RedisCluster,
    RedisCluster,
  ];
  const start = (executable: string) => startCluster({ masters: 2, replicasPerMaster: 1, args: DEBUG, executable });
  await Promise.all(SERVERS.map(async ([name, executable]) => atomic.set(name, await start(executable()))));
  session = await openSession(target.addresses, { connect: {} });
}, FETCH_TIMEOUT_MS);
afterAll(async () => {
  session?.close();
  await Promise.all([half, target, ...atomic.values()].map((cluster) => cluster?.stop()));
  await making?.remove();
});
beforeEach(() => empty(target.masters));

async function restored(id: string, more: Partial<RestoreOptions> = {}) {
  const backup = await findBackup(making.store, { id, signal: signal() });
  const restore = await openRestore({
    ...{ session, selection: new Selection(), existing: 'refuse', parallel: 2, verify: true, signal: signal() },
    ...{ archive: new BackupArchive(making.store, backup, undefined), home: making.home },
    ...more,
  });
  return { plan: restore.plan, result: await restore.apply(), backup };
}

describe('a restore of slots that were on their way', () => {
  it(
    'has each key once: that of the shard which served the slot, else the one that had gone ahead',
    async () => {
      const [from, to] = half.masters as [RedisServer, RedisServer];
      const slot = 7;
      const names = Array.from({ length: 200_000 }, (_, index) => `key:${index}`).filter(
        (name) => keySlot(Buffer.from(name)) === slot,
      );
      const [gone = '', both = '', stays = ''] = names;
      for (const name of [gone, both, stays]) await from.call('SET', name, `${name} of the source`);
      const kept = await contentOf([from]);
      await halfMove(from, to, slot, [gone]);
      // As if the move were stopped behind the copy: what is at the source is written to.
      await halfMove(from, to, slot, [both], { copy: true });
      await from.call('SET', both, 'newer');
      kept.set(both, (await contentOf([from])).get(both) ?? '');
      const { id } = await making.make(half.addresses, { waitMs: 0 });
      const { plan, result, backup } = await restored(id);
      expect(backup.manifest?.moving).toEqual([{ start: slot, end: slot }]);
      expect(plan.notes.join('\n')).toMatch(/Slots 7 were on their way.*\n2 keys of these are in other shards/);
      expect(result).toMatchObject({ restored: 3, existing: 0, notes: [] });
      expect(await contentOf(target.masters)).toEqual(kept);
      expect((await verifyLoad(making.store, backup, { signal: signal() })).problems).toEqual([]);

      const other = { selection: new Selection({ shards: [2] }), existing: 'keep' as const };
      await empty(target.masters);
      expect(await restored(id, other)).toMatchObject({ plan: { keys: 0 }, result: { restored: 0 } });
      const slots = { selection: new Selection({ slots: [{ start: slot, end: slot }] }) };
      expect((await restored(id, slots)).result.restored).toBe(3);
      await target.masters[0]?.call('SET', both, 'of somebody');
      expect((await restored(id, { existing: 'replace' })).result).toMatchObject({ restored: 2, existing: 0 });
      expect((await contentOf(target.masters)).get(both)).toBe(kept.get(both));
    },
    TEST_MS,
  );

  it.each(SERVERS)(
    'has none of the hidden copies of %s twice',
    async (name, executable) => {
      const { masters, replicas, addresses } = atomic.get(name) as RedisCluster;
      const [from, to] = masters as [RedisServer, RedisServer];
      const tag = slotTags()[SLOT] ?? '';
      await write(
        masters,
        Array.from({ length: KEYS }, (_, index) => ['SET', `{${tag}}:${index}`, `value ${index}`]),
      );
      const kept = await contentOf([from]);
      // So the backup reads the replica of the source, which nothing holds up, and the target itself.
      await replicas[1]?.kill();
      await from.call('CONFIG', 'SET', 'rdb-key-save-delay', KEY_DELAY_US);
      if (name.startsWith('Valkey')) {
        await from.call('CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', SLOT, SLOT, 'NODE', await idOf(to));
      } else await to.call('CLUSTER', 'MIGRATION', 'IMPORT', SLOT, SLOT);
      const incoming = async () => {
        const connection = await to.connect();
        const { stream } = await readRdb(connection, { signal: signal() });
        const bytes = await buffer(stream);
        return bytes.includes(`{${tag}}:1`);
      };
      await poll('some keys have come', WAIT_MS, incoming);
      const made = await making.make(addresses, { waitMs: 0 });
      const { plan, result, backup } = await restored(made.id);
      const [first, second] = backup.manifest?.shards ?? [];
      expect(first).toMatchObject({ source: { role: 'replica' }, keys: KEYS });
      expect(second?.keys).toBeGreaterThan(0);
      expect(backup.manifest?.moving).toEqual([{ start: SLOT, end: SLOT }]);
      expect(plan.notes.join('\n')).toContain(`${second?.keys} keys of these are in other shards`);
      expect(result).toMatchObject({ restored: KEYS, existing: 0, notes: [] });
      expect(await contentOf(target.masters)).toEqual(kept);
      const environment = { ...process.env, FORGE_REDIS_SERVER: executable() };
      expect((await verifyLoad(making.store, backup, { environment, signal: signal() })).problems).toEqual([]);
    },
    TEST_MS,
  );
});

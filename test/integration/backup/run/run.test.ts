import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RUNNING_MARK } from '../../../../src/backup/layout.js';
import type { BackupEvent } from '../../../../src/backup/run/events.js';
import { parseAddressList } from '../../../../src/cluster/address.js';
import { ForgeError } from '../../../../src/errors.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { Traffic } from '../../../support/operations/traffic.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { failureOf } from '../../cluster/formed.js';
import { fill, type Home, idOf, moveSlots, slotOf } from '../../operations/move/moving.js';
import { CLUSTER, type Making, startMaking } from './making.js';

const KEYS = 3_000;
const WAIT_MS = 30_000;
/** What a node sends while nobody reads it is far less. */
const LARGE_BYTES = 12 * 1024 * 1024;

let cluster: RedisCluster;
let making: Making;
let home: Home;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
  home = await temporaryHome();
  await fill(cluster.masters, KEYS);
}, 60_000);
afterAll(async () => {
  await Promise.all([cluster?.stop(), home?.remove()]);
});
beforeEach(async () => {
  making = await startMaking();
});
afterEach(() => making.remove());

const seed = () => cluster.nodes[0]?.address ?? '';
const names = () => Array.from({ length: KEYS }, (_, index) => `key:${index}`);
const eventsOf = <Type extends BackupEvent['type']>(type: Type) =>
  making.events.filter((event): event is Extract<BackupEvent, { type: Type }> => event.type === type);
/** Whatever lies in the store, but for folders. */
const left = () => readdir(making.store.place, { recursive: true }).catch(() => []);
const onceEach = async (id: string, wanted = names()) => {
  const found = await making.keysIn(id);
  expect(wanted.filter((name) => found.get(name) !== 1)).toEqual([]);
};

describe('a backup', { timeout: 120_000 }, () => {
  it('has every key once under load, from replicas, with settings, and is told of in its order', async () => {
    const traffic = await Traffic.start(parseAddressList(cluster.addresses));
    const result = await making.make(seed());
    await traffic.stop();
    const [listed] = await making.proved();
    expect(listed).toMatchObject({ id: result.id, cluster: CLUSTER, state: 'complete', sealed: true });
    await onceEach(result.id, [...names(), ...traffic.names]);
    expect(result.keys).toBe(KEYS + traffic.names.length);
    const replicas = await Promise.all(cluster.replicas.map(idOf));
    for (const { source, slotKeys = [], keys, offset } of result.shards) {
      expect(replicas).toContain(source.nodeId);
      expect(slotKeys.reduce((sum, [, count]) => sum + count, 0)).toBe(keys);
      expect(offset).toBeGreaterThan(0);
    }
    expect(result).toMatchObject({ missing: [], moving: [], complete: true, swept: [] });
    expect(eventsOf('shard-done')).toHaveLength(3);
    const manifest = listed?.manifest;
    expect(manifest?.nodes).toHaveLength(6);
    expect(manifest?.settings?.plainBytes).toBeGreaterThan(1_000);
    expect((await left()).some((name) => name.endsWith(RUNNING_MARK))).toBe(false);
  });

  it('is of one node where one is named, and encrypted where there is a key', async () => {
    const [master] = cluster.masters as [RedisServer];
    const secret = randomBytes(32);
    const result = await making.make(seed(), { node: master.address, secret });
    expect(result.shards).toHaveLength(1);
    expect(result.shards[0]?.source).toMatchObject({ nodeId: await idOf(master), role: 'master' });
    expect(result).toMatchObject({ complete: false, encrypted: true, missing: [{}, {}] });
    const [listed] = await making.proved();
    expect(listed).toMatchObject({ state: 'partial', sealed: false });
  });

  it('is of files where they are asked for, and where the network is refused; else the refusal is told', async () => {
    const rights = ['on', '>taking', '~*', '&*', '+@all', '-psync', '-sync'];
    const [, , third] = cluster.nodes as [RedisServer, RedisServer, RedisServer];
    for (const node of cluster.nodes) await node.call('ACL', 'SETUSER', 'restricted', ...rights);
    const login = { username: 'restricted', password: 'taking' };
    const asked = await making.make(seed(), { source: 'files', node: third.address });
    const refused = await making.make(seed(), { source: 'auto', node: third.address }, login);
    for (const { shards } of [asked, refused]) {
      expect(shards[0]).toMatchObject({ source: { kind: 'files', address: third.address } });
      expect(shards[0]?.object.name).toMatch(/^shard-000\d\.tar\.gz$/);
      expect(shards[0]?.keys).toBe(await third.call('DBSIZE'));
    }
    const failure = await failureOf(making.make(seed(), { source: 'network' }, login));
    expect(failure).toMatchObject({ kind: 'denied', host: expect.stringContaining('127.0.0.1') });
    expect(await making.proved()).toHaveLength(2);
  });

  it('is refused while another run is at work, from this home or any other, which ends as if nothing had been', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    making.store.hold = (name) => (name.startsWith('shard') ? held : Promise.resolve());
    const first = making.make(seed());
    await poll('it is at work', WAIT_MS, () => eventsOf('shard-begun').length > 0);
    const second = await failureOf(making.make(seed()));
    expect(second).toMatchObject({ kind: 'locked', exitCode: 6 });
    expect(second.message).toContain('the backups of orders');
    const elsewhere = await failureOf(making.make(seed(), { home: path.join(making.home, 'other') }));
    expect(elsewhere).toMatchObject({ kind: 'locked', details: { pid: process.pid } });
    release();
    const { id } = await first;
    expect((await making.proved()).map((each) => each.id)).toEqual([id]);
  });

  it('leaves nothing when it is ended, or when the store fails', async () => {
    const controller = new AbortController();
    making.store.hold = async (name) => {
      if (name.startsWith('shard-0002')) controller.abort(new ForgeError('interrupted', 'Ctrl-C'));
    };
    expect((await failureOf(making.make(seed(), { signal: controller.signal }))).kind).toBe('interrupted');
    expect(await left()).toEqual([]);
    making.store.hold = async (name) => {
      if (name.startsWith('settings')) throw new ForgeError('partial', 'The disk is full.');
    };
    expect((await failureOf(making.make(seed()))).kind).toBe('partial');
    expect(await left()).toEqual([]);
  });

  it('reads shards again of which slots moved meanwhile: every key is in it once', async () => {
    const [from, to] = cluster.masters as [RedisServer, RedisServer];
    const ranges = [{ start: 10, end: 13 }];
    let moves = 0;
    making.store.hold = async (name) => {
      if (name.startsWith('shard-0001') && moves++ === 0) await moveSlots({ seeds: seed(), home, from, to, ranges });
    };
    const result = await making.make(seed(), { parallel: 1 });
    expect(moves).toBeGreaterThan(0);
    expect(eventsOf('reading').map(({ round }) => round)).toEqual([1, 2]);
    expect(result).toMatchObject({ moving: [], complete: true });
    await onceEach(result.id);
    expect((await making.proved())[0]?.state).toBe('complete');
    await moveSlots({ seeds: seed(), home, from: to, to: from, ranges });
  });

  it('waits for slots that are on their way, and names them where they do not arrive', async () => {
    const [from, to] = cluster.masters as [RedisServer, RedisServer];
    const slot = slotOf('key:1');
    const [source, target] = slot <= 5460 ? [from, to] : [to, from];
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await idOf(source));
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await idOf(target));
    const given = await making.make(seed(), { waitMs: 0 });
    expect(given.moving).toEqual([{ start: slot, end: slot }]);
    expect(eventsOf('waiting')).toEqual([]);
    const waiting = making.make(seed());
    await poll('it waits', WAIT_MS, () => eventsOf('waiting').length > 0);
    for (const node of [source, target]) await node.call('CLUSTER', 'SETSLOT', slot, 'STABLE');
    expect((await waiting).moving).toEqual([]);
    expect(await making.proved()).toHaveLength(2);
  });

  it('goes on with another node where one dies in the middle of its data', async () => {
    const [master] = cluster.masters as [RedisServer];
    const [replica] = cluster.replicas as [RedisServer];
    const large = Array.from({ length: 1_000 }, (_, index) => `large:${index}`).find((name) => slotOf(name) <= 5460);
    await master.call('SET', large ?? '', randomBytes(LARGE_BYTES).toString('latin1'));
    const nodes = [replica];
    making.store.hold = async (name) => {
      if (name.startsWith('shard-0001')) await nodes.shift()?.kill();
    };
    const result = await making.make(seed(), { compression: 'none' });
    expect(eventsOf('shard-failed')).toMatchObject([{ source: replica.address }]);
    expect(result.shards[0]?.source.nodeId).toBe(await idOf(master));
    expect((await making.proved())[0]?.state).toBe('complete');
    await master.call('DEL', large ?? '');
  });

  it('takes a failover for no move: the shard is read to its end, and is that of the new master', async () => {
    const third = cluster.masters[2] as RedisServer;
    const replica = cluster.replicas[2] as RedisServer;
    const victims = [third];
    making.store.hold = async (name) => {
      const victim = name.startsWith('shard-0003') ? victims.shift() : undefined;
      if (victim === undefined) return;
      await victim.kill();
      await poll('the replica takes over', WAIT_MS, async () =>
        String(await replica.call('INFO', 'replication')).includes('role:master'),
      );
    };
    const result = await making.make(seed());
    expect(victims).toEqual([]);
    expect(result).toMatchObject({ complete: true, moving: [], missing: [] });
    expect(result.shards[2]?.source.nodeId).toBe(await idOf(replica));
    await onceEach(result.id);
  });

  it('fails where a master cannot be read, and with --partial says what is missing', async () => {
    const [, second] = cluster.masters as [RedisServer, RedisServer];
    const [, replica] = cluster.replicas as [RedisServer, RedisServer];
    await replica.kill();
    await second.kill();
    const bounds = { failoverWaitMs: 0 };
    const failure = await failureOf(making.make(seed(), { bounds }));
    expect(failure).toMatchObject({ kind: 'unreachable', host: second.address });
    expect(failure.message).toContain(second.address);
    expect(await left()).toEqual([]);
    const result = await making.make(seed(), { partial: true, bounds });
    expect(result.shards).toHaveLength(2);
    expect(result.missing).toMatchObject([{ address: second.address, slots: [{ start: 5461, end: 10_922 }] }]);
    expect((await making.proved())[0]?.state).toBe('partial');
  });
});

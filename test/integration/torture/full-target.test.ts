/** A target that has no memory left: before slots move, and in the middle of it. */

import { Cluster } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { NodeConnection } from '../../../src/cluster/node-connection.js';
import { unfinishedOperations } from '../../../src/operations/journal/journal.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';
import { tablesOf } from '../cluster/formed.js';
import { fill, idOf, slotOf } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'full secret';
const KEYS = 6_000;
/** So much that what moves is more than buffers of connections come and go with. */
const BYTES = 2_000;
/** Keys of one slot: several batches. */
const CROWD = 400;
const RUN_MS = 180_000;
const OPERATION = /\d{8}-\d{6}-[0-9a-f]{6}/;
/** Room beyond what the target has, in bytes: for no key at all, and for some groups of slots. */
const ROOMS = FULL ? [0, 50_000, 150_000, 300_000, 400_000] : [200_000];

let cluster: RedisCluster;
let source: RedisServer;
let target: RedisServer;
let operator: TestOperator;
let traffic: Traffic;

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD, args: ['--maxmemory-policy', 'noeviction'] });
  [source, target] = cluster.masters as [RedisServer, RedisServer];
  await fill(cluster.masters, KEYS, BYTES);
});
beforeEach(async () => {
  // Its keys are where memory is enough: a full node answers clients with errors, and that is what it is told to do.
  traffic = await Traffic.start(parseAddressList(cluster.addresses), { password: PASSWORD });
  operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: source.address });
});
afterEach(async () => {
  await traffic.stop();
  await Promise.all([limit(source, 0), limit(target, 0)]);
  await operator.remove();
});
afterAll(() => cluster?.stop());

const limit = (server: RedisServer, bytes: number) => server.call('CONFIG', 'SET', 'maxmemory', bytes);

async function used(server: RedisServer): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(String(await server.call('INFO', 'memory')))?.[1]);
}

/** Makes many keys of one of the slots that move. */
async function crowdAt(server: RedisServer): Promise<{ slot: number; crowd: string[] }> {
  const tag = traffic.names.find((name) => slotOf(name) < 1_000) as string;
  const crowd = Array.from({ length: CROWD }, (_, index) => `{${tag}}${index}`);
  await all(
    server,
    crowd.map((key) => ['SET', key, padded(key)]),
  );
  return { slot: slotOf(tag), crowd };
}

const padded = (key: string) => key.padEnd(BYTES, 'y');

const disperse = (server: RedisServer, crowd: readonly string[]) =>
  all(
    server,
    crowd.map((key) => ['DEL', key]),
  );

async function all(server: RedisServer, commands: Parameters<NodeConnection['callAll']>[0]): Promise<void> {
  const connection = await server.connect();
  const outcomes = await connection.callAll(commands);
  connection.close();
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
}

/** Each test moves the slots where they are not. */
async function direction(): Promise<string[]> {
  const [table] = await tablesOf([source]);
  if (table?.ownerOf(0)?.id !== (await idOf(source))) [source, target] = [target, source];
  return ['--ranges', '0-999', '--from', source.address, '--to', target.address];
}

async function expectNothingOpen(): Promise<void> {
  for (const table of await tablesOf(cluster.nodes)) {
    expect(table.openSlots).toEqual([]);
    expect(table.uncovered).toEqual([]);
  }
}

const sound = (name: string) => expectSound({ nodes: cluster.nodes, keys: KEYS, bytes: BYTES, traffic, name });

describe('a target without memory', { timeout: RUN_MS }, () => {
  it('is refused before anything is changed, by a guard that has a name', async () => {
    const argv = await direction();
    const before = (await tablesOf([source]))[0]?.signature;
    await limit(target, await used(target));
    const refused = await operator.run('cluster/reshard', argv);
    expect(refused.code, refused.stderr).toBe(5);
    expect(refused.stderr + refused.stdout).toContain(`${target.address} gets about`);
    expect(refused.stderr).toContain('--force memory');
    expect((await tablesOf([source]))[0]?.signature).toBe(before);
    await limit(target, 0);
    await sound('refused');
  });

  it.each(ROOMS)(
    'in the middle of a move (room for %i bytes): slots in hand go back, and resume finishes',
    async (room) => {
      const argv = await direction();
      await traffic.stop();
      const { stderr, code } = await filledAmid(argv, room);
      expect([5, 8], stderr).toContain(code);
      expect(stderr).toContain(`${target.address} is full`);
      expect(stderr).toContain(`Give ${target.address} more maxmemory`);
      await expectNothingOpen();
      // Still full: the same again, and still nothing is open.
      const id = OPERATION.exec(stderr)?.[0] ?? '';
      const again = await operator.run('resume', [id]);
      expect([5, 8], again.stderr).toContain(again.code);
      expect(again.stderr).toContain(`${target.address} is full`);
      await expectNothingOpen();
      await limit(target, 0);
      await sound(`full with ${room}`);
      await operator.succeed('resume', [id]);
      await sound('resumed');
      expect((await tablesOf([source]))[0]?.ownerOf(0)?.id).toBe(await idOf(target));
    },
  );

  it('keeps nobody from undoing a move that was killed: what cannot arrive goes back at once', async () => {
    const argv = await direction();
    await traffic.stop();
    const { slot, crowd } = await crowdAt(source);
    // Amid the keys of the slot.
    expect(await operator.killed('cluster/reshard', argv.with(1, String(slot)), { mutation: 6 })).toBe(true);
    await limit(target, 1);
    const [operation] = await unfinishedOperations(operator.paths.journals, [await idOf(source)]);
    await operator.succeed('rollback', [operation?.operationId ?? '']);
    await disperse(source, crowd);
    await limit(target, 0);
    await sound('undone');
    expect((await tablesOf([target]))[0]?.ownerOf(slot)?.id).toBe(await idOf(source));
  });

  it('and a source that takes nothing back: clients are sent where the keys are, and resume finishes', async () => {
    const argv = await direction();
    await traffic.stop();
    const { slot, crowd } = await crowdAt(source);
    await Promise.all([limit(target, (await used(target)) + CROWD * BYTES * 0.4), limit(source, 1)]);
    const { stderr, code } = await operator.run('cluster/reshard', [
      ...argv.with(1, String(slot)),
      '--force',
      'memory',
    ]);
    expect([5, 8], stderr).toContain(code);
    expect(stderr).toContain(`${target.address} is full`);
    expect(stderr).toContain(`Still open, because ${source.address} did not take back`);
    // Who asks the source for a key that has moved is sent on.
    const [from, to] = await tablesOf([source, target]);
    expect([from, to].map((table) => table?.openSlots.map((open) => open.slot))).toEqual([[slot], [slot]]);
    const client = new Cluster([{ host: source.host, port: source.port }], { redisOptions: { password: PASSWORD } });
    for (const key of crowd) expect(await client.get(key), key).toBe(padded(key));
    client.disconnect();
    await Promise.all([limit(source, 0), limit(target, 0)]);
    await operator.succeed('resume', [OPERATION.exec(stderr)?.[0] ?? '']);
    await disperse(target, crowd);
    await sound('resumed');
  });
});

/** Runs the move, and limits the target when some keys have moved. */
async function filledAmid(argv: readonly string[], room: number) {
  const running = operator.start('cluster/reshard', [...argv, '--keys-per-second', '200'], {
    death: { mutation: 100 },
    victim: { pid: 0, signal: 'SIGUSR2' },
  });
  // Paused with nothing in hand: so that the memory is measured before the next group begins.
  await running.said(/Paused/);
  await limit(target, (await used(target)) + room);
  running.child.kill('SIGUSR2');
  return running.ended;
}

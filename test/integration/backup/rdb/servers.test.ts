import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, redisWithAtomicMigration } from '../../../../scripts/newer-servers.js';
import { RdbCounter } from '../../../../src/backup/rdb/count.js';
import { type RdbKey, RdbKeyReader, type RdbKeyReaderOptions } from '../../../../src/backup/rdb/key-reader.js';
import type { NodeConnection } from '../../../../src/cluster/node-connection.js';
import { poll, type RedisServer, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { type Abilities, buildRdbModule, fill, LIBRARIES } from './fill.js';

const WAIT_MS = 20_000;
/** Each notes something else of keys, so that all of it is read. */
const ALL = [
  ['Redis 7.0', () => executableOf('installed'), 'allkeys-lru', { databases: true }],
  ['Redis 8', () => executableOf('redis8'), 'allkeys-lfu', { fieldsThatExpire: true, vectors: true }],
  [
    'Redis 8.6',
    () => redisWithAtomicMigration(),
    'noeviction',
    { fieldsThatExpire: true, vectors: true, producers: true, notes: true },
  ],
  ['Valkey 9', () => executableOf('valkey9'), 'noeviction', { fieldsThatExpire: true }],
] as const satisfies [string, () => string, string, Abilities][];
const SERVERS = process.env['CI'] || canHaveNewerServers() ? ALL : ALL.slice(0, 1);

interface Node {
  readonly server: RedisServer;
  readonly node: NodeConnection;
}
/** A source and an empty copy of each, by name. All are started at once: a node of a cluster takes no writes for 2 s. */
const stands = new Map<string, { source: Node; copy: Node }>();
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  const module = buildRdbModule();
  cleanUp.push(() => rm(path.dirname(module), { recursive: true, force: true }));
  const start = async (executable: string, cluster: boolean, policy: string): Promise<Node> => {
    const debug = ['--enable-debug-command', 'yes', '--loadmodule', module, '--maxmemory-policy', policy];
    const server = await startRedis({ executable, cluster, args: debug });
    cleanUp.push(server.stop);
    const node = await server.connect();
    cleanUp.push(() => node.close());
    if (cluster) {
      await node.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
      await poll('it takes writes', WAIT_MS, async () => (await node.callText('CLUSTER', 'INFO')).includes('state:ok'));
    }
    return { server, node };
  };
  const prepare = async ([name, executable, policy, abilities]: (typeof SERVERS)[number]) => {
    const [source, copy] = await Promise.all([
      start(executable(), !('databases' in abilities), policy),
      start(executable(), false, 'noeviction'),
    ]);
    stands.set(name, { source, copy });
  };
  await Promise.all(SERVERS.map(prepare));
}, FETCH_TIMEOUT_MS);
afterAll(async () => {
  for (const clean of cleanUp.reverse()) await clean();
});

/** All keys of a file, and what else the reader knows at its end. */
async function read(file: string, options: RdbKeyReaderOptions = {}) {
  const reader = new RdbKeyReader(createReadStream(file), options);
  const keys: RdbKey[] = [];
  for await (const batch of reader.batches()) keys.push(...batch);
  return { reader, keys };
}

/** Replies to a command for each of the keys, in their order. */
async function ask(node: NodeConnection, command: string, keys: readonly Buffer[], ...more: (string | number)[]) {
  const outcomes = await node.callAll(
    keys.map((key) => [command, key, ...more]),
    { binary: true },
  );
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
const inOrder = (keys: readonly Buffer[]) => keys.map((key) => key.toString('latin1')).sort();

describe.each(SERVERS)('what %s has written', (name, _, policy, abilities: Abilities) => {
  let node: NodeConnection;
  let copy: NodeConnection;
  let file: string;
  let reader: RdbKeyReader;
  let all: RdbKey[];
  /** Those in database 0. */
  let keys: RdbKey[];
  let names: Buffer[];

  beforeAll(async () => {
    const stand = stands.get(name);
    if (stand === undefined) throw new Error('not started');
    node = stand.source.node;
    copy = stand.copy.node;
    await fill(node, abilities);
    await node.call('SAVE');
    file = path.join(stand.source.server.dir, 'dump.rdb');
    ({ reader, keys: all } = await read(file, { checksum: true }));
    keys = all.filter(({ database }) => database === 0);
    names = keys.map(({ key }) => key);
  });

  it('is read with all keys, their expiries and functions', async () => {
    const [outcome] = await node.callAll([['KEYS', '*']], { binary: true });
    expect(inOrder(names)).toEqual(inOrder((outcome as PromiseFulfilledResult<Buffer[]>).value));
    const expiries = await ask(node, 'PEXPIRETIME', names);
    expect(keys.map(({ expireAtMs }) => expireAtMs ?? -1)).toEqual(expiries);
    expect(expiries.filter((at) => at !== -1)).toHaveLength(4);
    expect([...reader.functions].sort()).toEqual(LIBRARIES);
    const others = all.filter(({ database }) => database !== 0);
    expect(others.map(({ key, database }) => [key.toString(), database])).toEqual(
      abilities.databases ? [['elsewhere', 9]] : [],
    );
    expect(keys.every(({ idleSeconds }) => (idleSeconds === undefined) === (policy !== 'allkeys-lru'))).toBe(true);
    expect(keys.every(({ frequency }) => (frequency === undefined) === (policy !== 'allkeys-lfu'))).toBe(true);
  });

  it('has the same bytes for each key as DUMP has', async () => {
    const dumps = (await ask(node, 'DUMP', names)) as Buffer[];
    for (const [i, key] of keys.entries()) {
      const what = `${key.key.toString('latin1').slice(0, 40)}, type ${key.type}`;
      expect(key.payload().toString('latin1') === dumps[i].toString('latin1'), what).toBe(true);
      expect(key.payloadBytes).toBe(dumps[i].length);
    }
    expect(keys.filter(({ metadata }) => metadata !== undefined)).toHaveLength(abilities.notes ? 3 : 0);
  });

  it('is the same again in a server that got it key by key', async () => {
    const outcomes = await copy.callAll(
      keys.map((key) => ['RESTORE', key.key, key.expireAtMs ?? 0, key.payload(), 'ABSTTL']),
    );
    expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
    if (abilities.databases) {
      await node.callAll([
        ['SELECT', 9],
        ['DEL', 'elsewhere'],
        ['SELECT', 0],
      ]);
    }
    expect(await copy.call('DEBUG', 'DIGEST')).toBe(await node.call('DEBUG', 'DIGEST'));
    expect(await ask(copy, 'PEXPIRETIME', names)).toEqual(await ask(node, 'PEXPIRETIME', names));
    // A digest does not tell of groups, of fields that expire, or of what modules note.
    const ordered = names.filter((key) =>
      /^(?:(?:empty )?stream|stream of producers|hash|mortal|list|string .*)$/.test(key.toString()),
    );
    expect(await ask(copy, 'DUMP', ordered)).toEqual(await ask(node, 'DUMP', ordered));
  });

  it('is counted, slot by slot, as it goes by', async () => {
    const counter = new RdbCounter({ checksum: true });
    const passed: Buffer[] = [];
    await pipeline(createReadStream(file, { highWaterMark: 777 }), counter, async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) passed.push(piece);
    });
    expect(counter.failure).toBeUndefined();
    expect(counter.keys).toBe(all.length);
    expect(counter.slotKeys.reduce((sum, [, count]) => sum + count, 0)).toBe(all.length);
    if (abilities.databases) return;
    const outcomes = await node.callAll(counter.slotKeys.map(([slot]) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]));
    expect(outcomes.map((outcome) => outcome.status === 'fulfilled' && outcome.value)).toEqual(
      counter.slotKeys.map(([, count]) => count),
    );
  });
});

describe.runIf(SERVERS.length === ALL.length)('a key that is marked with the oldest version of its type', () => {
  /** The newest version of the format that each takes from another: its own, and that of the last server before both. */
  const newest = { 'Redis 7.0': 10, 'Valkey 9': 11 };

  it.each([
    ['Redis 8', 'Redis 7.0'],
    ['Redis 8.6', 'Redis 7.0'],
    ['Valkey 9', 'Redis 7.0'],
    ['Redis 7.0', 'Valkey 9'],
    ['Redis 8', 'Valkey 9'],
    ['Redis 8.6', 'Valkey 9'],
  ] as const)('goes from %s to %s where that knows the type', async (from, to) => {
    const source = stands.get(from)?.source;
    const target = stands.get(to)?.copy.node;
    if (source === undefined || target === undefined) throw new Error('not started');
    const { keys } = await read(path.join(source.server.dir, 'dump.rdb'), { portable: true });
    const here = keys.filter(({ database }) => database === 0);
    await target.call('FLUSHALL');
    const outcomes = await target.callAll(
      here.map((key) => ['RESTORE', key.key, key.expireAtMs ?? 0, key.payload(), 'ABSTTL']),
    );
    const taken = here.filter((_, i) => outcomes[i].status === 'fulfilled');
    const known = here.filter(
      // What Redis 8 has as a module, others do not have.
      ({ version, metadata, key }) =>
        version <= newest[to] && metadata === undefined && !key.toString().startsWith('vector'),
    );
    expect(inOrder(taken.map(({ key }) => key))).toEqual(inOrder(known.map(({ key }) => key)));
    expect(taken.length).toBeGreaterThan(30);
    // Versions of servers write fractions in a digest with other digits.
    const fractions = 'large sorted';
    const look = async (node: NodeConnection) => {
      const others = taken.map(({ key }) => key).filter((key) => key.toString() !== fractions);
      const scores = (await node.call('ZRANGE', fractions, 0, -1, 'WITHSCORES')) as string[];
      return [
        await node.call('DEBUG', 'DIGEST-VALUE', ...others),
        scores.map((text, i) => (i % 2 ? Number(text) : text)),
      ];
    };
    expect(await look(target)).toEqual(await look(source.node));
  });
});

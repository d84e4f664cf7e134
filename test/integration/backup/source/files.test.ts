import { spawnSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseSource, ownIdOf } from '../../../../src/backup/source/files/choose.js';
import { unpackFiles } from '../../../../src/backup/source/files/unpack.js';
import { type FilesSource, readFiles } from '../../../../src/backup/source/files.js';
import { connectNode, type NodeConnection } from '../../../../src/cluster/node-connection.js';
import { ForgeError } from '../../../../src/errors.js';
import { poll, type RedisServer, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../../support/servers.js';

const WAIT_MS = 20_000;
/** As a field of a hash it is in each write, so that the append-only file grows fast. */
const FIELD = 'f'.repeat(1_000);
const PIPELINE = 50;
const WRITERS = 4;
const ALL_SLOTS = [0, 16_383] as const;

let scratch: string;
const running: RedisServer[] = [];
beforeAll(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), 'forge-files-'));
});
afterAll(async () => {
  await Promise.all(running.map((server) => server.stop()));
  await rm(scratch, { recursive: true, force: true });
});

const signal = () => new AbortController().signal;

/** A cluster of one node. */
async function startNode(executable: string, args: readonly string[]): Promise<RedisServer> {
  const server = await startRedis({ executable, cluster: true, args: ['--enable-debug-command', 'yes', ...args] });
  running.push(server);
  await server.call('CLUSTER', 'ADDSLOTSRANGE', ...ALL_SLOTS);
  await poll('it serves', WAIT_MS, async () => String(await server.call('CLUSTER', 'INFO')).includes('state:ok'));
  return server;
}

const take = async (server: RedisServer, directory = server.dir) =>
  readFiles(await server.connect(), { directory, signal: signal() });

let folders = 0;
async function unpackInto(from: FilesSource) {
  const directory = path.join(scratch, String(folders++));
  await mkdir(directory);
  const shard = await unpackFiles(from.stream, { directory, maxBytes: from.bytes, place: 'test', signal: signal() });
  return { directory, shard };
}

/** A server on what was unpacked; a piece of a command at the end would stop it. Without a cluster it serves at once. */
async function load(executable: string, { directory, shard }: Awaited<ReturnType<typeof unpackInto>>) {
  const append = shard.appendOnly === undefined ? [] : ['--appendonly', 'yes', '--aof-load-truncated', 'no'];
  const server = await startRedis({ executable, args: ['--dir', directory, ...append] });
  running.push(server);
  await poll('it has loaded', WAIT_MS, async () =>
    String(await server.call('INFO', 'persistence')).includes('\nloading:0'),
  );
  return server;
}

interface Load {
  /** Writes that were acknowledged so far. */
  readonly acknowledged: () => number;
  stop(): Promise<void>;
}

/** Writers that count one number up. */
async function startLoad(server: RedisServer): Promise<Load> {
  const connections = await Promise.all(Array.from({ length: WRITERS }, () => server.connect()));
  let acknowledged = 0;
  let over = false;
  const commands = Array.from({ length: PIPELINE }, () => ['HINCRBY', 'counter', FIELD, 1] as const);
  const write = async (connection: NodeConnection) => {
    while (!over) {
      const outcomes = await connection.callAll(commands);
      if (outcomes.some(({ status }) => status === 'rejected')) throw new Error('a write failed');
      acknowledged += outcomes.length;
    }
  };
  const work = Promise.all(connections.map(write));
  return {
    acknowledged: () => acknowledged,
    async stop() {
      over = true;
      await work.finally(() => {
        for (const connection of connections) connection.close();
      });
    },
  };
}

const offsetOf = async (server: RedisServer) =>
  Number(/master_repl_offset:(\d+)/.exec(String(await server.call('INFO', 'replication')))?.[1]);
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
/** The server tells them in another order each time. */
const settingsOf = async (server: RedisServer) => {
  const reply = (await server.call('CONFIG', 'GET', '*')) as string[];
  return reply.flatMap((name, index) => (index % 2 === 0 ? [`${name} ${reply[index + 1]}`] : [])).sort();
};
const filesOf = async (server: RedisServer) => (await readdir(server.dir, { recursive: true })).sort();

const SOURCES = [
  ['an append-only file that is rewritten all the time', ['--appendonly', 'yes', '--auto-aof-rewrite-min-size', '1mb']],
  ['a snapshot', []],
] as const;
const CASES = SOME_SERVERS.flatMap(([label, name]) => SOURCES.map(([source, args]) => ({ label, name, source, args })));

describe('files under writes', () => {
  let servers: RedisServer[];
  // A new cluster serves after two seconds: all of them together.
  beforeAll(async () => {
    servers = await Promise.all(CASES.map(({ name, args }) => startNode(executableOf(name), args)));
  }, FETCH_TIMEOUT_MS);

  it.each(CASES.map((each, index) => ({ ...each, index })))(
    'of $label: $source',
    async ({ label, name, args, index }) => {
      const server = servers[index] as RedisServer;
      const appending = args.length > 0;
      const id = await server.call('CLUSTER', 'MYID');
      const settings = await settingsOf(server);
      const zero = await offsetOf(server);
      const writes = await startLoad(server);
      const taken: { copy: Awaited<ReturnType<typeof unpackInto>>; least: number; most: number; offset: number }[] = [];
      try {
        await poll('there is something', WAIT_MS, () => writes.acknowledged() > 5_000);
        for (let round = 0; round < 2; round++) {
          const least = writes.acknowledged();
          const files = await take(server);
          // What was sent and not answered yet may have been carried out as well.
          const most = writes.acknowledged() + WRITERS * PIPELINE;
          expect(files.kind).toBe(appending ? 'append-only' : 'snapshot');
          taken.push({ copy: await unpackInto(files), least, most, offset: files.offset });
        }
      } finally {
        await writes.stop();
      }
      if (appending) {
        const info = String(await server.call('INFO', 'persistence'));
        expect(Number(/aof_rewrites:(\d+)/.exec(info)?.[1])).toBeGreaterThan(0);
      }
      expect(await settingsOf(server)).toEqual(settings);
      await server.stop();
      for (const { copy, least, most, offset } of taken) {
        const restored = await load(executableOf(name), copy);
        const counter = Number(await restored.call('HGET', 'counter', FIELD));
        expect(counter).toBeGreaterThanOrEqual(least);
        expect(counter).toBeLessThanOrEqual(most);
        // Without replicas, newer servers count what goes into their append-only file: the offset tells how many there are.
        if (appending && label !== CASES[0]?.label) expect(counter).toBe(offset - zero);
        expect(ownIdOf(await readFile(path.join(copy.directory, 'nodes.conf'), 'utf8'))).toBe(id);
        await restored.stop();
      }
    },
  );
});

describe('files', () => {
  const executable = 'redis-server';
  let server: RedisServer;
  let saving: RedisServer;
  let id: string;
  beforeAll(async () => {
    const names = ['--appenddirname', 'elsewhere', '--appendfilename', 'my.aof', '--cluster-config-file', 'own.conf'];
    [server, saving] = await Promise.all([
      startNode(executable, ['--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0', ...names]),
      startNode(executable, ['--dbfilename', 'own.rdb', '--rdb-key-save-delay', '500']),
    ]);
    id = String(await server.call('CLUSTER', 'MYID'));
  });
  /** No engine of this machine is asked. */
  const none = async () => [];
  const choose = async (more: Partial<Parameters<typeof chooseSource>[1]> = {}, from = server) => {
    const connection = await from.connect();
    return chooseSource(connection, { nodeId: id, wanted: 'auto', candidates: none, ...more }).finally(() =>
      connection.close(),
    );
  };

  it('of a server that began with nothing and calls them otherwise have plain names', async () => {
    await server.call('SET', 'a', '1');
    const files = await filesOf(server);
    const copy = await unpackInto(await take(server));
    expect((await readdir(copy.directory, { recursive: true })).sort()).toEqual([
      'appendonlydir',
      'appendonlydir/appendonly.aof.1.base.rdb',
      'appendonlydir/appendonly.aof.1.incr.aof',
      'appendonlydir/appendonly.aof.manifest',
      'nodes.conf',
    ]);
    expect(copy.shard).toMatchObject({
      appendOnly: { directory: 'appendonlydir', file: 'appendonly.aof' },
      nodes: true,
    });
    expect(await filesOf(server)).toEqual(files);
    const restored = await load(executable, copy);
    expect(await restored.call('GET', 'a')).toBe('1');
    await restored.stop();
  });

  it('are those of the instant, whatever comes after it', async () => {
    await server.call('SET', 'b', 'before');
    const files = await take(server);
    await server.call('SET', 'b', 'after');
    await server.call('BGREWRITEAOF');
    await poll('the old files are gone', WAIT_MS, async () => {
      const names = await readdir(path.join(server.dir, 'elsewhere'));
      return names.length === 3 && !names.some((name) => name.includes('.1.incr'));
    });
    const restored = await load(executable, await unpackInto(files));
    expect(await restored.call('GET', 'b')).toBe('before');
    await restored.stop();
  });

  it('are closed when nobody wants them, or somebody stops in the middle', async () => {
    const open = async () => (await readdir('/proc/self/fd')).length;
    const before = await open();
    const unread = await take(server);
    expect(await open()).toBeGreaterThan(before);
    await unread.dispose();
    await unread.dispose();
    const begun = await take(server);
    await begun.stream[Symbol.asyncIterator]().next();
    begun.stream.destroy();
    await poll('they are closed', WAIT_MS, async () => (await open()) <= before);
  });

  it('are an archive that tar reads', async () => {
    const archive = path.join(scratch, 'shard.tar');
    const files = await take(server);
    await pipeline(files.stream, createWriteStream(archive));
    expect((await stat(archive)).size).toBe(files.bytes);
    const { stdout } = spawnSync('tar', ['-tf', archive], { encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toContain('appendonlydir/appendonly.aof.manifest');
  });

  it('are chosen where they are the files of the node, and can be read', async () => {
    expect(await choose()).toEqual({
      kind: 'files',
      directory: server.dir,
      why: `its data directory ${server.dir} is on this host`,
    });
    expect(await choose({ wanted: 'network' })).toEqual({ kind: 'network', why: 'it was asked for' });
    const foreign = await choose({ nodeId: 'f'.repeat(40) });
    expect(foreign).toEqual({ kind: 'network', why: `${server.dir} is the data directory of another node` });
    const far = { ownAddresses: new Set<string>(['192.0.2.1']) };
    // Loopback is this host whatever its interfaces are; a volume that is mounted here has the node's id.
    expect((await choose(far)).kind).toBe('files');
    const connection = await server.connect();
    const away = Object.assign(Object.create(connection) as NodeConnection, { ip: '192.0.2.7' });
    const request = { nodeId: id, wanted: 'auto' as const, candidates: none };
    expect(await chooseSource(away, request)).toEqual({ kind: 'network', why: 'it is on another host (192.0.2.7)' });
    expect((await chooseSource(away, { ...request, candidates: async () => ['/nowhere', server.dir] })).directory).toBe(
      server.dir,
    );
    connection.close();
    const failure = await failureOf(choose({ directory: '/nowhere' }));
    expect([failure.kind, failure.message]).toEqual(['refused', expect.stringContaining('not to be seen from here')]);
  });

  it('are not taken from a copy of their directory, nor by a user who may not ask', async () => {
    const copy = path.join(scratch, 'copy');
    await cp(server.dir, copy, { recursive: true });
    await server.call('SET', 'c', 'later');
    const failure = await failureOf(take(server, copy));
    expect([failure.kind, failure.message]).toEqual(['refused', expect.stringContaining('by its own account')]);
    await server.call('ACL', 'SETUSER', 'reader', 'on', '>reading', '+info', '+ping');
    const { host, port } = server;
    const limited = await connectNode({ host, port, username: 'reader', password: 'reading' });
    expect(await chooseSource(limited, { nodeId: id, wanted: 'auto', candidates: none })).toEqual({
      kind: 'network',
      why: 'forge may not ask it for its settings',
    });
    expect((await failureOf(readFiles(limited, { directory: server.dir, signal: signal() }))).kind).toBe('denied');
    expect((await failureOf(take(server, path.join(scratch, 'none')))).kind).toBe('refused');
  });

  it('wait for a rewrite, for so long as told and no longer', async () => {
    await server.call('CONFIG', 'SET', 'rdb-key-save-delay', '1000000');
    await server.call('DEBUG', 'POPULATE', 10_000);
    await server.call('BGREWRITEAOF');
    const read = async (waitMs: number) =>
      readFiles(await server.connect(), { directory: server.dir, signal: signal(), waitMs });
    const failure = await failureOf(read(200));
    expect([failure.kind, failure.message]).toEqual(['timeout', expect.stringContaining('rewrites')]);
    const waiting = read(WAIT_MS);
    await server.call('CONFIG', 'SET', 'rdb-key-save-delay', '0');
    spawnSync('pkill', ['-KILL', '-P', String(server.pid)]);
    await (await waiting).dispose();
  });

  it('of a snapshot are asked for again when the server saves already', async () => {
    await saving.call('DEBUG', 'POPULATE', 1_000);
    await saving.call('BGSAVE');
    await saving.call('SET', 'late', 'yes');
    const restored = await load(executable, await unpackInto(await take(saving)));
    expect(await restored.call('GET', 'late')).toBe('yes');
    // A folder is nothing that a save could be renamed to.
    await rm(path.join(saving.dir, 'own.rdb'));
    await mkdir(path.join(saving.dir, 'own.rdb'));
    const failure = await failureOf(take(saving));
    expect([failure.kind, failure.message]).toEqual(['refused', expect.stringContaining('cannot save')]);
  });
});

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRdb } from '../../../src/backup/source/network.js';
import { type ConnectNodeOptions, connectNode } from '../../../src/cluster/node-connection.js';
import { ForgeError } from '../../../src/errors.js';
import { makeAuthority } from '../../support/certificates.js';
import { freePort } from '../../support/ports.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';

const WAIT_MS = 20_000;

let directory: string;
let cleanUp: (() => unknown)[];

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-rdb-'));
  cleanUp = [() => rm(directory, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
});

const signal = () => new AbortController().signal;
const start = async (options: Parameters<typeof startRedis>[0] = {}) => {
  // A server waits some seconds for further replicas that it could serve by the same fork.
  const args = ['--enable-debug-command', 'yes', '--repl-diskless-sync-delay', '0', ...(options.args ?? [])];
  const server = await startRedis({ ...options, args });
  cleanUp.push(server.stop);
  return server;
};
/** Reads a snapshot into a file. */
async function save(server: RedisServer, more: Partial<ConnectNodeOptions> = {}) {
  const connection = await connectNode({ host: server.host, port: server.port, ...more });
  const source = await readRdb(connection, { signal: signal() });
  const file = path.join(directory, `${server.port}.rdb`);
  await pipeline(source.stream, createWriteStream(file));
  return { source, file };
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

describe.each(SOME_SERVERS)('a snapshot over the network from %s', (_, name) => {
  it(
    'is what the server had, and another server of its kind loads it',
    async () => {
      const executable = executableOf(name);
      const server = await start({ executable });
      await server.call('DEBUG', 'POPULATE', 20_000, 'key', 100);
      await server.call('SET', 'mortal', 'x', 'PX', 10_000_000);
      await server.call('RPUSH', 'list', 'a', 'b');
      await server.call('FUNCTION', 'LOAD', '#!lua name=lib\nredis.register_function("one", function() return 1 end)');
      if (name !== 'installed') {
        await server.call('HSET', 'hash', 'mortal', 1, 'immortal', 2);
        await server.call('HPEXPIRE', 'hash', 10_000_000, 'FIELDS', 1, 'mortal');
      }
      const { source, file } = await save(server);
      expect(source.replicationId).toMatch(/^[0-9a-f]{40}$/);
      const info = String(await server.call('INFO', 'replication'));
      expect(info).toContain(`master_replid:${source.replicationId}`);
      expect(source.offset).toBeLessThanOrEqual(Number(/master_repl_offset:(\d+)/.exec(info)?.[1]));
      const folder = path.dirname(file);
      const copy = await start({ executable, args: ['--dir', folder, '--dbfilename', path.basename(file)] });
      expect(await copy.call('DBSIZE')).toBe(await server.call('DBSIZE'));
      expect(await copy.call('DEBUG', 'DIGEST')).toBe(await server.call('DEBUG', 'DIGEST'));
      expect(Number(await copy.call('PTTL', 'mortal'))).toBeGreaterThan(9_000_000);
      expect(await copy.call('FCALL', 'one', 0)).toBe(1);
      if (name !== 'installed') {
        const [ttl] = (await copy.call('HPTTL', 'hash', 'FIELDS', 1, 'mortal')) as number[];
        expect(ttl).toBeGreaterThan(9_000_000);
      }
      // It is no replica any more, and nothing was written to the server's disk.
      expect(await server.call('INFO', 'replication')).toContain('connected_slaves:0');
      expect(await server.call('INFO', 'persistence')).toContain('rdb_saves:0');
    },
    FETCH_TIMEOUT_MS,
  );
});

describe('a snapshot over the network', () => {
  it('comes over TLS, from a user who may do just that, and from a replica', async () => {
    const authority = await makeAuthority();
    cleanUp.push(authority.remove);
    const { certificate, key } = await authority.issue({ name: 'node', names: ['IP:127.0.0.1'] });
    const port = await freePort();
    const tls = ['--tls-port', String(port), '--tls-cert-file', certificate, '--tls-key-file', key];
    const user = ['--user', 'backup', 'on', '>taking', '+psync', '+replconf', '+ping', '-@all', '+psync', '+replconf'];
    const args = [...tls, '--tls-ca-cert-file', authority.ca, '--tls-auth-clients', 'no', ...user];
    const master = await start({ args });
    await master.call('SET', 'key', 'value');
    const login = { username: 'backup', password: 'taking' };
    const ca = await import('node:fs/promises').then(({ readFile }) => readFile(authority.ca));
    const { file } = await save(master, { ...login, port, tls: { ca } });
    expect(spawnSync('redis-check-rdb', [file], { encoding: 'utf8' }).stdout).toContain('Checksum OK');
    const replica = await start({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    await poll('it is synchronised', WAIT_MS, async () =>
      String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
    );
    const { source } = await save(replica);
    expect(await master.call('INFO', 'replication')).toContain(source.replicationId);
  });

  it('is refused in the words of the server', async () => {
    const server = await start({ args: ['--user', 'reader', 'on', '>reading', '+ping', '+auth', '~*'] });
    const login = { username: 'reader', password: 'reading' };
    expect((await failureOf(save(server, login))).kind).toBe('denied');
    const lonely = await start({ args: ['--replicaof', `127.0.0.1 ${await freePort()}`] });
    const failure = await failureOf(save(lonely));
    expect(failure.kind).toBe('refused');
    expect(failure.message).toContain('NOMASTERLINK');
  });

  it('fails where the server dies, hangs, or whoever reads it leaves', async () => {
    const server = await start();
    // As nothing of it can be compressed, it is larger than all that waits in sockets.
    await server.call('SET', 'large', randomBytes(48 * 1024 * 1024).toString('latin1'));
    const begin = async (silenceMs?: number) =>
      readRdb(await connectNode({ host: server.host, port: server.port }), { signal: signal(), silenceMs });
    const hung = await begin(1_000);
    process.kill(server.pid, 'SIGSTOP');
    try {
      // What the server's child has sent already arrives; the end of it does not.
      const children = spawnSync('pgrep', ['-P', String(server.pid)], { encoding: 'utf8' })
        .stdout.trim()
        .split('\n');
      for (const child of children) if (child !== '') process.kill(Number(child), 'SIGSTOP');
      expect((await failureOf(hung.stream.toArray())).kind).toBe('timeout');
      for (const child of children) if (child !== '') process.kill(Number(child), 'SIGCONT');
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    const left = await begin();
    left.stream.destroy();
    await poll('the server knows', WAIT_MS, async () =>
      String(await server.call('INFO', 'replication')).includes('connected_slaves:0'),
    );
    const controller = new AbortController();
    const connection = await connectNode({ host: server.host, port: server.port });
    const stopped = await readRdb(connection, { signal: controller.signal });
    controller.abort(new ForgeError('interrupted', 'Ctrl-C'));
    expect((await failureOf(stopped.stream.toArray())).kind).toBe('interrupted');
    const dying = await begin();
    process.kill(server.pid, 'SIGKILL');
    expect((await failureOf(dying.stream.toArray())).kind).toBe('unreachable');
  });

  it('waits for whoever reads it: nothing piles up here', async () => {
    const server = await start();
    await server.call('DEBUG', 'POPULATE', 100_000, 'key', 500);
    const { stream } = await readRdb(await connectNode({ host: server.host, port: server.port }), { signal: signal() });
    stream.once('readable', () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(stream.readableLength).toBeLessThan(1024 * 1024);
    const file = path.join(directory, 'slow.rdb');
    await pipeline(stream, createWriteStream(file));
    expect((await stat(file)).size).toBeGreaterThan(100_000 * 10);
    expect(spawnSync('redis-check-rdb', [file], { encoding: 'utf8' }).stdout).toContain('Checksum OK');
  });
});

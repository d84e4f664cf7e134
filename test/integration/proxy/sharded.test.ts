import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis, startServers } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const WAIT_MS = 10_000;

const cleanup: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function servers(count: number, args: string[] = []): Promise<RedisServer[]> {
  const started = await startServers(count, { args });
  cleanup.push(() => Promise.all(started.map((server) => server.stop())));
  return started;
}

async function proxyFor(cluster: Record<string, unknown>, workers = 1): Promise<RunningProxy> {
  const proxy = await startProxy({
    config: { workers, listeners: [{ cluster: 'main' }], clusters: [{ name: 'main', type: 'sharded', ...cluster }] },
  });
  cleanup.push(() => proxy.stop());
  return proxy;
}

async function clientOf(proxy: RunningProxy): Promise<RawClient> {
  const client = await RawClient.connect({ port: proxy.port });
  cleanup.push(() => client.close());
  return client;
}

const keys = Array.from({ length: 300 }, (_, i) => `key:${i}`);

/** Which server has each key. */
async function places(all: readonly RedisServer[]): Promise<Map<string, number>> {
  const where = new Map<string, number>();
  for (const [index, server] of all.entries()) {
    for (const key of (await server.call('KEYS', '*')) as string[]) {
      expect(where.has(key), `${key} is on two servers`).toBe(false);
      where.set(key, index);
    }
  }
  return where;
}

interface ClusterPage {
  hosts: { address: string; slots: number; hash_key: string; cx_active: number }[];
}

const hosts = async (proxy: RunningProxy) =>
  (JSON.parse((await proxy.page('/clusters?format=json')).body) as ClusterPage).hosts;

describe.each([
  ['MAGLEV', {}],
  ['RING_HASH', { ring_hash_lb_config: { minimum_ring_size: 4096 } }],
] as const)('three servers behind %s', (policy, settings) => {
  it('divides keys, serves what takes several, and refuses what would need servers to work together', async () => {
    const all = await servers(3);
    const proxy = await proxyFor({ lb_policy: policy, ...settings, endpoints: all.map(({ address }) => address) }, 2);
    const client = await clientOf(proxy);
    expect(await client.call('MSET', ...keys.flatMap((key, i) => [key, i]))).toBe('OK');
    const where = await places(all);
    expect(where.size).toBe(keys.length);
    for (const index of [0, 1, 2]) {
      expect([...where.values()].filter((each) => each === index).length).toBeGreaterThan(50);
    }
    expect(await client.call('MGET', ...keys, 'missing')).toEqual([...keys.map((_, i) => String(i)), null]);
    for (const key of keys.slice(0, 20)) expect(await client.call('GET', key)).toBe(key.slice(4));

    const apart = [keys.find((key) => where.get(key) === 0)!, keys.find((key) => where.get(key) === 1)!];
    const before = await proxy.stats('upstream_rq_total');
    for (const command of [
      ['MSETNX', apart[0]!, 'x', apart[1]!, 'y'],
      ['RENAME', ...apart],
      ['SUNIONSTORE', '{t}', ...apart],
      ['SORT', apart[0]!, 'STORE', apart[1]!],
    ]) {
      const reply = await client.ask(...command);
      expect(reply).toBeInstanceOf(ErrorReply);
      expect((reply as ErrorReply).message).toMatch(
        /^ERR '[a-z]+' needs its keys on one host; these keys are on different hosts/,
      );
    }
    expect(await proxy.stats('upstream_rq_total')).toEqual(before);
    // With one hash tag they are together.
    expect(await client.call('MSETNX', '{t}1', 'x', '{t}2', 'y')).toBe(1);
    expect(await client.call('RENAME', '{t}1', '{t}3')).toBe('OK');
    expect(await client.call('DEL', ...keys, '{t}2', '{t}3')).toBe(keys.length + 2);
    expect((await places(all)).size).toBe(0);
  });
});

describe('a server that is down', () => {
  it('fails its keys within op_timeout, and only those; they are there again when it is', async () => {
    const all = await servers(3);
    const proxy = await proxyFor({
      endpoints: all.map(({ address }) => address),
      settings: { op_timeout: '0.4s' },
      connect_timeout: '0.2s',
    });
    const client = await clientOf(proxy);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    const where = await places(all);
    const [down] = all as [RedisServer];
    await down.kill();
    for (let round = 0; round < 2; round++) {
      for (const server of [0, 1, 2]) {
        const key = keys.find((each) => where.get(each) === server)!;
        const started = performance.now();
        const reply = await client.ask('GET', key);
        if (server === 0) {
          expect((reply as ErrorReply).message).toMatch(/^(no upstream host|upstream failure)$/);
          expect(performance.now() - started).toBeLessThan(2000);
        } else expect(reply).toBe(key.slice(4));
      }
    }
    const again = await startRedis({ port: down.port });
    cleanup.push(() => again.stop());
    const key = keys.find((each) => where.get(each) === 0)!;
    await poll('the keys of the server that came back', WAIT_MS, async () => (await client.ask('GET', key)) === null);
  });
});

describe('what the servers are', () => {
  it('is said by HELLO, also when none of them was there at the start', async () => {
    const [server] = (await servers(1)) as [RedisServer];
    await server.kill();
    const proxy = await proxyFor({ endpoints: [server.address], connect_timeout: '0.2s' });
    const client = await clientOf(proxy);
    const version = async () => ((await client.call('HELLO')) as string[])[3];
    expect(await version()).toBe('7.0.0');
    const again = await startRedis({ port: server.port });
    cleanup.push(() => again.stop());
    const [, , , real] = (await again.call('HELLO')) as string[];
    expect(real).not.toBe('7.0.0');
    await poll('the version of the server', WAIT_MS, async () => (await version()) === real);
  });
});

describe('weights and names', () => {
  it('gives servers shares by weight, and hashes a name in place of an address', async () => {
    const all = await servers(2);
    const [heavy, light] = all as [RedisServer, RedisServer];
    const endpoints = [
      { address: heavy.address, load_balancing_weight: 3, hostname: 'one' },
      { address: light.address, load_balancing_weight: 1, hostname: 'two' },
    ];
    const proxy = await proxyFor({ endpoints });
    const entries = new Map((await hosts(proxy)).map((host) => [host.hash_key, host.slots]));
    expect(entries.get('one')! / (entries.get('one')! + entries.get('two')!)).toBeCloseTo(0.75, 2);

    const client = await clientOf(proxy);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    const before = await places(all);
    // The same names at each other's addresses: a key goes with the name.
    const swapped = await proxyFor({
      endpoints: [
        { ...endpoints[0], address: light.address },
        { ...endpoints[1], address: heavy.address },
      ],
    });
    const other = await clientOf(swapped);
    await heavy.call('FLUSHALL');
    await light.call('FLUSHALL');
    await other.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    const after = await places(all);
    expect(keys.every((key) => before.get(key) !== after.get(key))).toBe(true);
  });
});

describe('names that are looked up again', () => {
  /**
   * A proxy that sees a hosts file of its own: a user and mount namespace puts it in place of /etc/hosts, so that names
   * go the whole way through the system's resolver.
   */
  async function withHosts(lines: string, config: Record<string, unknown>) {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-hosts-'));
    cleanup.push(() => rm(dir, { recursive: true, force: true }));
    const file = path.join(dir, 'hosts');
    const program = path.join(dir, 'proxy.sh');
    await writeFile(file, lines);
    const inner = `mount --bind ${file} /etc/hosts && exec ${proxyExecutable()} "$@"`;
    await writeFile(program, `#!/bin/sh\nexec unshare -rm sh -c '${inner}' proxy "$@"\n`);
    await chmod(program, 0o755);
    const before = process.env['FORGE_PROXY_BIN'];
    process.env['FORGE_PROXY_BIN'] = program;
    try {
      // In place: the mount is of this very file.
      return { proxy: await proxyFor(config, 2), say: (text: string) => writeFile(file, text) };
    } finally {
      if (before === undefined) delete process.env['FORGE_PROXY_BIN'];
      else process.env['FORGE_PROXY_BIN'] = before;
    }
  }

  it('takes every address as a host, follows changes, and keeps the last answer when there is none', async () => {
    const [first] = await servers(1, ['--bind', '127.0.0.1']);
    const port = first!.port;
    const second = await startRedis({ host: '127.0.0.2', port });
    const third = await startRedis({ host: '127.0.0.3', port });
    cleanup.push(
      () => second.stop(),
      () => third.stop(),
    );
    const all = [first!, second, third];
    const one = '127.0.0.1 shards.test\n';
    const { proxy, say } = await withHosts(`${one}127.0.0.2 shards.test\n`, {
      discovery: 'STRICT_DNS',
      dns_refresh_rate: '0.1s',
      endpoints: [`shards.test:${port}`],
    });
    expect((await hosts(proxy)).map(({ address }) => address)).toEqual([`127.0.0.1:${port}`, `127.0.0.2:${port}`]);
    const client = await clientOf(proxy);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    const before = await places(all);
    expect(new Set(before.values())).toEqual(new Set([0, 1]));

    // Commands go on while a host is added; only keys that are the new host's move.
    let stop = false;
    const errors: unknown[] = [];
    const load = (async () => {
      const loader = await clientOf(proxy);
      for (let i = 0; !stop; i++) {
        const reply = await loader.ask('SET', `load:${i % 50}`, i);
        if (reply !== 'OK') errors.push(reply);
      }
    })();
    await say(`${one}127.0.0.2 shards.test\n127.0.0.3 shards.test\n`);
    await poll('the third host', WAIT_MS, async () => (await hosts(proxy)).length === 3);
    stop = true;
    await load;
    expect(errors).toEqual([]);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    const third_keys = (await third.call('KEYS', 'key:*')) as string[];
    expect(third_keys.length).toBeGreaterThan(keys.length / 5);
    expect(third_keys.length).toBeLessThan(keys.length / 2);

    // No answer: the hosts stay, and serve.
    await say('');
    await poll('a failed look-up', WAIT_MS, async () => /DNS of cluster main/.test(proxy.stderr()));
    expect(await hosts(proxy)).toHaveLength(3);
    expect(await client.call('GET', keys[0]!)).toBe('0');

    // A host that left is drained: its connection closes when nobody uses it.
    await say(one);
    await poll('one host', WAIT_MS, async () => (await hosts(proxy)).length === 1);
    await poll('the connections to the others are closed', WAIT_MS, async () => {
      const drained = await proxy.stats('upstream_cx_drained');
      // Of two hosts, in each worker.
      return Object.values(drained).reduce((sum, value) => sum + value, 0) === 4;
    });
    expect(await client.call('MSET', ...keys.flatMap((key, i) => [key, i]))).toBe('OK');
    expect(((await first!.call('KEYS', 'key:*')) as string[]).length).toBe(keys.length);
  });

  it('moves no key when the address of a host with a hostname changes', async () => {
    const all = await servers(2, ['--bind', '127.0.0.1', '127.0.0.2']);
    const [a, b] = all as [RedisServer, RedisServer];
    const { proxy, say } = await withHosts('127.0.0.1 a.test b.test\n', {
      discovery: 'STRICT_DNS',
      dns_refresh_rate: '0.1s',
      endpoints: [
        { address: `a.test:${a.port}`, hostname: 'a' },
        { address: `b.test:${b.port}`, hostname: 'b' },
      ],
    });
    const client = await clientOf(proxy);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    await say('127.0.0.2 a.test b.test\n');
    await poll('the new addresses', WAIT_MS, async () =>
      (await hosts(proxy)).every(({ address }) => address.startsWith('127.0.0.2:')),
    );
    expect(await client.call('MGET', ...keys)).toEqual(keys.map((_, i) => String(i)));
  });

  it('says what is wrong, and serves nothing, while a name has never been found', async () => {
    const [server] = await servers(1);
    const config = {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          type: 'sharded',
          discovery: 'STRICT_DNS',
          endpoints: [server!.address, 'no-such-name.invalid:6379'],
          settings: { op_timeout: '0.3s' },
        },
      ],
    };
    const proxy = await startProxy({ config, until: 'listening' });
    cleanup.push(() => proxy.stop());
    await poll('the reason', WAIT_MS, () => proxy.stderr().includes('no-such-name.invalid'));
    expect((await proxy.page('/ready')).body).toBe('PRE_INITIALIZING\n');
    const client = await clientOf(proxy);
    expect(((await client.ask('GET', 'a')) as ErrorReply).message).toBe('no upstream host');
    expect(((await client.ask('MGET', 'a', 'b')) as ErrorReply).message).toBe('no upstream host');
    expect(await readFile('/etc/hosts', 'utf8')).not.toContain('no-such-name');
  });
});

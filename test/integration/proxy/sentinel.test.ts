import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis, startServers } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const WAIT_MS = 20_000;
const FAILOVER_MS = 60_000;
const NAMES = ['alpha', 'beta'];
const PASSWORD = 'sentinel-secret';

/** A real Sentinel that watches masters by these names. */
class Sentinel {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly dir: string,
  ) {}

  static async start(masters: readonly RedisServer[]): Promise<Sentinel> {
    const port = await freePort();
    const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-sentinel-'));
    const lines = [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, `requirepass ${PASSWORD}`];
    lines.push(`sentinel sentinel-pass ${PASSWORD}`);
    masters.forEach((master, i) => {
      const name = NAMES[i];
      lines.push(`sentinel monitor ${name} 127.0.0.1 ${master.port} 2`);
      lines.push(`sentinel down-after-milliseconds ${name} 500`, `sentinel failover-timeout ${name} 3000`);
    });
    const file = path.join(dir, 'sentinel.conf');
    await writeFile(file, `${lines.join('\n')}\n`);
    const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore', cwd: dir });
    const sentinel = new Sentinel(port, child, dir);
    await poll(`the Sentinel on port ${port} answers`, WAIT_MS, async () =>
      sentinel.call('PING').then(
        (answer) => answer === 'PONG',
        () => false,
      ),
    );
    return sentinel;
  }

  async call(command: string, ...args: string[]): Promise<unknown> {
    const connection = await connectNode({ host: '127.0.0.1', port: this.port, password: PASSWORD });
    try {
      return await connection.call(command, ...args);
    } finally {
      connection.close();
    }
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await poll('the Sentinel ends', WAIT_MS, () => this.child.exitCode !== null || this.child.signalCode !== null);
    await rm(this.dir, { recursive: true, force: true });
  }
}

let masters: RedisServer[];
let replicas: RedisServer[];
let sentinels: Sentinel[];
let proxy: RunningProxy;
let client: RawClient;

beforeAll(async () => {
  masters = await startServers(2);
  replicas = await startServers(2);
  await Promise.all(
    replicas.map(async (replica, i) => {
      await replica.call('REPLICAOF', '127.0.0.1', masters[i]!.port);
      await poll('the replica is linked', WAIT_MS, async () =>
        String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
      );
    }),
  );
  sentinels = await Promise.all([1, 2, 3].map(() => Sentinel.start(masters)));
  await poll('the Sentinels know each other and the replicas', WAIT_MS, async () => {
    for (const sentinel of sentinels) {
      for (const name of NAMES) {
        const fields = (await sentinel.call('SENTINEL', 'MASTER', name)) as string[];
        if (fields[fields.indexOf('num-other-sentinels') + 1] !== '2') return false;
        if (fields[fields.indexOf('num-slaves') + 1] !== '1') return false;
      }
    }
    return true;
  });
  proxy = await startProxy({
    env: { SENTINEL_PASSWORD: PASSWORD },
    config: {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          type: 'sharded',
          discovery: 'SENTINEL',
          sentinel: {
            // One is enough: the others are learned from it.
            endpoints: [`127.0.0.1:${sentinels[0]!.port}`],
            masters: NAMES,
            auth_password: { environment: 'SENTINEL_PASSWORD' },
          },
          settings: { read_policy: 'PREFER_REPLICA', op_timeout: '10s' },
          cluster_refresh_rate: '60s',
        },
      ],
    },
  });
  client = await RawClient.connect({ port: proxy.port });
});

afterAll(async () => {
  client?.close();
  await proxy?.stop();
  await Promise.all([...(sentinels ?? []), ...(masters ?? []), ...(replicas ?? [])].map((each) => each.stop()));
});

const keys = Array.from({ length: 100 }, (_, i) => `key:${i}`);

interface ClusterPage {
  hosts: { address: string; role: string; hash_key?: string }[];
}

const masterOf = async (name: string) =>
  (JSON.parse((await proxy.page('/clusters?format=json')).body) as ClusterPage).hosts.find(
    (host) => host.hash_key === name,
  )?.address;

const getsOf = async (server: RedisServer) =>
  Number(/cmdstat_get:calls=(\d+)/.exec(String(await server.call('INFO', 'commandstats')))?.[1] ?? 0);

describe('masters found through Sentinel', () => {
  it('serves them by their names, and reads from their replicas where the policy says so', async () => {
    expect(await masterOf('alpha')).toBe(masters[0]!.address);
    expect(await client.call('MSET', ...keys.flatMap((key, i) => [key, i]))).toBe('OK');
    for (const master of masters) expect(Number(await master.call('DBSIZE'))).toBeGreaterThan(25);
    // The replicas apply what their masters did a moment later.
    for (const [i, replica] of replicas.entries()) {
      await poll(
        'the replica has it',
        WAIT_MS,
        async () => (await replica.call('DBSIZE')) === (await masters[i]!.call('DBSIZE')),
      );
    }
    await poll('reads go to replicas', WAIT_MS, async () => {
      for (const key of keys.slice(0, 10)) await client.call('GET', key);
      return (await getsOf(replicas[0]!)) > 0 && (await getsOf(replicas[1]!)) > 0;
    });
    const before = (await getsOf(masters[0]!)) + (await getsOf(masters[1]!));
    for (const [i, key] of keys.entries()) expect(await client.call('GET', key)).toBe(String(i));
    expect((await getsOf(masters[0]!)) + (await getsOf(masters[1]!))).toBe(before);
    expect(await client.call('MGET', ...keys)).toEqual(keys.map((_, i) => String(i)));
  });

  it('follows a failover that Sentinel was asked for: no key moves, and no write fails whose outcome is known', async () => {
    const errors: string[] = [];
    let stop = false;
    const load = (async () => {
      const loader = await RawClient.connect({ port: proxy.port });
      for (let i = 0; !stop; i++) {
        const reply = await loader.ask('SET', keys[i % keys.length]!, 'load');
        if (reply instanceof ErrorReply && reply.message !== 'upstream failure') errors.push(reply.message);
      }
      loader.close();
    })();
    await sentinels[1]!.call('SENTINEL', 'FAILOVER', 'alpha');
    await poll('the proxy follows', WAIT_MS, async () => (await masterOf('alpha')) === replicas[0]!.address);
    await poll('writes reach the new master', WAIT_MS, async () => {
      for (const key of keys) await client.ask('SET', key, 'after');
      return (await replicas[0]!.call('DBSIZE')) !== 0;
    });
    stop = true;
    await load;
    expect(errors).toEqual([]);
    const mine = (await replicas[0]!.call('KEYS', 'key:*')) as string[];
    for (const key of mine) await client.call('SET', key, 'new');
    expect(await replicas[0]!.call('GET', mine[0]!)).toBe('new');
    expect(proxy.stderr()).toContain('Sentinel made another server the master');
  });

  it('follows a failover after the master died, within op_timeout', async () => {
    const name = 'beta';
    const mine = (await masters[1]!.call('KEYS', 'key:*')) as string[];
    await client.call('MSET', ...mine.flatMap((key) => [key, 'kept']));
    await poll('the replica has it', WAIT_MS, async () => (await replicas[1]!.call('GET', mine[0]!)) === 'kept');
    await masters[1]!.kill();
    const started = performance.now();
    // A write that finds no connection waits for the new master; its outcome is known.
    const reply = await client.ask('SET', mine[0]!, 'written after the death');
    expect(reply).toBe('OK');
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(await masterOf(name)).toBe(replicas[1]!.address);
    expect(await replicas[1]!.call('GET', mine[0]!)).toBe('written after the death');
    for (const key of mine.slice(1)) expect(await client.call('GET', key)).toBe('kept');
  });

  it('goes on with the Sentinels that are left, and without any', async () => {
    await sentinels[0]!.stop();
    const back = await startRedis({ port: masters[1]!.port });
    masters[1] = back;
    // Sentinels would make a replica of it in their own time; here they need only find one.
    const [host, port] = (await masterOf('beta'))!.split(':') as [string, string];
    await back.call('REPLICAOF', host, port);
    await poll('it is in sync', WAIT_MS, async () =>
      String(await back.call('INFO', 'replication')).includes('master_link_status:up'),
    );
    // They refuse while they do not know the replica, and give up when it seems to be away for a moment.
    await poll('a failover by two, which the proxy follows', FAILOVER_MS, async () => {
      await sentinels[1]!.call('SENTINEL', 'FAILOVER', 'beta').catch(() => {});
      return (await masterOf('beta')) === back.address;
    });
    await Promise.all(sentinels.slice(1).map((sentinel) => sentinel.stop()));
    for (const key of keys) expect(await client.ask('SET', key, 'no sentinel')).toBe('OK');
  }, 150_000);
});

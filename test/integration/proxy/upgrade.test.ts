/** A new process takes over: under load of several client libraries, with clients that block, subscribe and rest. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClientPool } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { controlPath } from '../../../src/proxy/config/control-path.js';
import { startDetached } from '../../../src/proxy/control/detached.js';
import { inspectProxy, stopProxy } from '../../../src/proxy/control/instance.js';
import { reloadProxy } from '../../../src/proxy/control/reload.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { plainEnvironment } from '../../../src/runtime/redis-server.js';
import { freePort } from '../../support/ports.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

let cluster: RedisCluster;
let directory: string;
let pidFile: string;
let proxy: RunningProxy | undefined;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
});

afterAll(async () => {
  await cluster?.stop();
});

beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-upgrade-'));
  pidFile = path.join(directory, 'proxy.pid');
});

afterEach(async () => {
  await stopProxy(pidFile).catch(() => undefined);
  await proxy?.stop();
  proxy = undefined;
  await rm(directory, { recursive: true, force: true });
});

const start = async (workers = 2) => {
  proxy = await startProxy({
    cluster: cluster.nodes.map(({ address }) => address).join(','),
    workers,
    args: ['--pid-file', pidFile],
  });
  return proxy;
};
const upgrade = (changes: object = {}) => upgradeProxy({ pidFile, drainS: 2, shutdownS: 4, ...changes });

/** Sockets that listen on a port. */
const listeners = async (port: number) => {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n').map((line) => line.trim().split(/\s+/));
  return lines.filter(([, local, , state]) => local?.endsWith(ending) && state === '0A').length;
};

/** Its output stays open, which its successor has as well. */
const ends = (pid: number) =>
  poll('the old process has ended', 15_000, async () => (await identifyProcess(pid)) === undefined);

/** Sets and reads values that nobody else has, with pauses of up to `pauseMs`; counts what is not as it should be. */
function writer(name: string, command: (...words: string[]) => Promise<unknown>, pauseMs: () => number) {
  const seen = { rounds: 0, wrong: [] as string[], errors: [] as string[] };
  let running = true;
  const done = (async () => {
    for (let round = 0; running; round++) {
      const key = `${name}:${round % 50}`;
      const value = `${name}/${round}`;
      try {
        const set = await command('SET', key, value);
        const got = await command('GET', key);
        if (set !== 'OK' || String(got) !== value) seen.wrong.push(`${value}: ${set} ${got}`);
      } catch (error) {
        seen.errors.push(`${value}: ${(error as Error).message}`);
      }
      seen.rounds++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs()));
    }
    return seen;
  })();
  return {
    stop: () => {
      running = false;
      return done;
    },
  };
}

describe('forge proxy upgrade', () => {
  it('loses no reply of clients with pools, and refuses no connection', async () => {
    const { port } = await start();
    const ioredis = Array.from({ length: 8 }, () => new Redis({ port, lazyConnect: false }));
    const pools = Array.from({ length: 4 }, () => createClientPool({ socket: { port } }, { minimum: 2, maximum: 4 }));
    for (const pool of pools) pool.on('error', () => {});
    await Promise.all(pools.map((pool) => pool.connect()));
    // Some are always busy, some rest for longer than it takes to be let go.
    const writers = [
      ...ioredis.map((client, i) =>
        writer(
          `io${i}`,
          (...words) => client.call(...(words as [string])),
          () => (i % 2 === 0 ? 1 : 150 + 200 * Math.random()),
        ),
      ),
      ...pools.map((pool, i) =>
        writer(
          `node${i}`,
          (...words) => pool.sendCommand(words),
          () => (i % 2 === 0 ? 5 : 150 + 200 * Math.random()),
        ),
      ),
    ];
    let connecting = true;
    let connections = 0;
    const refused: string[] = [];
    const connector = Array.from({ length: 4 }, async () => {
      while (connecting) {
        try {
          const client = await RawClient.connect({ port });
          if ((await client.call('PING')) !== 'PONG') refused.push('no PONG');
          client.close();
          connections++;
        } catch (error) {
          refused.push((error as Error).message);
        }
      }
    });
    const first = (proxy as RunningProxy).pid;
    const one = await upgrade();
    expect(one.old).toBe(first);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const two = await upgrade();
    expect(two.old).toBe(one.pid);
    await ends(first);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    connecting = false;
    await Promise.all(connector);
    const seen = await Promise.all(writers.map((each) => each.stop()));
    for (const client of ioredis) client.disconnect();
    for (const pool of pools) pool.destroy();
    expect(refused).toEqual([]);
    expect(connections).toBeGreaterThan(500);
    expect(seen.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(seen.flatMap(({ errors }) => errors)).toEqual([]);
    expect(Math.min(...seen.map(({ rounds }) => rounds))).toBeGreaterThan(5);
    expect((await inspectProxy(pidFile)).pid).toBe(two.pid);
  });

  it('is not noticed by clients that never pause: none is closed, no reply is wrong or missing', async () => {
    const { port, pid } = await start();
    const CLIENTS = 100;
    let running = true;
    let rounds = 0;
    const closed: string[] = [];
    const busy = Array.from({ length: CLIENTS }, async (_, i) => {
      const client = await RawClient.connect({ port });
      try {
        // Some with one command at a time, some with a pipeline.
        for (let round = 0; running; round++, rounds++) {
          const key = `busy:${i}`;
          if (i % 2 === 0) expect(await client.call('INCR', key)).toBe(round + 1);
          else {
            const commands = Array.from({ length: 16 }, (__, j) => ['APPEND', key, String(j % 10)]);
            expect(await client.pipeline(commands)).toEqual(commands.map((___, j) => round * 16 + j + 1));
          }
        }
      } catch (error) {
        closed.push((error as Error).message);
      }
      client.close();
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await upgrade();
    // Nobody of them is waited for.
    await ends(pid);
    const before = rounds;
    await poll('they go on with the new process', 5000, () => rounds > before + 10 * CLIENTS);
    running = false;
    await Promise.all(busy);
    expect(closed).toEqual([]);
    const stats = await (proxy as RunningProxy).stats('taken_over');
    expect(stats['redis.egress_redis.downstream_cx_taken_over_total']).toBeGreaterThanOrEqual(CLIENTS);
  });

  it('is not noticed by clients that block nearly all the time: none is closed, no element is lost', async () => {
    const { port, pid } = await start();
    const QUEUES = 12;
    const ELEMENTS = 250;
    const GONE_MS = 1_500;
    const closed: string[] = [];
    const consumers = Array.from({ length: QUEUES }, async (_, i) => {
      const client = await RawClient.connect({ port });
      const taken: string[] = [];
      try {
        // It asks for the next one at once: its connection is never at rest.
        while (taken.length < ELEMENTS) {
          const [, element] = (await client.call('BLPOP', `queue:${i}`, '0')) as [string, string];
          taken.push(element);
        }
      } catch (error) {
        closed.push(`${i} after ${taken.length}: ${(error as Error).message}`);
      }
      client.close();
      return taken;
    });
    const producer = await RawClient.connect({ port });
    const produce = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        for (let i = 0; i < QUEUES; i++) {
          await producer.call('RPUSH', `queue:${i}`, `${n}`);
          await sleep(1);
        }
      }
    };
    await produce(0, 20);
    const producing = produce(20, ELEMENTS);
    await upgrade({ drainS: 20, shutdownS: 30 });
    // With the next element of each: nobody of them is let go, and it is not by chance that they are found at rest.
    const upgradedMs = performance.now();
    await ends(pid);
    expect(performance.now() - upgradedMs).toBeLessThan(GONE_MS);
    await producing;
    const all = Array.from({ length: ELEMENTS }, (_, n) => `${n}`);
    expect(await Promise.all(consumers)).toEqual(Array.from({ length: QUEUES }, () => all));
    expect(closed).toEqual([]);
    producer.close();
    const stats = await (proxy as RunningProxy).stats('taken_over');
    expect(stats['redis.egress_redis.downstream_cx_taken_over_total']).toBe(QUEUES + 1);
  });

  it('brings what clients have said of themselves, and what they have begun to say', async () => {
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    const user = (name: string) => ({ name, passwords: [{ sha256: sha256(name) }], rules: '~* &* +@all' });
    const config = (names: string[]) => ({
      workers: 2,
      listeners: [{ cluster: 'main', users: names.map(user) }],
      clusters: [{ name: 'main', endpoints: cluster.nodes.map(({ address }) => address) }],
    });
    proxy = await startProxy({ config: config(['app', 'gone']), args: ['--pid-file', pidFile] });
    const running = proxy;
    const { port } = running;
    const connect = () => RawClient.connect({ port });
    const [app, gone, nobody, transaction] = (await Promise.all([connect(), connect(), connect(), connect()])) as [
      RawClient,
      RawClient,
      RawClient,
      RawClient,
    ];
    await app.call('HELLO', '3', 'AUTH', 'app', 'app', 'SETNAME', 'tester');
    await app.call('CLIENT', 'SETINFO', 'LIB-NAME', 'lib');
    await gone.call('AUTH', 'gone', 'gone');
    await transaction.call('AUTH', 'app', 'app');
    await transaction.call('MULTI');
    await transaction.call('SET', '{t}1', 'x');
    // The rest of it comes when the new process has the connection.
    app.socket.write('*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$7\r\nhal');
    await running.configure(config(['app']));
    await upgrade({ drainS: 2, shutdownS: 3 });
    const info = async () => (await running.stats('taken_over'))['redis.egress_redis.downstream_cx_taken_over_total'];
    await poll('three are passed on', 5000, async () => (await info()) === 3);
    await gone.untilClosed();
    app.socket.write('fway\r\n*2\r\n$3\r\nGET\r\n$4\r\nhalf\r\n');
    expect((await app.raw(2)).map(String)).toEqual(['+OK\r\n', '$7\r\nhalfway\r\n']);
    const said = String(await app.call('CLIENT', 'INFO'));
    expect(said).toMatch(/name=tester .*user=app .*lib-name=lib .*resp=3|name=tester .*resp=3/);
    expect(await nobody.call('GET', 'half').catch((error: Error) => error.message)).toMatch(/NOAUTH/);
    // A transaction is the old process's to finish.
    expect(await transaction.call('EXEC')).toEqual(['OK']);
    await ends(running.pid);
    for (const client of [app, gone, nobody, transaction]) client.close();
  });

  it('passes subscribers on, gives blocked clients their time, and then what a wait gets that has found nothing', async () => {
    const { port } = await start(1);
    const [resting, subscriber, blocked, late] = (await Promise.all(
      Array.from({ length: 4 }, () => RawClient.connect({ port })),
    )) as [RawClient, RawClient, RawClient, RawClient];
    await resting.call('PING');
    await subscriber.call('SUBSCRIBE', 'news');
    const nothing = blocked.ask('BLPOP', 'nothing', '0');
    const something = late.ask('BLPOP', 'something', '0');
    await upgrade({ drainS: 2, shutdownS: 3 });
    // Who rests or listens goes on with the new process. The old one still serves those who wait there.
    const fresh = await RawClient.connect({ port });
    await fresh.call('PUBLISH', 'news', 'hello');
    await fresh.call('RPUSH', 'something', 'x');
    expect(String((await subscriber.raw(1))[0])).toContain('hello');
    expect(await something).toEqual(['something', 'x']);
    expect(await nothing).toBeNull();
    await ends((proxy as RunningProxy).pid);
    await fresh.call('PUBLISH', 'news', 'hello again');
    expect(String((await subscriber.raw(1))[0])).toContain('hello again');
    for (const client of [resting, blocked, late]) expect(await client.call('PING')).toBe('PONG');
    for (const client of [resting, subscriber, blocked, late, fresh]) client.close();
  });

  it('brings what a reload may not change, on every address; a reload that is refused says why', async () => {
    const socket = path.join(directory, 'redis.sock');
    const port = await freePort();
    const config = (workers: number) => ({
      workers,
      listeners: [
        { cluster: 'main', additional_addresses: [{ address: `unix:${socket}` }, { address: `127.0.0.2:${port}` }] },
      ],
      clusters: [{ name: 'main', endpoints: [cluster.nodes[0]!.address] }],
    });
    proxy = await startProxy({ port, config: config(1), args: ['--pid-file', pidFile] });
    await proxy.configure('workers: many');
    await expect(reloadProxy({ pidFile, dryRun: false })).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/proxy\.yaml:1:10: workers: /),
    });
    await expect(upgrade()).rejects.toMatchObject({ kind: 'refused' });
    await proxy.configure(config(2));
    expect((await reloadProxy({ pidFile, dryRun: false })).restart).toEqual(['workers: 1 → 2']);
    const overPath = new Redis({ path: socket });
    expect(await overPath.set('over', 'a path')).toBe('OK');
    const old = proxy.pid;
    await upgrade();
    await ends(old);
    expect((await proxy.stats('server.concurrency'))['server.concurrency']).toBe(2);
    expect(await overPath.get('over')).toBe('a path');
    overPath.disconnect();
    const second = await RawClient.connect({ host: '127.0.0.2', port });
    expect(await second.call('GET', 'over')).toBe('a path');
    second.close();
    expect(proxy.stderr()).not.toContain('cannot be steered');
    const fresh = new Redis({ path: socket });
    expect(await fresh.get('over')).toBe('a path');
    fresh.disconnect();
  });

  it('brings a configuration that came while the new process took over', async () => {
    const config = (most: number) => ({
      workers: 1,
      listeners: [{ cluster: 'main', limits: { max_connections: most } }],
      clusters: [{ name: 'main', endpoints: cluster.nodes.map(({ address }) => address) }],
    });
    proxy = await startProxy({ config: config(1000), args: ['--pid-file', pidFile] });
    const running = proxy;
    const old = running.pid;
    const upgraded = upgrade();
    // It has read the configuration, and gives connections half a second to arrive.
    await poll('the new process listens', 10_000, async () => (await listeners(running.port)) === 2);
    await running.configure(config(1001));
    process.kill(old, 'SIGHUP');
    await upgraded;
    await ends(old);
    expect((await running.page('/config_dump')).body).toContain('1001');
  });

  it('leaves the old one alone when the new one does not get ready', async () => {
    const { port, pid } = await start(1);
    await expect(upgrade({ binary: '/bin/false' })).rejects.toMatchObject({ kind: 'refused' });
    const client = await RawClient.connect({ port });
    expect(await client.call('PING')).toBe('PONG');
    client.close();
    expect((await inspectProxy(pidFile)).pid).toBe(pid);
    expect(await reloadProxy({ pidFile, dryRun: false })).toMatchObject({ outcome: 'unchanged' });
  });

  it('says so when there is none', async () => {
    await expect(upgrade()).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(reloadProxy({ pidFile, dryRun: false })).rejects.toMatchObject({ kind: 'unreachable' });
  });

  it('waits for a proxy that was started just now, and has clients before it has its control socket', async () => {
    await start(1);
    const socket = controlPath(pidFile);
    await rename(socket, `${socket}.later`);
    const [reloaded] = await Promise.all([
      reloadProxy({ pidFile, dryRun: false }),
      sleep(300).then(() => rename(`${socket}.later`, socket)),
    ]);
    expect(reloaded.outcome).toBe('unchanged');
  });

  it('brings a supervised proxy a new supervisor, which restarts the new process', async () => {
    const [port, adminPort] = [await freePort(), await freePort()];
    const first = await startDetached({
      cluster: [cluster.nodes[0]!.address],
      listen: `127.0.0.1:${port}`,
      admin: `127.0.0.1:${adminPort}`,
      workers: 1,
      pidFile,
      logFile: path.join(directory, 'log'),
      env: plainEnvironment(),
    });
    await expect(upgrade({ binary: '/bin/false' })).rejects.toMatchObject({ kind: 'unexpected' });
    expect(await inspectProxy(pidFile)).toMatchObject({ phase: 'running', pid: first.pid, supervised: true });
    const { pid } = await upgrade();
    expect(await inspectProxy(pidFile)).toMatchObject({ phase: 'running', pid, supervised: true, restarts: 0 });
    process.kill(pid, 'SIGKILL');
    await poll('it is restarted', 10_000, async () => {
      const state = await inspectProxy(pidFile);
      return state.phase === 'running' && state.pid !== pid && state.restarts === 1;
    });
    await poll('it serves', 10_000, async () => {
      const client = await RawClient.connect({ port }).catch(() => null);
      const reply = await client?.ask('PING').catch(() => null);
      client?.close();
      return reply === 'PONG';
    });
    const again = await upgrade();
    expect((await inspectProxy(pidFile)).pid).toBe(again.pid);
    // One record, and a name that leads to it.
    expect((await readdir(directory)).filter((name) => name.endsWith('.run'))).toHaveLength(2);
    expect(await stopProxy(pidFile)).toBe('ended');
    expect((await inspectProxy(pidFile)).phase).toBe('stopped');
  });
});

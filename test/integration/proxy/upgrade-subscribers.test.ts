/** A new process takes over from one whose clients listen: none loses its connection, or a message, or hears one twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stopProxy } from '../../../src/proxy/control/instance.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { identifyProcess } from '../../../src/runtime/process/identity.js';
import { proxyExecutable, type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const STILL_MS = 1_500;
const TAKEN_OVER = 'redis.egress_redis.downstream_cx_taken_over_total';

let cluster: RedisCluster;
let directory: string;
let pidFile: string;
let proxy: RunningProxy;

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
/** Nobody is let go because of the time. */
const upgrade = () => upgradeProxy({ pidFile, drainS: 30, shutdownS: 60 });
const ends = (pid: number) =>
  poll('the old process has ended', 10_000, async () => (await identifyProcess(pid)) === undefined);

/** What one client has heard: of each publisher and channel, the numbers in their order. */
class Heard {
  readonly numbers = new Map<string, number[]>();
  closed = 0;

  take(channel: string, message: string): void {
    const [publisher, number] = message.split(':') as [string, string];
    const key = `${channel} ${publisher}`;
    const numbers = this.numbers.get(key) ?? [];
    numbers.push(Number(number));
    this.numbers.set(key, numbers);
  }

  /** What is not as it should be. @param lasts the last number of each publisher */
  faults(lasts: ReadonlyMap<string, number>): string[] {
    const faults = this.closed > 0 ? [`closed ${this.closed} times`] : [];
    for (const [key, numbers] of this.numbers) {
      const first = numbers[0] as number;
      const last = lasts.get(key.split(' ').at(-1) as string) as number;
      const wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i);
      if (numbers.join() === wanted.join()) continue;
      const missed = wanted.filter((each) => !numbers.includes(each));
      const again = numbers.filter((each, i) => numbers.indexOf(each) !== i);
      faults.push(`${key}: missed ${missed.join()}; again ${again.join()}; ${numbers.length} of ${wanted.length}`);
    }
    return faults;
  }
}

const CHANNELS = ['news', 'sport', 'weather{a}', 'local{b}'];
const PATTERN = '*s*';
const SHARD = 'shard{b}';

async function listenWithIoredis(port: number): Promise<{ heard: Heard; stop: () => void; client: Redis }> {
  const client = new Redis({ port, retryStrategy: () => null });
  const heard = new Heard();
  client.on('close', () => heard.closed++);
  client.on('message', (channel: string, message: string) => heard.take(channel, message));
  client.on('pmessage', (pattern: string, channel: string, message: string) =>
    heard.take(`${pattern} ${channel}`, message),
  );
  client.on('smessage', (channel: string, message: string) => heard.take(`shard ${channel}`, message));
  await client.subscribe(...CHANNELS);
  await client.psubscribe(PATTERN);
  await client.ssubscribe(SHARD);
  return { heard, client, stop: () => client.disconnect() };
}

async function listenWithResp3(port: number): Promise<{ heard: Heard; stop: () => void; ask(): Promise<unknown> }> {
  const client = createClient({ socket: { port, reconnectStrategy: false }, RESP: 3 });
  const heard = new Heard();
  client.on('error', () => heard.closed++);
  client.on('end', () => heard.closed++);
  await client.connect();
  for (const channel of CHANNELS) await client.subscribe(channel, (message) => heard.take(channel, message));
  return { heard, stop: () => client.destroy(), ask: () => client.ping() };
}

/** Publishes numbers to all channels, until it is stopped, which tells the last number. */
function publish(name: string, command: (...words: string[]) => Promise<unknown>, pauseMs: number) {
  let running = true;
  const done = (async () => {
    let number = 0;
    for (; running; number++) {
      // One after the other: what is published by one has an order. The shard channel is at one node only.
      for (const channel of CHANNELS) await command('PUBLISH', channel, `${name}:${number}`);
      await command('SPUBLISH', SHARD, `${name}:${number}`).catch(() => undefined);
      await sleep(pauseMs);
    }
    return number - 1;
  })();
  const stop = () => {
    running = false;
    return done;
  };
  return { name, stop };
}

describe('subscribers', () => {
  /** Listeners of two libraries, and publishers at the nodes and through the proxy. */
  const listenAndPublish = async (port: number) => {
    const listeners = await Promise.all([
      ...Array.from({ length: 12 }, () => listenWithIoredis(port)),
      ...Array.from({ length: 6 }, () => listenWithResp3(port)),
    ]);
    const through = await Promise.all(Array.from({ length: 2 }, () => RawClient.connect({ port })));
    const direct = await Promise.all(cluster.nodes.map((node) => RawClient.connect({ port: node.port })));
    const publishers = [
      ...direct.map((client, i) => publish(`node${i}`, (...words) => client.call(...words), 1)),
      ...through.map((client, i) => publish(`through${i}`, (...words) => client.call(...words), 2)),
    ];
    await sleep(500);
    return {
      /** One that came by itself listens beside those that were passed on. */
      more: async () => void listeners.push(await listenWithIoredis(port)),
      connections: () => listeners.length + through.length,
      faults: async () => {
        await sleep(500);
        const lasts = new Map<string, number>();
        for (const { name, stop } of publishers) lasts.set(name, await stop());
        await sleep(500);
        const heard = listeners.map((each) => each.heard);
        const least = Math.min(...heard.map(({ numbers }) => numbers.size));
        expect(least).toBeGreaterThanOrEqual(CHANNELS.length * publishers.length);
        const faults = heard.flatMap((each) => each.faults(lasts));
        for (const { stop } of listeners) stop();
        for (const client of [...through, ...direct]) client.close();
        return faults;
      },
    };
  };

  it('notice nothing of two upgrades: no connection ends, and each message is heard once, in its order', async () => {
    const { port, pid } = await start();
    const all = await listenAndPublish(port);
    const first = await upgrade();
    await ends(pid);
    await all.more();
    await sleep(500);
    await upgrade();
    await ends(first.pid);
    expect(await all.faults()).toEqual([]);
    expect((await proxy.stats('taken_over'))[TAKEN_OVER]).toBe(all.connections());
  });

  it('are passed on and on by processes that are replaced before they have all of them', async () => {
    const { port, pid } = await start();
    const all = await listenAndPublish(port);
    const pids = [pid];
    for (const _ of [1, 2, 3]) pids.push((await upgrade()).pid);
    for (const each of pids.slice(0, -1)) await ends(each);
    expect(await all.faults()).toEqual([]);
    expect((await proxy.stats('taken_over'))[TAKEN_OVER]).toBe(all.connections());
  });

  it.each(['old', 'new'])(
    'hear each message once when the %s process stands still in the middle of it',
    async (which) => {
      const { port, pid } = await start(1);
      const all = await listenAndPublish(port);
      const upgraded = await upgrade();
      const still = which === 'old' ? pid : upgraded.pid;
      await poll('some are passed on', 5_000, async () => ((await proxy.stats('taken_over'))[TAKEN_OVER] ?? 0) > 0);
      process.kill(still, 'SIGSTOP');
      await sleep(STILL_MS);
      process.kill(still, 'SIGCONT');
      await ends(pid);
      expect(await all.faults()).toEqual([]);
      expect((await proxy.stats('taken_over'))[TAKEN_OVER]).toBe(all.connections());
    },
  );

  it('are passed on with thousands of channels, in the middle of much that is published, and of large messages', async () => {
    const { port, pid } = await start(1);
    const MANY = 5_000;
    const AT_ONCE = 100;
    const ROUNDS = 300;
    const LARGE = 'x'.repeat(1_000_000);
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect({ port })));
    const [wide, long, ...narrow] = clients as [RawClient, RawClient, ...RawClient[]];
    wide.socket.write(encode('SUBSCRIBE', ...Array.from({ length: MANY }, (_, i) => `many:${i}`)));
    await wide.raw(MANY);
    // More of names than is announced at once.
    const names = Array.from({ length: 60 }, (_, i) => `${i}:${'n'.repeat(50_000)}`);
    long.socket.write(encode('SUBSCRIBE', ...names));
    await long.raw(names.length);
    const got = narrow.map((client) => {
      let text = '';
      client.socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
      });
      client.socket.write(encode('SUBSCRIBE', 'much'));
      return () => text;
    });
    const publisher = await RawClient.connect({ port: cluster.nodes[0]!.port });
    await poll('all are subscribed', 5_000, () => got.every((text) => text().includes('much')));
    let last = 0;
    const publishing = (async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const commands = Array.from({ length: AT_ONCE }, () => ['PUBLISH', 'much', `<${++last}>`]);
        // Large ones in between: they come in many pieces.
        if (round % 30 === 0) commands.push(['PUBLISH', 'much', `${LARGE}<${++last}>`]);
        await publisher.pipeline(commands);
        await sleep(10);
      }
    })();
    await sleep(300);
    await upgrade();
    await ends(pid);
    expect(last).toBeLessThan(ROUNDS * AT_ONCE);
    await publishing;
    await poll('the last has come', 5_000, () => got.every((text) => text().includes(`<${last}>`)));
    const all = Array.from({ length: last }, (_, i) => `<${i + 1}>`);
    for (const text of got) expect(text().match(/<\d+>/g)).toEqual(all);
    for (const i of [0, MANY - 1]) await publisher.call('PUBLISH', `many:${i}`, `hello ${i}`);
    const heard = (await wide.raw(2)).map(String);
    expect(heard[0]).toContain('hello 0');
    expect(heard[1]).toContain(`hello ${MANY - 1}`);
    await publisher.call('PUBLISH', names.at(-1) as string, 'to the last');
    expect(String((await long.raw(1))[0])).toContain('to the last');
    expect((await proxy.stats('taken_over'))[TAKEN_OVER]).toBe(clients.length);
    publisher.close();
    for (const client of clients) client.close();
  });

  it('and all others go on when a client has a name that is too long to be told: it is closed', async () => {
    const { port, pid } = await start(1);
    const [listener, named] = await Promise.all([listenWithIoredis(port), RawClient.connect({ port })]);
    const LONG = 200_000;
    expect(await named.call('CLIENT', 'SETNAME', 'x'.repeat(LONG))).toBe('OK');
    await upgradeProxy({ pidFile, drainS: 1, shutdownS: 60 });
    await named.untilClosed();
    await ends(pid);
    expect(listener.heard.closed).toBe(0);
    expect(proxy.stderr()).not.toMatch(/worker \d+ ended/);
    listener.stop();
  });

  it('are closed after --drain-time when they have more channels than can be told', async () => {
    const { port, pid } = await start(1);
    const MANY = 8_193;
    const client = await RawClient.connect({ port });
    client.socket.write(encode('SUBSCRIBE', ...Array.from({ length: MANY }, (_, i) => `many:${i}`)));
    await client.raw(MANY);
    await upgradeProxy({ pidFile, drainS: 1, shutdownS: 60 });
    await client.untilClosed();
    await ends(pid);
    expect((await proxy.stats('taken_over'))[TAKEN_OVER]).toBe(0);
  });
});

function encode(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
}

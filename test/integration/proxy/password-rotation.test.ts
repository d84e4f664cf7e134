import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const ADMIN_PASSWORD = 'admin';
const OLD = 'upstream secret one';
const NEW = 'upstream secret two';
const SEEN_MS = 5000;

let cluster: RedisCluster;
let proxy: RunningProxy;
let dir: string;
let file: string;

/** The file appears whole, as a secret store writes it. */
async function writePassword(password: string): Promise<void> {
  await writeFile(`${file}.new`, `${password}\n`);
  await rename(`${file}.new`, file);
}

const onAll = (command: string, ...words: string[]) =>
  Promise.all(cluster.nodes.map((node) => node.call(command, ...words)));

/** Every connection of the proxy's has to be made anew. */
const cutAll = () => onAll('CLIENT', 'KILL', 'USER', 'proxy');

beforeEach(async () => {
  cluster = await startCluster({ requirepass: ADMIN_PASSWORD });
  await onAll('ACL', 'SETUSER', 'proxy', 'on', `>${OLD}`, '~*', '&*', '+@all');
  dir = await mkdtemp(path.join(os.tmpdir(), 'forge-password-'));
  file = path.join(dir, 'password');
  await writePassword(OLD);
  proxy = await startProxy({
    workers: 2,
    config: {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          endpoints: cluster.nodes.map(({ address }) => address),
          auth_username: 'proxy',
          auth_password: { filename: file },
          cluster_refresh_rate: '300ms',
        },
      ],
    },
  });
}, 60_000);

afterEach(async () => {
  await proxy?.stop();
  await cluster?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Clients that read all the time, over both versions of RESP; counts what they get. */
class Load {
  replies = 0;
  readonly errors: string[] = [];
  private stopping = false;
  private readonly running: Promise<void>[];

  constructor(clients: number) {
    this.running = Array.from({ length: clients }, (_, number) => this.run(number));
  }

  private async run(number: number): Promise<void> {
    const client = await RawClient.connect({ port: proxy.port });
    if (number % 2 === 1) await client.call('HELLO', '3');
    for (let i = 0; !this.stopping; i++) {
      const batch = Array.from({ length: 10 }, (_, j) => ['GET', `key:${(number * 31 + i * 7 + j) % 500}`]);
      for (const reply of await client.pipeline(batch)) {
        this.replies++;
        if (reply instanceof ErrorReply) this.errors.push(reply.message);
      }
    }
    client.close();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.running);
  }
}

const said = (text: string) => poll(text, SEEN_MS, () => proxy.stderr().includes(text));

describe("the proxy's own password", () => {
  it('is replaced under load without an error, whichever side hears of the new one first', {
    timeout: 60_000,
  }, async () => {
    const load = new Load(8);
    const blocked = await RawClient.connect({ port: proxy.port });
    const element = blocked.ask('BLPOP', 'list', '30');
    const hearing = await RawClient.connect({ port: proxy.port });
    expect(await hearing.ask('SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1]);

    // The proxy first: Redis refuses the new one, and the one before it is tried.
    await writePassword(NEW);
    await said('passwords were read again: clusters[main].auth_password: another secret');
    await cutAll();
    await said('the upstream does not know the new password yet; the previous one is tried');
    await poll('the refusals are counted', SEEN_MS, async () =>
      Object.entries(await proxy.stats('upstream_auth_refused')).some(([, value]) => value > 0),
    );

    // Then Redis. What is connected stays; what connects from now on does it with the new one.
    await onAll('ACL', 'SETUSER', 'proxy', 'resetpass', `>${NEW}`);
    await cutAll();
    const before = load.replies;
    await poll('clients are served', SEEN_MS, () => load.replies > before + 500);

    // Redis first, with both for a while.
    await onAll('ACL', 'SETUSER', 'proxy', `>${OLD} 2`);
    await writePassword(`${OLD} 2`);
    await poll('it is read', SEEN_MS, () => proxy.stderr().split('another secret').length > 2);
    await onAll('ACL', 'SETUSER', 'proxy', `<${NEW}`);
    await cutAll();
    const then = load.replies;
    await poll('clients are served', SEEN_MS, () => load.replies > then + 500);

    const pusher = await RawClient.connect({ port: proxy.port });
    expect(await pusher.ask('RPUSH', 'list', 'x')).toEqual(expect.any(Number));
    expect(await element).toEqual(['list', 'x']);
    await poll(
      'the subscription is there again',
      SEEN_MS,
      async () => (await pusher.ask('PUBLISH', 'news', 'x')) === 1,
    );
    expect(hearing.closed).toBe(false);
    await load.stop();
    for (const client of [blocked, hearing, pusher]) client.close();
    expect(load.errors).toEqual([]);
    expect(load.replies).toBeGreaterThan(1000);
    expect(proxy.stderr()).not.toContain('secret one 2');
    expect(proxy.stderr()).not.toContain(NEW);
    expect(proxy.stderr()).not.toContain(OLD);
  });

  it('stays what it was when the file cannot be used', { timeout: 30_000 }, async () => {
    await writeFile(file, '');
    await said('the changed passwords cannot be used, those before stay in use');
    expect(proxy.stderr()).toContain('is empty');
    await cutAll();
    const client = await RawClient.connect({ port: proxy.port });
    expect(await client.ask('GET', 'key')).toBe(null);
    client.close();
  });
});

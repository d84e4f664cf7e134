import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, type CertificateFiles, makeAuthority } from '../../support/certificates.js';
import { BUS_OFFSET, freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { files, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import type { ErrorReply } from '../../support/resp.js';

const SEEN_MS = 15_000;
const MEGABYTE = 1024 * 1024;

let authority: Authority;
let stranger: Authority;
let client: CertificateFiles;
let servers: SecureServer[] = [];
const proxies: RunningProxy[] = [];

interface SecureServer {
  readonly server: RedisServer;
  readonly tlsPort: number;
}

const tlsArguments = (port: number) => [
  ...['--tls-port', String(port), '--tls-cert-file', authority.server.certificate],
  ...['--tls-key-file', authority.server.key, '--tls-ca-cert-file', authority.ca],
];

async function startSecure(cluster: boolean, auth: 'yes' | 'no' = 'yes'): Promise<SecureServer> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const bus = ['--tls-cluster', 'yes', '--tls-replication', 'yes', '--cluster-port', String(port + BUS_OFFSET)];
  const args = [...tlsArguments(tlsPort), '--tls-auth-clients', auth, ...(cluster ? bus : [])];
  return { server: await startRedis({ cluster, port, args }), tlsPort };
}

beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(), makeAuthority()]);
  client = await authority.issue({ name: 'proxy' });
  // Two masters that speak TLS with each other, too.
  servers = await Promise.all([startSecure(true), startSecure(true)]);
  const [first, second] = servers as [SecureServer, SecureServer];
  await first.server.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8191);
  await second.server.call('CLUSTER', 'ADDSLOTSRANGE', 8192, 16_383);
  await second.server.call('CLUSTER', 'SET-CONFIG-EPOCH', 2);
  await first.server.call('CLUSTER', 'MEET', '127.0.0.1', second.tlsPort, second.server.port + BUS_OFFSET);
  await poll('the cluster is formed', SEEN_MS, async () => {
    const infos = await Promise.all(servers.map(({ server }) => server.call('CLUSTER', 'INFO')));
    return infos.every((info) => /cluster_state:ok[\s\S]*cluster_known_nodes:2/.test(String(info)));
  });
});

afterAll(async () => {
  for (const proxy of proxies) await proxy.stop();
  for (const { server } of servers) await server.stop();
  await authority?.remove();
  await stranger?.remove();
});

const context = (more: object = {}) => ({
  tls_certificates: [files(client)],
  validation_context: { trusted_ca: { filename: authority.ca } },
  ...more,
});

async function start(cluster: object, until: 'live' | 'listening' = 'live', listener: object = {}) {
  const proxy = await startProxy({
    config: {
      listeners: [{ cluster: 'main', ...listener }],
      clusters: [{ name: 'main', ...cluster }],
    },
    until,
  });
  proxies.push(proxy);
  return proxy;
}

const endpoints = () => servers.map(({ tlsPort }) => `127.0.0.1:${tlsPort}`);

/** Waits until the proxy tells why it cannot use its upstream. */
async function lastError(proxy: RunningProxy, wanted: RegExp): Promise<string> {
  return poll(`the error ${wanted}`, SEEN_MS, async () => {
    const { body } = await proxy.page('/clusters?format=json');
    const { last_error: error } = JSON.parse(body) as { last_error: string };
    return wanted.test(error) && error;
  });
}

describe('TLS towards the nodes', () => {
  it('finds a Redis Cluster, serves all of it and keeps the connections', async () => {
    const proxy = await start({ endpoints: endpoints(), tls_context: context() });
    const raw = await RawClient.connect({ port: proxy.port, timeoutMs: 30_000 });
    const keys = Array.from({ length: 1000 }, (_, i) => `key:${i}`);
    const set = await raw.pipeline(keys.map((key) => ['SET', key, `value of ${key}`]));
    expect(set.every((value) => value === 'OK')).toBe(true);
    expect(await raw.call('MGET', ...keys)).toEqual(keys.map((key) => `value of ${key}`));
    const big = Buffer.alloc(20 * MEGABYTE, 'xyz');
    await raw.call('SET', 'big', big);
    expect(String(await raw.call('GET', 'big'))).toHaveLength(big.length);
    // Connections of the other kinds: blocking commands, subscriptions, transactions with WATCH.
    const other = await RawClient.connect({ port: proxy.port });
    const popped = other.call('BLPOP', 'list', 10);
    await raw.call('RPUSH', 'list', 'item');
    expect(await popped).toEqual(['list', 'item']);
    await other.call('SUBSCRIBE', 'news');
    expect(await raw.call('PUBLISH', 'news', 'hello')).toBe(1);
    expect((await other.raw(1)).toString()).toContain('hello');
    expect(await raw.call('WATCH', 'key:1')).toBe('OK');
    await raw.call('MULTI');
    await raw.call('INCR', '{key:1}counter');
    expect(await raw.call('EXEC')).toEqual([1]);
    raw.close();
    other.close();
    const stats = await proxy.stats('cluster.main');
    expect(stats['cluster.main.ssl.handshake']).toBeGreaterThanOrEqual(2);
    expect(stats['cluster.main.ssl.connection_error']).toBe(0);
    expect(stats['cluster.main.ssl.fail_verify_error']).toBe(0);
    const { body } = await proxy.page('/clusters');
    for (const address of endpoints()) expect(body).toContain(`${address}::role::master`);
  });

  it('speaks TLS on both sides, with names of its own choice', async () => {
    const proxy = await start(
      {
        endpoints: endpoints(),
        tls_context: context({ sni: 'localhost', tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } }),
      },
      'live',
      { tls_context: { tls_certificates: [files(authority.server)] } },
    );
    const redis = new Redis({ port: proxy.port, tls: { ...trust(authority), servername: 'localhost' } });
    expect(await redis.set('both', 'sides')).toBe('OK');
    expect(await redis.get('both')).toBe('sides');
    await redis.quit();
  });

  it('does not go on with a node that a stranger has signed for, nor with one that has another name', async () => {
    const foreign = {
      tls_certificates: [files(client)],
      validation_context: { trusted_ca: { filename: stranger.ca } },
    };
    const proxy = await start({ endpoints: endpoints(), tls_context: foreign }, 'listening');
    await lastError(proxy, /the certificate of the upstream: .*(VERIFY|SIGNATURE|ISSUER|SELF_SIGNED)/i);
    expect((await proxy.page('/ready')).status).toBe(503);
    const named = await start({ endpoints: endpoints(), tls_context: context({ sni: 'redis.example' }) }, 'listening');
    await lastError(named, /ERR_TLS_CERT_ALTNAME_INVALID/);
    // Without a CA of its own, those that the world trusts count.
    const world = await start(
      { endpoints: endpoints(), tls_context: { tls_certificates: [files(client)] } },
      'listening',
    );
    await lastError(world, /the certificate of the upstream/);
  });

  it('goes on with anybody when it is told so', async () => {
    const tls_context = {
      sni: 'redis.example',
      tls_certificates: [files(client)],
      validation_context: { trust_chain_verification: 'ACCEPT_UNTRUSTED' },
    };
    const proxy = await start({ endpoints: endpoints(), tls_context });
    const raw = await RawClient.connect({ port: proxy.port });
    expect(await raw.call('SET', 'anybody', '1')).toBe('OK');
    raw.close();
  });

  it('tells when a node wants a certificate, speaks no TLS, or says nothing', async () => {
    const bare = { validation_context: { trusted_ca: { filename: authority.ca } } };
    const without = await start({ endpoints: endpoints(), tls_context: bare }, 'listening');
    await lastError(without, /CERTIFICATE_REQUIRED|connection closed/);
    const plain = servers.map(({ server }) => server.address);
    const wrong = await start({ endpoints: plain, tls_context: context() }, 'listening');
    await lastError(wrong, /does it speak TLS on this port/);
    const mute = net.createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as net.AddressInfo;
    const silent = await start(
      { endpoints: [`127.0.0.1:${port}`], tls_context: context(), connect_timeout: '300ms' },
      'listening',
    );
    await lastError(silent, /connect timeout/);
    await silent.stop();
    mute.close();
  });

  it('counts and names what happens to the connections of the workers', async () => {
    // Servers that are not asked who they are before commands go to them.
    const secure = await startSecure(false);
    try {
      const address = `127.0.0.1:${secure.tlsPort}`;
      const tls_context = context({ sni: 'elsewhere.example' });
      const proxy = await start({ type: 'sharded', endpoints: [address], tls_context }, 'listening');
      const raw = await RawClient.connect({ port: proxy.port });
      expect(((await raw.ask('GET', 'a')) as ErrorReply).message).toMatch(/upstream failure|no upstream/);
      const stats = await proxy.stats('ssl');
      expect(stats['cluster.main.ssl.fail_verify_error']).toBeGreaterThan(0);
      await poll('the log says why', 5000, () => proxy.stderr().includes('ERR_TLS_CERT_ALTNAME_INVALID'));
      raw.close();
    } finally {
      await secure.server.stop();
    }
  });

  it('speaks to Sentinels as to the servers, or plainly when they are plain', async () => {
    const secure = await startSecure(false, 'no');
    const sentinels: Sentinel[] = [];
    try {
      for (const kind of ['secure', 'plain'] as const) {
        const sentinel = await Sentinel.start(kind, secure, kind === 'secure' ? tlsArguments : null);
        sentinels.push(sentinel);
        const proxy = await start({
          type: 'sharded',
          discovery: 'SENTINEL',
          sentinel: {
            endpoints: [`127.0.0.1:${sentinel.port}`],
            masters: ['alpha'],
            ...(kind === 'plain' ? { plaintext: true } : {}),
          },
          tls_context: context(),
        });
        const raw = await RawClient.connect({ port: proxy.port });
        expect(await raw.call('SET', kind, '1')).toBe('OK');
        raw.close();
        await proxy.stop();
      }
    } finally {
      for (const sentinel of sentinels) await sentinel.stop();
      await secure.server.stop();
    }
  });
});

/** A Sentinel that watches the TLS port of one master. */
class Sentinel {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly dir: string,
  ) {}

  static async start(
    kind: string,
    { tlsPort }: SecureServer,
    secure: ((port: number) => string[]) | null,
  ): Promise<Sentinel> {
    const port = await freePort();
    const dir = await mkdtemp(path.join(os.tmpdir(), `forge-sentinel-${kind}-`));
    const lines = ['bind 127.0.0.1', `dir ${dir}`, 'protected-mode no', 'tls-replication yes', 'tls-auth-clients no'];
    const words = (secure ?? tlsArguments)(secure === null ? 0 : port);
    for (let i = 0; i < words.length; i += 2) lines.push(`${words[i]?.slice(2)} ${words[i + 1]}`);
    lines.push(`port ${secure === null ? port : 0}`, `sentinel monitor alpha 127.0.0.1 ${tlsPort} 1`);
    const file = path.join(dir, 'sentinel.conf');
    await writeFile(file, `${lines.join('\n')}\n`);
    const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore', cwd: dir });
    const sentinel = new Sentinel(port, child, dir);
    await poll(`the Sentinel on port ${port} listens`, SEEN_MS, async () => {
      const socket = net.connect({ port, host: '127.0.0.1' });
      const listens = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      socket.destroy();
      return listens;
    });
    return sentinel;
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await poll('the Sentinel ends', SEEN_MS, () => this.child.exitCode !== null || this.child.signalCode !== null);
    await rm(this.dir, { recursive: true, force: true });
  }
}

import { execFile } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { freePort } from '../../support/ports.js';
import { runProxy, startProxy, writeConfig } from '../../support/proxy.js';
import { files, startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const run = promisify(execFile);
const EXIT_REFUSED = 5;
const CLIENTS = 200;

let authority: Authority;
let cluster: RedisCluster;
let side: TlsProxy;
let securePath: string;

beforeAll(async () => {
  [authority, cluster] = await Promise.all([makeAuthority(), startCluster({ masters: 1 })]);
  securePath = path.join(authority.dir, 'secure.sock');
  side = await startTlsProxy(authority, cluster.addresses, {
    workers: 2,
    more: [
      {
        address: { pipe: { path: securePath, mode: 600 } },
        tls_context: { tls_certificates: [files(authority.server)] },
      },
    ],
  });
});

afterAll(async () => {
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
});

const permissions = (file: string) => (statSync(file).mode & 0o777).toString(8);

describe('a Unix socket', () => {
  it('has the permissions that it should have', () => {
    expect(permissions(side.unixPath)).toBe('660');
    expect(permissions(securePath)).toBe('600');
  });

  it('serves redis-cli and shows itself as the address', async () => {
    const { stdout } = await run('redis-cli', ['-s', side.unixPath, 'CLIENT', 'INFO']);
    expect(stdout).toContain(`addr=${side.unixPath}:0 laddr=${side.unixPath}:0`);
  });

  it('speaks TLS, too', async () => {
    const client = await RawClient.connect({
      port: 0,
      path: securePath,
      tls: { ...trust(authority), servername: 'localhost' },
    });
    expect(await client.call('PING')).toBe('PONG');
    client.close();
  });

  it('is shared by the workers', async () => {
    const clients: RawClient[] = [];
    const workers = new Set<string | undefined>();
    for (let i = 0; i < CLIENTS; i++) {
      const client = await RawClient.connect({ port: 0, path: side.unixPath });
      clients.push(client);
      workers.add(/worker=(\d+)/.exec(String(await client.call('CLIENT', 'INFO')))?.[1]);
    }
    for (const client of clients) client.close();
    expect(workers.size).toBe(2);
  });

  it('is not taken from a proxy that serves it, but from one that is gone', async () => {
    const config = async (address: string) => ({
      admin: { address: `127.0.0.1:${await freePort()}` },
      listeners: [{ address, cluster: 'main' }],
      clusters: [{ name: 'main', endpoints: cluster.addresses.split(',') }],
    });
    const { file, dir } = await writeConfig(await config(`unix:${side.unixPath}`));
    const second = await runProxy(['--config', file]);
    await rm(dir, { recursive: true });
    expect(second.code).toBe(EXIT_REFUSED);
    expect(second.stderr).toContain(`unix:${side.unixPath} is in use by another process`);
    const { stdout } = await run('redis-cli', ['-s', side.unixPath, 'PING']);
    expect(stdout.trim()).toBe('PONG');

    const other = path.join(authority.dir, 'other.sock');
    const more = [{ address: `unix:${other}` }];
    const { clusters } = await config(`unix:${other}`);
    const listener = { cluster: 'main', additional_addresses: more };
    const first = await startProxy({ config: { clusters, listeners: [listener] } });
    first.signal('SIGKILL');
    await first.stop();
    expect(existsSync(other)).toBe(true);
    const next = await startProxy({ config: { clusters, listeners: [listener] } });
    expect((await run('redis-cli', ['-s', other, 'PING'])).stdout.trim()).toBe('PONG');
    await next.stop();
    expect(existsSync(other)).toBe(false);
  });

  it('says why it cannot be', async () => {
    const refusal = async (socket: string) => {
      const { file, dir } = await writeConfig({
        listeners: [{ address: socket, cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: cluster.addresses.split(',') }],
      });
      const { code, stderr } = await runProxy(['--config', file, '--pid-file', path.join(authority.dir, 'run.pid')]);
      await rm(dir, { recursive: true });
      expect(code).toBe(3);
      return stderr;
    };
    expect(await refusal(`unix:${path.join(authority.dir, 'run.sock')}`)).toContain(
      'is the control socket that goes with',
    );
    expect(await refusal('unix:/nowhere/at/all.sock')).toContain('is its folder there, and may this user write to it?');
    const taken = path.join(authority.dir, 'file');
    writeFileSync(taken, 'precious');
    expect(await refusal(`unix:${taken}`)).toContain('another file is there');
    expect(await refusal(`unix:/${'x'.repeat(100)}`)).toContain('at most 99 bytes');
    expect(await refusal('unix:relative')).toContain('starts with /');
  });
});

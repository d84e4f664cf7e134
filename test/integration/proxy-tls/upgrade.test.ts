/** A new process takes over ports with TLS and Unix sockets, while clients connect to them. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectProxy, stopProxy } from '../../../src/proxy/control/instance.js';
import { upgradeProxy } from '../../../src/proxy/control/upgrade.js';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { proxyExecutable } from '../../support/proxy.js';
import { startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { RawClient, type RawClientOptions } from '../../support/raw-client.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const CONNECTORS = 3;
const AFTERWARDS_MS = 1000;

let authority: Authority;
let cluster: RedisCluster;
let side: TlsProxy;
let pidFile: string;

beforeAll(async () => {
  process.env['FORGE_PROXY_BIN'] ??= proxyExecutable();
  [authority, cluster] = await Promise.all([makeAuthority(), startCluster({ masters: 1 })]);
  pidFile = path.join(authority.dir, 'run.pid');
  side = await startTlsProxy(authority, cluster.addresses, { workers: 2, args: ['--pid-file', pidFile] });
});

afterAll(async () => {
  await stopProxy(pidFile).catch(() => undefined);
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
});

describe('an upgrade', () => {
  it('refuses nobody on a TLS port nor on a Unix socket, and cuts no handshake off', async () => {
    const ways: RawClientOptions[] = [
      { port: side.tlsPort, tls: trust(authority) },
      { port: 0, path: side.unixPath },
      { port: side.proxy.port },
    ];
    let connecting = true;
    const counts = ways.map(() => 0);
    const failures: string[] = [];
    const load = ways.flatMap((way, index) =>
      Array.from({ length: CONNECTORS }, async () => {
        while (connecting) {
          try {
            const client = await RawClient.connect(way);
            if ((await client.call('PING')) !== 'PONG') failures.push(`${index}: no PONG`);
            client.close();
            counts[index] = (counts[index] ?? 0) + 1;
          } catch (error) {
            failures.push(`${index}: ${(error as Error).message}`);
          }
        }
      }),
    );
    const first = side.proxy.pid;
    let last = first;
    for (let round = 0; round < 2; round++) {
      const { old, pid } = await upgradeProxy({ pidFile, drainS: 2, shutdownS: 4 });
      expect(old).toBe(last);
      last = pid;
      await new Promise((resolve) => setTimeout(resolve, AFTERWARDS_MS));
    }
    connecting = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
    for (const count of counts) expect(count).toBeGreaterThan(50);
    expect((await inspectProxy(pidFile)).pid).toBe(last);
    // The path is the successor's: the old process has not taken it away.
    const client = await RawClient.connect({ port: 0, path: side.unixPath });
    expect(String(await client.call('INFO', 'server'))).toContain(`process_id:${last}`);
    client.close();
  });
});

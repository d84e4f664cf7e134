import net from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { connectTls, ping, startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const MOST = 6;

let authority: Authority;
let cluster: RedisCluster;
let side: TlsProxy;

beforeAll(async () => {
  [authority, cluster] = await Promise.all([makeAuthority(), startCluster({ masters: 1 })]);
  side = await startTlsProxy(authority, cluster.addresses, {
    workers: 2,
    listener: { limits: { max_connections: MOST, max_connections_per_address: MOST } },
  });
}, 20_000);

afterAll(async () => {
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
}, 20_000);

it('connections count while they are in their handshakes, and are given back when these come to nothing', async () => {
  // No TLS at all, each closed for it.
  for (let i = 0; i < 3 * MOST; i++) {
    const socket = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.resume();
    socket.end('*1\r\n$4\r\nPING\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
  }
  // Nothing at all.
  const silent: net.Socket[] = [];
  const keepSilent = () => {
    const socket = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
    socket.on('error', () => {});
    silent.push(socket);
  };
  for (let i = 0; i < MOST; i++) keepSilent();
  await poll('all places are taken', 3000, async () => {
    return connectTls(side.tlsPort, trust(authority)).then(
      (socket) => {
        // It may have come before one of them, which was refused then.
        socket.destroy();
        keepSilent();
        return false;
      },
      () => true,
    );
  });
  for (const socket of silent) socket.destroy();
  const sockets: Awaited<ReturnType<typeof connectTls>>[] = [];
  await poll('they are free again', 3000, async () => {
    try {
      const socket = await connectTls(side.tlsPort, trust(authority));
      expect(await ping(socket)).toBe('+PONG\r\n');
      sockets.push(socket);
    } catch {
      // Not yet.
    }
    return sockets.length === MOST;
  });
  await expect(connectTls(side.tlsPort, trust(authority))).rejects.toThrow();
  for (const socket of sockets) socket.destroy();
  const stats = await side.proxy.stats('downstream_cx_overflow$');
  expect(Object.values(stats)[0]).toBeGreaterThan(0);
}, 20_000);

import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, inDays, makeAuthority } from '../../support/certificates.js';
import { connectTls, ping, startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

/** The files are looked at every 2 s, and twice when they cannot be used. */
const SEEN_MS = 15_000;
const CLIENTS = 20;
const ROTATIONS = 3;

let authority: Authority;
let successor: Authority;
let cluster: RedisCluster;
let side: TlsProxy;

beforeAll(async () => {
  [authority, successor, cluster] = await Promise.all([makeAuthority(), makeAuthority(), startCluster({ masters: 1 })]);
  side = await startTlsProxy(authority, cluster.addresses, { workers: 2 });
});

afterAll(async () => {
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
  await successor?.remove();
});

/** Puts files in the place of those that the proxy uses, whole, one after the other. */
function install(certificate: string, key: string): void {
  for (const [from, to] of [
    [certificate, authority.server.certificate],
    [key, authority.server.key],
  ] as const) {
    copyFileSync(from, `${to}.new`);
    renameSync(`${to}.new`, to);
  }
}

async function serial(options: object = {}): Promise<string> {
  const socket = await connectTls(side.tlsPort, { ...trust(authority), ...options });
  const { serialNumber } = socket.getPeerCertificate();
  expect(await ping(socket)).toBe('+PONG\r\n');
  socket.destroy();
  return serialNumber;
}

const updates = async () => {
  const stats = await side.proxy.stats('server');
  return {
    success: stats['server.ssl_context_update_success'] ?? -1,
    rejected: stats['server.ssl_context_update_rejected'] ?? -1,
    days: stats['server.days_until_first_cert_expiring'] ?? -1,
  };
};

describe('certificates that change while the proxy runs', () => {
  it('are given to new clients, under load, and nobody loses a connection or a reply', async () => {
    let running = true;
    let replies = 0;
    let connections = 0;
    const load = Array.from({ length: CLIENTS }, async (_, i) => {
      const old = await RawClient.connect({ port: side.tlsPort, tls: trust(authority) });
      while (running) {
        const values = await old.pipeline(
          Array.from({ length: 20 }, (_, n) => ['SET', `rotate:${i}:${n}`, 'v'.repeat(n)]),
        );
        expect(values.every((value) => value === 'OK')).toBe(true);
        replies += values.length;
        const fresh = await RawClient.connect({ port: side.tlsPort, tls: trust(authority) });
        expect(await fresh.call('GET', `rotate:${i}:3`)).toBe('vvv');
        fresh.close();
        connections++;
      }
      old.close();
    });
    try {
      for (let i = 0; i < ROTATIONS; i++) {
        const before = await serial();
        const next = await authority.issue({ name: `next-${i}`, names: ['DNS:localhost', 'IP:127.0.0.1'] });
        install(next.certificate, next.key);
        await poll('new clients get the new certificate', SEEN_MS, async () => (await serial()) !== before);
        // Both workers, with a name and without.
        for (const servername of ['localhost', '', 'localhost', ''])
          expect(await serial({ servername })).not.toBe(before);
      }
    } finally {
      running = false;
      await Promise.all(load);
    }
    expect(connections).toBeGreaterThan(CLIENTS);
    expect(replies).toBeGreaterThan(CLIENTS * 20);
    expect((await updates()).success).toBe(ROTATIONS);
    const { 'listener.egress_redis.ssl.connection_error': errors } = await side.proxy.stats('ssl');
    expect(errors).toBe(0);
  });

  it('stay as they were when the new files cannot be used, and one error says why', async () => {
    const before = await serial();
    const { rejected } = await updates();
    const expired = await authority.issue({
      name: 'expired',
      names: ['DNS:localhost'],
      from: inDays(-9),
      until: inDays(-1),
    });
    const good = [readFileSync(authority.server.certificate), readFileSync(authority.server.key)] as const;
    install(expired.certificate, expired.key);
    await poll('it is said', SEEN_MS, () => side.proxy.stderr().includes('those before stay in use'));
    expect(side.proxy.stderr()).toContain(`the certificate in ${authority.server.certificate} (CN=expired) expired on`);
    expect(await serial()).toBe(before);
    expect((await updates()).rejected).toBe(rejected + 1);
    // A key that does not belong to it.
    writeFileSync(authority.server.certificate, good[0]);
    await poll('it is said', SEEN_MS, () => side.proxy.stderr().includes('does not belong to the certificate'));
    expect(await serial()).toBe(before);
    writeFileSync(authority.server.key, good[1]);
    await poll('they are used again', SEEN_MS, async () => (await updates()).success === ROTATIONS + 1);
    expect(await serial()).toBe(before);
  });

  it('count the days until the first of them ends, and warn in time', async () => {
    expect((await updates()).days).toBeGreaterThan(300);
    const soon = await authority.issue({ name: 'soon', names: ['DNS:localhost', 'IP:127.0.0.1'], until: inDays(10.5) });
    install(soon.certificate, soon.key);
    await poll('the gauge follows', SEEN_MS, async () => (await updates()).days === 10);
    await poll('it is warned about', SEEN_MS, () => /expires on \S+, in 10 days/.test(side.proxy.stderr()));
  });

  it('bring other CAs for the certificates of clients', async () => {
    const old = await authority.issue({ name: 'old-client' });
    const next = await successor.issue({ name: 'new-client' });
    const enter = (client: typeof old) =>
      connectTls(side.mutualPort, trust(authority, client)).then(ping, (error: Error) => error.message);
    expect(await enter(old)).toBe('+PONG\r\n');
    expect(await enter(next)).not.toBe('+PONG\r\n');
    const own = readFileSync(authority.ca);
    const stays = await connectTls(side.mutualPort, trust(authority, old));
    const trusted = { ...trust(authority, next), ca: own };
    writeFileSync(authority.ca, readFileSync(successor.ca));
    await poll('the new CA counts', SEEN_MS, async () => {
      const answer = await connectTls(side.mutualPort, trusted).then(ping, (error: Error) => error.message);
      return answer === '+PONG\r\n';
    });
    const refused = await connectTls(side.mutualPort, { ...trust(authority, old), ca: own }).then(
      ping,
      (error: Error) => error.message,
    );
    expect(refused).not.toBe('+PONG\r\n');
    expect(await ping(stays)).toBe('+PONG\r\n');
    stays.destroy();
  });
});

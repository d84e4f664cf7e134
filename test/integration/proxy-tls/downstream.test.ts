import { execFile } from 'node:child_process';
import net from 'node:net';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { freePorts } from '../../support/ports.js';
import { connectTls, files, ping, startTlsProxy, type TlsProxy, trust } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';

const run = promisify(execFile);
const HANDSHAKE_MS = 700;
const SEEN_MS = 5_000;

let authority: Authority;
let stranger: Authority;
let cluster: RedisCluster;
let side: TlsProxy;
let namedPort: number;
let modernPort: number;
let cipherPort: number;
let optionalPort: number;

beforeAll(async () => {
  [authority, stranger, cluster] = await Promise.all([makeAuthority(), makeAuthority(), startCluster({ masters: 2 })]);
  const [alpha, wild] = await Promise.all([
    authority.issue({ name: 'alpha', names: ['DNS:alpha.test', 'DNS:alpha.example'] }),
    authority.issue({ name: 'wild', names: ['DNS:*.wild.test'] }),
  ]);
  [namedPort, modernPort, cipherPort, optionalPort] = (await freePorts(4)) as [number, number, number, number];
  const own = [files(authority.server)];
  const at = (port: number, tls_context: object) => ({ address: `127.0.0.1:${port}`, tls_context });
  side = await startTlsProxy(authority, cluster.addresses, {
    workers: 2,
    listener: { transport_socket_connect_timeout: `${HANDSHAKE_MS}ms` },
    more: [
      at(namedPort, { tls_certificates: [...own, files(alpha), files(wild)] }),
      at(modernPort, { tls_certificates: own, tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } }),
      at(cipherPort, {
        tls_certificates: own,
        tls_params: {
          tls_maximum_protocol_version: 'TLSv1_2',
          cipher_suites: ['ECDHE-ECDSA-CHACHA20-POLY1305'],
        },
      }),
      at(optionalPort, { tls_certificates: own, validation_context: { trusted_ca: { filename: authority.ca } } }),
    ],
  });
});

afterAll(async () => {
  await side?.proxy.stop();
  await cluster?.stop();
  await authority?.remove();
  await stranger?.remove();
});

/** openssl's own client; what it prints. */
async function sClient(port: number, ...args: string[]): Promise<string> {
  const words = ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.ca, '-ign_eof', ...args];
  const call = run('openssl', words, { timeout: 10_000 });
  call.child.stdin?.end('PING\r\nQUIT\r\n');
  const { stdout, stderr } = await call.catch((error) => error as { stdout: string; stderr: string });
  return stdout + stderr;
}

const ssl = async (word: string) => (await side.proxy.stats('ssl'))[`listener.egress_redis.ssl.${word}`] ?? Number.NaN;

describe('TLS towards clients', () => {
  it('speaks TLS 1.2 and 1.3 with openssl, which verifies the certificate', async () => {
    for (const [flag, version] of [
      ['-tls1_2', 'TLSv1.2'],
      ['-tls1_3', 'TLSv1.3'],
    ] as const) {
      const said = await sClient(side.tlsPort, flag, '-verify_return_error', '-verify_hostname', 'localhost');
      expect(said).toContain('+PONG');
      expect(said).toContain(`New, ${version}`);
      expect(said).toContain('Verify return code: 0 (ok)');
    }
  });

  it('has no version before 1.2, and those only that tls_params allows', async () => {
    expect(await sClient(side.tlsPort, '-tls1_1')).toMatch(/alert protocol version|no protocols available/);
    expect(await sClient(modernPort, '-tls1_2')).toContain('alert protocol version');
    expect(await sClient(modernPort, '-tls1_3')).toContain('+PONG');
  });

  it('takes the ciphers of the list and no others', async () => {
    const given = await sClient(cipherPort);
    expect(given).toContain('Cipher is ECDHE-ECDSA-CHACHA20-POLY1305');
    expect(given).toContain('+PONG');
    expect(await sClient(cipherPort, '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256')).toContain('handshake failure');
  });

  it('chooses the certificate by the name that the client asks for', async () => {
    const subject = async (servername: string) => {
      const socket = await connectTls(namedPort, {
        ...trust(authority),
        servername,
        checkServerIdentity: () => undefined,
      });
      const { CN } = socket.getPeerCertificate().subject;
      expect(await ping(socket)).toBe('+PONG\r\n');
      socket.destroy();
      return CN;
    };
    expect(await subject('alpha.test')).toBe('alpha');
    expect(await subject('ALPHA.example')).toBe('alpha');
    expect(await subject('one.wild.test')).toBe('wild');
    expect(await subject('two.one.wild.test')).toBe('server');
    expect(await subject('nobody.test')).toBe('server');
    expect(await subject('')).toBe('server');
  });

  it('lets a client in by its certificate, and nobody else', async () => {
    const client = await authority.issue({ name: 'client', subject: 'service-a' });
    const foreign = await stranger.issue({ name: 'foreign' });
    const good = await connectTls(side.mutualPort, trust(authority, client));
    expect(await ping(good)).toBe('+PONG\r\n');
    good.destroy();
    const [none, wrong] = [await ssl('fail_verify_no_cert'), await ssl('fail_verify_error')];
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const limits = { minVersion: version, maxVersion: version };
      const refused = (options: object) =>
        connectTls(side.mutualPort, { ...options, ...limits }).then(ping, (error: Error) => error.message);
      expect(await refused(trust(authority))).not.toContain('PONG');
      expect(await refused(trust(authority, foreign))).not.toContain('PONG');
    }
    await poll('both are counted', SEEN_MS, async () => {
      return (await ssl('fail_verify_no_cert')) === none + 2 && (await ssl('fail_verify_error')) === wrong + 2;
    });
  });

  it('checks a certificate that nobody has to have', async () => {
    const client = await authority.issue({ name: 'client-2' });
    const foreign = await stranger.issue({ name: 'foreign-2' });
    for (const options of [trust(authority), trust(authority, client)]) {
      const socket = await connectTls(optionalPort, options);
      expect(await ping(socket)).toBe('+PONG\r\n');
      socket.destroy();
    }
    const refused = await connectTls(optionalPort, trust(authority, foreign)).then(
      ping,
      (error: Error) => error.message,
    );
    expect(refused).not.toContain('PONG');
  });

  it('serves redis-cli, ioredis and node-redis', async () => {
    const { stdout } = await run('redis-cli', [
      ...['-p', String(side.tlsPort), '--tls', '--cacert', authority.ca, 'SET', 'tls:cli', 'yes'],
    ]);
    expect(stdout.trim()).toBe('OK');
    const ioredis = new Redis({ port: side.tlsPort, tls: { ...trust(authority), servername: 'localhost' } });
    expect(await ioredis.get('tls:cli')).toBe('yes');
    const replies = await ioredis
      .pipeline(Array.from({ length: 2000 }, (_, i) => ['set', `tls:${i}`, 'x'.repeat(i)]))
      .exec();
    expect(replies?.every(([error]) => error === null)).toBe(true);
    await ioredis.quit();
    const { ca } = trust(authority) as { ca: Buffer };
    const client = createClient({ socket: { host: 'localhost', port: side.tlsPort, tls: true, ca } });
    await client.connect();
    expect(await client.get('tls:1999')).toHaveLength(1999);
    await client.close();
  });

  it('answers a client that closes its sending side', async () => {
    const socket = await connectTls(side.tlsPort, { ...trust(authority), allowHalfOpen: true });
    let said = '';
    socket.on('data', (bytes) => {
      said += bytes;
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end('SET half 1\r\nGET half\r\n');
    await closed;
    expect(said).toBe('+OK\r\n$1\r\n1\r\n');
  });

  it('shows TLS clients in CLIENT LIST with their addresses, and runs their subscriptions', async () => {
    const client = await RawClient.connect({ port: side.tlsPort, tls: trust(authority) });
    const list = String(await client.call('CLIENT', 'INFO'));
    expect(list).toContain(`laddr=127.0.0.1:${side.tlsPort}`);
    expect(list).toContain(`addr=127.0.0.1:${client.socket.localPort}`);
    const subscriber = await RawClient.connect({ port: side.tlsPort, tls: trust(authority) });
    await subscriber.call('SUBSCRIBE', 'news');
    expect(await client.call('PUBLISH', 'news', 'hello')).toBe(1);
    expect((await subscriber.raw(1)).toString()).toBe('*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n');
    client.close();
    subscriber.close();
  });
});

describe('who speaks the wrong language', () => {
  it('closes a TLS client on the plain port at once, says so and counts it', async () => {
    const started = performance.now();
    await expect(connectTls(side.proxy.port, trust(authority))).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(2000);
    await poll('it is counted and logged', SEEN_MS, async () => {
      const { 'redis.egress_redis.downstream_cx_tls_on_plain_port': count = 0 } = await side.proxy.stats('tls');
      return count > 0 && side.proxy.stderr().includes('speaks TLS on a port that does not');
    });
    // A value may have any byte.
    const client = await RawClient.connect({ port: side.proxy.port });
    client.send('*3\r\n$3\r\nSET\r\n$6\r\nbinary\r\n$2\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.send(Buffer.from([0x16, 0x03, 0x0d, 0x0a]));
    expect((await client.raw(1)).toString()).toBe('+OK\r\n');
    client.close();
  });

  it('closes a plain client on the TLS port at once', async () => {
    const before = await ssl('connection_error');
    const client = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
    const closed = new Promise((resolve) => client.once('close', resolve));
    client.on('error', () => {});
    client.resume();
    client.write('*1\r\n$4\r\nPING\r\n');
    const started = performance.now();
    await closed;
    expect(performance.now() - started).toBeLessThan(2000);
    await poll('it is counted', SEEN_MS, async () => (await ssl('connection_error')) > before);
    await poll('it is logged; not for each', SEEN_MS, async () => {
      const again = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
      again.on('error', () => {});
      again.end('PING\r\n');
      return side.proxy.stderr().includes('it does not speak TLS');
    });
  });

  it('closes handshakes that are not done in time: silent ones, and those that go byte by byte', async () => {
    const before = await ssl('connection_error');
    const silent = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
    const slow = net.connect({ port: side.tlsPort, host: '127.0.0.1' });
    const hello = Buffer.from('160301020001000001fc0303'.padEnd(1034, '0'), 'hex');
    let at = 0;
    const drip = setInterval(() => slow.write(hello.subarray(at, ++at)), 20);
    const started = performance.now();
    const ends = await Promise.all(
      [silent, slow].map(
        (socket) =>
          new Promise<number>((resolve) => {
            socket.on('error', () => {});
            socket.resume();
            socket.on('close', () => resolve(performance.now() - started));
          }),
      ),
    );
    clearInterval(drip);
    for (const ms of ends) {
      expect(ms).toBeGreaterThan(HANDSHAKE_MS - 100);
      expect(ms).toBeLessThan(HANDSHAKE_MS + 2000);
    }
    expect(await ssl('connection_error')).toBeGreaterThanOrEqual(before + 2);
    // Others are served meanwhile and afterwards.
    const socket = await connectTls(side.tlsPort, trust(authority));
    expect(await ping(socket)).toBe('+PONG\r\n');
    socket.destroy();
  });

  it('tells in its log when a client does not trust the certificate', async () => {
    await poll('it is said', SEEN_MS, async () => {
      expect(await sClient(side.tlsPort, '-verify_return_error', '-CAfile', stranger.ca)).toContain('verify error');
      return /do(es)? not trust the certificate of this proxy/.test(side.proxy.stderr());
    });
  });
});

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkCertificates } from '../../../src/certs/check.js';
import { createCertificates, renewCertificates } from '../../../src/certs/generate.js';
import { openssl, removeScratchAfterAll, request, scratch, verify } from './folder.js';

removeScratchAfterAll();

const NAMES = 300;
const HOSTS = ['redis-1,redis-1.internal,*.cache.internal,10.0.0.1,2001:db8::1', `many,${numbered(NAMES)}`];

function numbered(count: number): string {
  return Array.from({ length: count }, (_, i) => `host-${i}.a-rather-long-name.internal`).join(',');
}

let directory: string;

beforeAll(async () => {
  directory = path.join(await scratch(), 'certs');
  await createCertificates(request(directory, { hosts: HOSTS, clients: ['app'], proxyNames: ['cache.example'] }));
});

describe('OpenSSL', () => {
  it.each([
    ['nodes/redis-1/server.crt', ['-purpose', 'sslserver']],
    ['nodes/redis-1/server.crt', ['-purpose', 'sslclient']],
    ['nodes/redis-1/server.crt', ['-verify_hostname', 'redis-1']],
    ['nodes/redis-1/server.crt', ['-verify_hostname', 'one.cache.internal']],
    ['nodes/redis-1/server.crt', ['-verify_hostname', 'localhost']],
    ['nodes/redis-1/server.crt', ['-verify_ip', '10.0.0.1']],
    ['nodes/redis-1/server.crt', ['-verify_ip', '2001:db8:0:0::1']],
    ['nodes/redis-1/server.crt', ['-verify_ip', '::1']],
    ['nodes/many/server.crt', ['-verify_hostname', `host-${NAMES - 1}.a-rather-long-name.internal`]],
    ['clients/app/client.crt', ['-purpose', 'sslclient']],
    ['proxy/server.crt', ['-purpose', 'sslserver', '-verify_hostname', 'cache.example']],
    ['proxy/server.crt', ['-purpose', 'sslclient']],
    ['ca.crt', ['-purpose', 'crlsign']],
  ])('trusts %s %j, as strictly as it can', async (file, args) => {
    expect(await verify(directory, file, ...args)).toMatch(/: OK\n$/);
  });

  it.each([
    ['nodes/redis-1/server.crt', ['-verify_hostname', 'redis-2'], 'hostname mismatch'],
    ['nodes/redis-1/server.crt', ['-verify_hostname', 'a.b.cache.internal'], 'hostname mismatch'],
    ['nodes/redis-1/server.crt', ['-verify_ip', '10.0.0.2'], 'IP address mismatch'],
    ['clients/app/client.crt', ['-purpose', 'sslserver'], 'unsuitable certificate purpose'],
  ])('does not trust %s %j', async (file, args, complaint) => {
    expect((await verify(directory, file, ...args)).toLowerCase()).toContain(complaint.toLowerCase());
  });

  it('does not trust what another CA of the same name has signed', async () => {
    const other = path.join(await scratch(), 'certs');
    await createCertificates(request(other, { clients: ['app'] }));
    const complaint = await openssl('verify', '-CAfile', `${other}/ca.crt`, `${directory}/clients/app/client.crt`);
    expect(complaint).toContain('unable to get local issuer certificate');
  });

  it('finds the extensions of RFC 5280', async () => {
    const text = (file: string) => openssl('x509', '-noout', '-text', '-in', path.join(directory, file));
    const ca = await text('ca.crt');
    expect(ca).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(ca).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(ca).toContain('Public-Key: (3072 bit)');
    const leaf = await text('nodes/redis-1/server.crt');
    expect(leaf).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(leaf).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment\n/);
    expect(leaf).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication, TLS Web Client Authentication\n/);
    expect(leaf).toContain('Signature Algorithm: sha256WithRSAEncryption');
    expect(leaf).toContain('Public-Key: (2048 bit)');
    const identifier = /Subject Key Identifier:\s*([0-9A-F:]+)/.exec(ca)?.[1];
    expect(identifier).toMatch(/^(?:[0-9A-F]{2}:){19}[0-9A-F]{2}$/);
    expect(leaf).toMatch(new RegExp(`Authority Key Identifier:\\s*(?:keyid:)?${identifier}`));
  });

  it('reads the keys, and finds that they belong to their certificates', async () => {
    for (const pair of ['nodes/redis-1/server', 'clients/app/client', 'proxy/server', 'ca']) {
      const key = await openssl('pkey', '-pubout', '-in', path.join(directory, `${pair}.key`));
      const certificate = await openssl('x509', '-pubkey', '-noout', '-in', path.join(directory, `${pair}.crt`));
      expect(key).toBe(certificate);
      expect(await readFile(path.join(directory, `${pair}.key`), 'utf8')).toMatch(/^-----BEGIN PRIVATE/);
    }
  });

  it('opens the key of a CA with its passphrase only', async () => {
    const locked = path.join(await scratch(), 'certs');
    await createCertificates(request(locked, { clients: ['app'] }, { passphrase: 'correct horse' }));
    const open = (word: string) =>
      openssl('pkey', '-noout', '-text_pub', '-in', `${locked}/ca.key`, '-passin', `pass:${word}`);
    expect(await open('correct horse')).toContain('3072 bit');
    expect(await open('wrong horse')).toMatch(/bad decrypt|Could not read key/i);
    // Those of nodes and clients are for programs that nobody gives a passphrase to.
    expect(await openssl('pkey', '-noout', '-text_pub', '-in', `${locked}/clients/app/client.key`)).toContain(
      '2048 bit',
    );
  });
});

describe('certificates that OpenSSL has made', () => {
  let folder: string;
  const make = (...args: string[]) => openssl('req', '-x509', '-nodes', '-days', '400', ...args);
  beforeAll(async () => {
    folder = await scratch();
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    await make(...ec, '-keyout', `${folder}/root.key`, '-out', `${folder}/root.crt`, '-subj', '/CN=EC root');
    await openssl(
      ...['req', '-new', '-nodes', ...ec, '-keyout', `${folder}/redis.key`, '-out', `${folder}/redis.csr`, '-subj'],
      ...['/CN=redis', '-addext', 'subjectAltName=DNS:redis-1,IP:10.0.0.1'],
    );
    await openssl(
      ...['x509', '-req', '-in', `${folder}/redis.csr`, '-CA', `${folder}/root.crt`, '-CAkey', `${folder}/root.key`],
      ...['-CAcreateserial', '-days', '20', '-copy_extensions', 'copy', '-out', `${folder}/redis.crt`],
    );
  });

  it('are checked in whatever layout, with EC keys', async () => {
    const node = (host: string) => ({ nodes: [{ host, port: 6379 }], warnDays: 30, failDays: 7 });
    const report = await checkCertificates(folder, node('redis-1'));
    expect(report).toMatchObject({ verdict: 'WARN', rotation: 'none' });
    expect(report.certificates.map(({ check, kind, verdict, names }) => [check, kind, verdict, names])).toEqual([
      ['redis.crt', 'other', 'WARN', ['redis-1', '10.0.0.1']],
      ['root.crt', 'ca', 'PASS', []],
    ]);
    const other = await checkCertificates(folder, node('redis-9'));
    expect(other.findings.flatMap(({ reasons }) => reasons.map(({ text }) => text))).toEqual([
      'no certificate is for the node redis-9:6379',
    ]);
  });

  it('tell a key of another, and a CA that has not signed', async () => {
    const mixed = await scratch();
    await writeFile(path.join(mixed, 'redis.crt'), await readFile(path.join(folder, 'redis.crt')));
    await writeFile(path.join(mixed, 'redis.key'), await readFile(path.join(folder, 'root.key')), { mode: 0o600 });
    await writeFile(path.join(mixed, 'ca.crt'), await readFile(path.join(directory, 'ca.crt')));
    const report = await checkCertificates(mixed, { nodes: [], warnDays: 0, failDays: 0 });
    expect(report.verdict).toBe('FAIL');
    expect(report.certificates.find(({ check }) => check === 'redis.crt')?.reasons.map(({ text }) => text)).toEqual([
      'no CA that is trusted here has signed redis.crt (it says CN=EC root)',
      'the key in redis.key does not belong to redis.crt',
    ]);
  });

  it('make a CA to sign with, when its key is RSA; another kind is refused', async () => {
    const own = await scratch();
    const subject = ['-subj', '/O=Bücher GmbH/OU=two+CN=words', '-utf8', '-multivalue-rdn'];
    await make('-newkey', 'rsa:2048', '-keyout', `${own}/ca.key`, '-out', `${own}/ca.crt`, ...subject);
    const wanted = { hosts: ['redis-1'], clients: ['app'] };
    const renew = (where: string) => renewCertificates({ ...request(where, wanted), withinDays: 30, newKeys: false });
    expect(await renew(own)).toMatchObject({ outcome: 'renewed' });
    // Their CA itself is not as strict as -x509_strict.
    for (const file of ['nodes/redis-1/server.crt', 'clients/app/client.crt']) {
      expect(await openssl('verify', '-CAfile', `${own}/ca-bundle.crt`, `${own}/${file}`)).toMatch(/: OK\n$/);
    }
    const ec = await scratch();
    for (const kind of ['crt', 'key']) await writeFile(`${ec}/ca.${kind}`, await readFile(`${folder}/root.${kind}`));
    await expect(renew(ec)).rejects.toThrow(/key of the kind ec/);
  });
});

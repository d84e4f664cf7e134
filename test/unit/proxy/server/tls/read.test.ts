import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../../../../../src/proxy/config/load.js';
import { readTls } from '../../../../../src/proxy/server/tls/read.js';
import { type Authority, type CertificateFiles, inDays, makeAuthority } from '../../../../support/certificates.js';

let authority: Authority;
let other: CertificateFiles;

beforeAll(async () => {
  authority = await makeAuthority();
  other = await authority.issue({ name: 'other', names: ['DNS:a.test', 'DNS:*.B.test', 'IP:10.0.0.1'] });
});

afterAll(() => authority?.remove());

interface Given {
  chain?: string;
  key?: string;
  password?: string;
  more?: object;
}

function read({ chain = authority.server.certificate, key = authority.server.key, password, more = {} }: Given = {}) {
  const config = {
    listeners: [
      {
        address: '127.0.0.1:6380',
        cluster: 'main',
        tls_context: {
          tls_certificates: [
            {
              certificate_chain: { filename: chain },
              private_key: { filename: key },
              ...(password === undefined ? {} : { password: { inline: password } }),
            },
          ],
          ...more,
        },
      },
    ],
    clusters: [{ name: 'main', endpoints: ['127.0.0.1:7000'] }],
  };
  return readTls(parseConfig(JSON.stringify(config), 'proxy.yaml'), {
    source: 'proxy.yaml',
    secret: (from) => from.inline ?? '',
  });
}

function refusal(given: Given): string {
  try {
    read(given);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

const place = 'proxy.yaml: listeners[0].tls_context.tls_certificates[0]';

describe('certificates', () => {
  it('are read with their key, their names and the day of their end', () => {
    const material = read({ chain: other.certificate, key: other.key });
    const [server] = material.downstream;
    expect(server?.certificates[0]?.names).toEqual(['a.test', '*.b.test']);
    expect(server?.certificates[0]?.key).toContain('PRIVATE KEY');
    expect(server?.minVersion).toBe('TLSv1.2');
    expect(material.files).toEqual([other.certificate, other.key]);
    expect(material.warnings).toEqual([]);
    expect((material.firstExpiryMs - Date.now()) / 86_400_000).toBeCloseTo(365, 0);
    expect(read().downstream[0]?.certificates[0]?.names).toEqual(['localhost']);
  });

  it('have their common name when they have no others', async () => {
    const old = await authority.issue({ name: 'old', subject: 'Old.Example' });
    expect(read({ chain: old.certificate, key: old.key }).downstream[0]?.certificates[0]?.names).toEqual([
      'old.example',
    ]);
  });

  it('are refused when their time is over or has not come', async () => {
    const expired = await authority.issue({ name: 'expired', from: inDays(-9), until: inDays(-2) });
    const message = refusal({ chain: expired.certificate, key: expired.key });
    expect(message).toContain(
      `${place}.certificate_chain.filename: the certificate in ${expired.certificate} (CN=expired)`,
    );
    expect(message).toMatch(/expired on \d{4}-\d\d-\d\d; give one that is valid/);
    const early = await authority.issue({ name: 'early', from: inDays(2) });
    expect(refusal({ chain: early.certificate, key: early.key })).toMatch(
      /is valid only from \S+ on.*this host's clock/,
    );
  });

  it('are warned about when their time is nearly over', async () => {
    const soon = await authority.issue({ name: 'soon', until: inDays(20.5) });
    const { warnings } = read({ chain: soon.certificate, key: soon.key });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/soon\.crt \(CN=soon\) expires on \S+, in 20 days; put a new one in its place/);
  });

  it('are refused with the key of another one', () => {
    const message = refusal({ key: other.key });
    expect(message).toContain(
      `${place}.private_key.filename: the key in ${other.key} does not belong to the certificate`,
    );
  });

  it('are refused when a file is not there, not readable, a folder, too large, or something else', () => {
    const file = (name: string, content: string | Buffer) => {
      const made = path.join(authority.dir, name);
      writeFileSync(made, content);
      return made;
    };
    expect(refusal({ chain: '/no/such.crt' })).toContain('there is no file /no/such.crt; give the right path');
    expect(refusal({ chain: authority.dir })).toContain('is a folder; give a file');
    expect(refusal({ chain: file('large', Buffer.alloc(1024 * 1024 + 1)) })).toContain('too large for a PEM file');
    expect(refusal({ chain: file('empty', '') })).toContain('has no certificate in PEM format');
    expect(refusal({ chain: authority.server.key })).toContain("it holds a private key; give the certificate's file");
    expect(refusal({ key: authority.server.certificate })).toContain(
      "has no private key in PEM format; give the key's file",
    );
    const damaged = readFileSync(authority.server.certificate, 'utf8').replace(/\n.{20}/, `\n${'A'.repeat(20)}`);
    expect(refusal({ chain: file('damaged', damaged) })).toContain('certificate 1 in');
    const broken = readFileSync(authority.server.key, 'utf8').replace(/\n.{20}/, `\n${'A'.repeat(20)}`);
    expect(refusal({ key: file('broken', broken) })).toContain('is damaged; copy or make it anew');
    const locked = file('locked', 'x');
    copyFileSync(authority.server.key, locked);
    chmodSync(locked, 0);
    // The administrator may read everything.
    if (process.getuid?.() !== 0) expect(refusal({ key: locked })).toContain('may not be read by the user');
  });

  it('have encrypted keys when the password is there, and it is in no message', async () => {
    const locked = await authority.issue({ name: 'locked', password: 'opensesame' });
    const given = { chain: locked.certificate, key: locked.key };
    expect(refusal(given)).toContain("is encrypted; give its password ('password')");
    const wrong = refusal({ ...given, password: 'closed-sesame' });
    expect(wrong).toContain('cannot be decrypted with its password');
    expect(wrong).not.toContain('sesame');
    const [server] = read({ ...given, password: 'opensesame' }).downstream;
    expect(server?.certificates[0]?.key).not.toContain('ENCRYPTED');
  });

  it('are refused with ciphers that are none', () => {
    const message = refusal({ more: { tls_params: { cipher_suites: ['ECDHE-NONSENSE'] } } });
    expect(message).toContain('tls_params.cipher_suites: TLS refuses this');
  });

  it('are named by their flags when the command line gave them', () => {
    const config = parseConfig(
      JSON.stringify({
        listeners: [
          {
            address: 'a:1',
            cluster: 'main',
            tls_context: {
              tls_certificates: [
                { certificate_chain: { filename: '/no/such.crt' }, private_key: { filename: '/no/such.key' } },
              ],
            },
          },
        ],
        clusters: [{ name: 'main', endpoints: ['127.0.0.1:7000'] }],
      }),
      'x',
    );
    expect(() => readTls(config, { source: 'command line', secret: () => '' })).toThrow(
      'command line: --tls-cert: there is no file /no/such.crt',
    );
  });
});

describe('the settings of TLS', () => {
  it.each([
    [{ require_client_certificate: true }, /require_client_certificate: needs 'validation_context/],
    [
      { tls_params: { tls_minimum_protocol_version: 'TLSv1_1' } },
      /did you mean 'TLSv1_[123]'\?|one of TLSv1_2, TLSv1_3/,
    ],
    [
      { tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_2' } },
      /tls_minimum_protocol_version: more than tls_maximum_protocol_version/,
    ],
    [{ tls_params: { tls_minimum_protocol_version: 'TLSv1_3', cipher_suites: ['X'] } }, /only TLS 1.2 has ciphers/],
    [{ tls_params: { cipher_suites: ['TLS_AES_128_GCM_SHA256'] } }, /OpenSSL's name of a cipher of TLS 1.2/],
    [{ validation_context: { trusted_ca: 'ca.crt' } }, /\{ filename: FILE \}, a file in PEM format/],
    [{ tls_certificates: [] }, /at least one certificate with its key/],
    [{ validation_contxt: {} }, /unknown setting; did you mean 'validation_context'\?/],
  ])('%j is refused with what is wrong', (more, message) => {
    expect(() => read({ more })).toThrow(message);
  });

  it('allow each address once', () => {
    const text = (address: unknown) =>
      JSON.stringify({
        listeners: [{ address: '127.0.0.1:1', cluster: 'm', additional_addresses: [{ address }] }],
        clusters: [{ name: 'm', endpoints: ['a:1'] }],
      });
    expect(() => parseConfig(text('127.0.0.1:1'), 'p')).toThrow('the listener has 127.0.0.1:1 already');
    expect(
      parseConfig(text({ pipe: { path: '/run/a', mode: '0640' } }), 'p').listeners[0]?.additional_addresses,
    ).toEqual([{ address: { host: '', port: 0, path: '/run/a', mode: 0o640 } }]);
    expect(() => parseConfig(text({ pipe: { path: '/run/a', mode: 999 } }), 'p')).toThrow('three octal digits');
    expect(() => parseConfig(text('unix:run/a'), 'p')).toThrow('starts with /');
    expect(() => parseConfig(text('nonsense'), 'p')).toThrow('host:port, unix:/path');
  });
});

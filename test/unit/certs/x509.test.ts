import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { requireAuthorityName } from '../../../src/certs/authority.js';
import {
  certificateFacts,
  factsOf,
  hasCertificate,
  keyFacts,
  namesOf,
  readCertificates,
  signerOf,
} from '../../../src/certs/facts.js';
import { isEncryptedKey, keyPem, makeKeys, readKey, requireBits } from '../../../src/certs/keys.js';
import { authority, NOW, newKey, pair } from './made.js';

const ca = authority('Bücher CA');
const key = newKey();
const leaf = (options: Partial<Parameters<typeof pair>[2]> = {}) => {
  const { certificate } = pair('node', 'nodes/a', {
    by: ca,
    key,
    names: ['a', '*.b.c', '10.0.0.1', '::1'],
    ...options,
  });
  if (certificate === undefined) throw new Error('no certificate');
  return certificate;
};

describe('a certificate', () => {
  it('says what was asked for', () => {
    expect(leaf()).toMatchObject({
      commonName: 'a',
      names: [
        { type: 'dns', value: 'a' },
        { type: 'dns', value: '*.b.c' },
        { type: 'ip', value: '10.0.0.1' },
        { type: 'ip', value: '::1' },
      ],
      ...{ isCa: false, usages: ['server', 'client'], keyType: 'rsa', keyBits: 2048 },
      notBefore: NOW - 86_400_000,
    });
    expect(leaf().x509.checkIP('::1')).toBeDefined();
    expect(leaf().x509.checkHost('x.b.c', { subject: 'never' })).toBeDefined();
    expect(leaf().x509.checkHost('b.c', { subject: 'never' })).toBeUndefined();
    expect(leaf({ usages: ['client'], names: [] })).toMatchObject({ usages: ['client'], names: [] });
  });

  it('has a number of its own: positive, of 16 bytes, never the same', () => {
    const serials = Array.from({ length: 20 }, () => leaf().x509.serialNumber);
    expect(new Set(serials).size).toBe(20);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it('may end after 2049, when the form of dates changes', () => {
    expect(new Date(leaf({ until: 36_500 }).notAfter).toISOString()).toBe('2130-05-22T12:00:00.000Z');
  });

  it('is signed by its CA and no other, over certificates between them too', () => {
    const other = authority('Bücher CA');
    expect(signerOf(leaf(), [other.x509, ca.x509])?.fingerprint256).toBe(ca.x509.fingerprint256);
    // The same name is not the same CA.
    expect(signerOf(leaf(), [other.x509])).toBeUndefined();
    const self = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    expect(signerOf(leaf({ by: { ...ca, key: self } }), [ca.x509])).toBeUndefined();
    // What is no CA has signed nothing.
    expect(signerOf(leaf(), [leaf().x509])).toBeUndefined();
  });

  it('of a CA says so, and is of any name', () => {
    expect(factsOf(ca.x509)).toMatchObject({ isCa: true, commonName: 'Bücher CA' });
    expect(ca.x509.verify(ca.x509.publicKey)).toBe(true);
    expect(leaf().x509.issuer).toBe('CN=Bücher CA');
  });
});

describe('PEM', () => {
  it('is read with everything in it, in its order', () => {
    const text = `a remark\n${leaf().x509}\n${ca.pem}`;
    expect(readCertificates(text).map(({ fingerprint256 }) => fingerprint256)).toEqual([
      new X509Certificate(text).fingerprint256,
      ca.x509.fingerprint256,
    ]);
    expect(certificateFacts(text).chain).toHaveLength(1);
    expect(hasCertificate(text)).toBe(true);
  });

  it('is refused with the reason', () => {
    expect(() => readCertificates('')).toThrow('has no certificate in PEM format');
    expect(hasCertificate(keyPem(key))).toBe(false);
    const damaged = ca.pem.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA');
    expect(() => readCertificates(damaged)).toThrow('is damaged');
    expect(() => readCertificates(ca.pem + damaged)).toThrow('is damaged: certificate 2 cannot be read');
    expect(() => readCertificates(ca.pem.repeat(501))).toThrow('more than 500');
  });

  it('has names as Node tells them; what it quotes is none', () => {
    expect(namesOf(undefined)).toEqual([]);
    expect(namesOf('DNS:a, DNS:"b, DNS:evil", IP Address:10.0.0.1, URI:http://x, email:a@b')).toEqual([
      { type: 'dns', value: 'a' },
      { type: 'ip', value: '10.0.0.1' },
    ]);
  });
});

describe('a private key', () => {
  it('is made of the size that was asked for', async () => {
    const keys = await makeKeys([2048, 2056]);
    expect(keys.map(({ asymmetricKeyDetails }) => asymmetricKeyDetails?.modulusLength)).toEqual([2048, 2056]);
    expect(keys[0]?.asymmetricKeyDetails?.publicExponent).toBe(65_537n);
  });

  it('is not made any more when nobody waits for it', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(makeKeys([2048], signal)).rejects.toThrow('enough');
  });

  it.each([2047, 1024, 4104, 2050, 0, Number.NaN, 3000.5])('has no %d bits', (bits) => {
    expect(() => requireBits(bits)).toThrow(/not made/);
  });

  it('is PKCS#8, and encrypted with a passphrase', () => {
    expect(keyPem(key)).toMatch(/^-----BEGIN PRIVATE/);
    const encrypted = keyPem(key, 'correct horse');
    expect(isEncryptedKey(encrypted)).toBe(true);
    expect(readKey(encrypted, 'f', 'correct horse').equals(key)).toBe(true);
    expect(readKey(keyPem(key), 'f', 'not needed').equals(key)).toBe(true);
    expect(keyFacts(encrypted)).toEqual({ state: 'encrypted' });
  });

  it('is refused with the reason', () => {
    const encrypted = keyPem(key, 'correct horse');
    expect(() => readKey('', 'f')).toThrow('f has no private key in PEM format');
    expect(() => readKey(encrypted, 'f')).toThrow('encrypted, and there is no passphrase');
    expect(() => readKey(encrypted, 'f', 'wrong horse')).toThrow(expect.objectContaining({ kind: 'denied' }));
    const damaged = keyPem(key).replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA');
    expect(() => readKey(damaged, 'f')).toThrow('The private key in f is damaged');
    expect(keyFacts(damaged)).toMatchObject({ state: 'damaged' });
    expect(keyFacts('nothing')).toMatchObject({ state: 'damaged', fault: 'has no private key in PEM format' });
  });
});

describe('the name of a CA', () => {
  it('is any text of a line that fits', () => {
    expect(requireAuthorityName(' Bücher CA ')).toBe('Bücher CA');
    for (const bad of ['', ' ', 'a\nb', 'a\u0000', 'x'.repeat(56)]) {
      expect(() => requireAuthorityName(bad), JSON.stringify(bad)).toThrow(/cannot be the name/);
    }
  });
});

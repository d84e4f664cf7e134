/** What certificates and keys say, whoever made them. Pure. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { hasPrivateKey, isEncryptedKey } from './keys.js';
import { canonicalIp, type SubjectName } from './names.js';

export type Usage = 'server' | 'client';

export interface CertificateFacts {
  readonly x509: X509Certificate;
  /** Those after it in the same file: between it and its CA. */
  readonly chain: readonly X509Certificate[];
  readonly commonName: string;
  readonly names: readonly SubjectName[];
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly isCa: boolean;
  /** What it may be used for in TLS. */
  readonly usages: readonly Usage[];
  /** `AA:BB:…`, SHA-256. */
  readonly fingerprint: string;
  readonly keyType: string;
  /** Of an RSA key. */
  readonly keyBits?: number;
}

export type KeyFacts =
  | { readonly state: 'read'; readonly key: KeyObject }
  | { readonly state: 'encrypted' }
  | { readonly state: 'damaged'; readonly fault: string };

const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ANY_USAGE = '2.5.29.37.0';
/** Certificates in one file; a system's whole store has about 150. */
const PEM_MAX = 500;

/** Whether the text has a certificate in PEM format. */
export function hasCertificate(text: string): boolean {
  return text.search(PEM) >= 0;
}

/**
 * Every certificate of a PEM text, in its order.
 * @throws Error with a sentence for a text without one, and for a damaged one
 */
export function readCertificates(text: string): X509Certificate[] {
  const blocks = text.match(PEM) ?? [];
  if (blocks.length === 0) throw new Error('has no certificate in PEM format');
  if (blocks.length > PEM_MAX) throw new Error(`has more than ${PEM_MAX} certificates`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new Error(blocks.length === 1 ? 'is damaged' : `is damaged: certificate ${index + 1} cannot be read`);
    }
  });
}

/** @throws Error with a sentence, as `readCertificates` */
export function certificateFacts(text: string): CertificateFacts {
  const [x509, ...chain] = readCertificates(text);
  if (x509 === undefined) throw new Error('has no certificate in PEM format');
  return factsOf(x509, chain);
}

export function factsOf(x509: X509Certificate, chain: readonly X509Certificate[] = []): CertificateFacts {
  const { publicKey } = x509;
  return {
    x509,
    chain,
    commonName: /^CN=(.*)$/m.exec(x509.subject ?? '')?.[1] ?? '',
    names: namesOf(x509.subjectAltName),
    notBefore: Date.parse(x509.validFrom),
    notAfter: Date.parse(x509.validTo),
    isCa: x509.ca,
    usages: usagesOf(x509.keyUsage),
    fingerprint: x509.fingerprint256,
    keyType: publicKey.asymmetricKeyType ?? 'unknown',
    ...(publicKey.asymmetricKeyDetails?.modulusLength === undefined
      ? {}
      : { keyBits: publicKey.asymmetricKeyDetails.modulusLength }),
  };
}

/** Node's `DNS:a, IP Address:10.0.0.1`; what it quotes is no name of a host. */
export function namesOf(text: string | undefined): SubjectName[] {
  return [...(text ?? '').matchAll(/(?:^|, )(DNS|IP Address):([^",]+)(?=,|$)/g)].map(([, kind, value = '']) =>
    kind === 'DNS'
      ? { type: 'dns', value: value.trim().toLowerCase() }
      : { type: 'ip', value: canonicalIp(value.trim()) },
  );
}

/** A certificate that names no use may be used for all. */
function usagesOf(extended: readonly string[] | undefined): Usage[] {
  if (extended === undefined || extended.length === 0 || extended.includes(ANY_USAGE)) return ['server', 'client'];
  return [
    ...(extended.includes(SERVER_AUTH) ? (['server'] as const) : []),
    ...(extended.includes(CLIENT_AUTH) ? (['client'] as const) : []),
  ];
}

/** What a key file holds. */
export function keyFacts(pem: string): KeyFacts {
  if (!hasPrivateKey(pem)) return { state: 'damaged', fault: 'has no private key in PEM format' };
  if (isEncryptedKey(pem)) return { state: 'encrypted' };
  try {
    return { state: 'read', key: createPrivateKey(pem) };
  } catch {
    return { state: 'damaged', fault: 'holds a damaged private key' };
  }
}

/** Certificates between one and a CA, at most; public chains have two or three. */
const CHAIN_MAX = 8;

/**
 * The CA that has signed a certificate, over those in its own file; undefined when none of `authorities` has. Times are
 * not looked at.
 */
export function signerOf(
  { x509, chain }: Pick<CertificateFacts, 'x509' | 'chain'>,
  authorities: readonly X509Certificate[],
): X509Certificate | undefined {
  let current = x509;
  for (let depth = 0; depth < CHAIN_MAX; depth++) {
    const signer = authorities.find((each) => isSignedBy(current, each));
    if (signer !== undefined) return signer;
    const next = chain.find((each) => each !== current && isSignedBy(current, each));
    if (next === undefined) return undefined;
    current = next;
  }
  return undefined;
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  try {
    return authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  } catch {
    return false;
  }
}

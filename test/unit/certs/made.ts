/** Certificates and folders of them as values, for tests that touch no disk. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import type { StoredDirectory, StoredPair } from '../../../src/certs/directory.js';
import { certificateFacts, type Usage } from '../../../src/certs/facts.js';
import { type CertificateRole, pairFiles } from '../../../src/certs/layout.js';
import { parseSubjectName } from '../../../src/certs/names.js';
import { DAY_MS } from '../../../src/certs/plan.js';
import { issueAuthority, issueCertificate } from '../../../src/certs/x509.js';

export const NOW = Date.parse('2030-06-15T12:00:00Z');

export const newKey = (bits = 2048): KeyObject => generateKeyPairSync('rsa', { modulusLength: bits }).privateKey;

export interface TestAuthority {
  readonly pem: string;
  readonly x509: X509Certificate;
  readonly key: KeyObject;
}

export interface Times {
  /** Days from `NOW`. */
  readonly from?: number;
  readonly until?: number;
}

const validity = ({ from = -1, until = 365 }: Times) => ({
  notBefore: new Date(NOW + from * DAY_MS),
  notAfter: new Date(NOW + until * DAY_MS),
});

export function authority(commonName = 'test CA', times: Times = { until: 3650 }, key = newKey()): TestAuthority {
  const pem = issueAuthority({ commonName, key, ...validity(times) });
  return { pem, x509: new X509Certificate(pem), key };
}

export interface PairOptions extends Times {
  readonly names?: readonly string[];
  readonly usages?: readonly Usage[];
  readonly by: TestAuthority;
  /** Of the certificate. */
  readonly key?: KeyObject;
}

/** A certificate with its key in a place of the layout. */
export function pair(role: CertificateRole, folder: string, options: PairOptions): StoredPair {
  const key = options.key ?? newKey();
  const pem = issueCertificate({
    commonName: folder.slice(folder.lastIndexOf('/') + 1),
    names: (options.names ?? []).map(parseSubjectName),
    usages: options.usages ?? (role === 'client' ? ['client'] : ['server', 'client']),
    key,
    authority: options.by,
    ...validity(options),
  });
  const files = pairFiles(role, folder);
  return {
    ...{ role, folder, certificateFile: files.certificate, keyFile: files.key, certificate: certificateFacts(pem) },
    ...{ key: { state: 'read', key }, keyMode: 0o600 },
  };
}

/** A CA in its place. */
export function stored({ pem, key }: TestAuthority, name = 'ca'): StoredPair {
  return {
    ...{ certificateFile: `${name}.crt`, keyFile: `${name}.key`, certificate: certificateFacts(pem) },
    ...{ key: { state: 'read', key }, keyMode: 0o600 },
  };
}

export function directory(changes: Partial<StoredDirectory>): StoredDirectory {
  return { path: '/certs', exists: true, pairs: [], others: [], files: ['ca.crt'], halfDone: false, ...changes };
}

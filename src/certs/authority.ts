/** The CA: made, or taken from the folder to sign. */
import { type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import type { StoredPair } from './directory.js';
import { readKey } from './keys.js';
import { COMMON_NAME_MAX, shown } from './names.js';
import { CLOCK_SKEW_MS, DAY_MS, day } from './plan.js';
import { issueAuthority } from './x509.js';

export interface Authority {
  readonly x509: X509Certificate;
  readonly key: KeyObject;
}

export interface NewAuthority extends Authority {
  readonly pem: string;
}

/** Room for what tells one CA from the next of the same name. */
const SUFFIX_BYTES = 4;
const NAME_MAX = COMMON_NAME_MAX - 1 - 2 * SUFFIX_BYTES;

/** @throws ForgeError `usage` for a name that no certificate can have */
export function requireAuthorityName(name: string): string {
  const trimmed = name.trim();
  if (trimmed !== '' && [...trimmed].length <= NAME_MAX && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(trimmed))
    return trimmed;
  throw new ForgeError('usage', `"${shown(name)}" cannot be the name of a CA.`, {
    next: `Give 1 to ${NAME_MAX} characters, without control characters.`,
  });
}

/** A CA that signs itself. Two of one name are told apart by the letters at the end, also by people. */
export function newAuthority(name: string, key: KeyObject, days: number, now: number): NewAuthority {
  const pem = issueAuthority({
    commonName: `${name} ${randomBytes(SUFFIX_BYTES).toString('hex')}`,
    key,
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + days * DAY_MS),
  });
  return { pem, key, x509: new X509Certificate(pem) };
}

/**
 * The certificate of a CA that can sign now.
 * @throws ForgeError `configuration` for a certificate that is damaged, is no CA or is of a kind that does not sign here;
 *   `refused` for one that has expired or is not yet valid
 */
export function signingCertificate(directory: string, stored: StoredPair, now: number): X509Certificate {
  const file = path.join(directory, stored.certificateFile);
  const { certificate } = stored;
  if (certificate === undefined) {
    throw new ForgeError('configuration', `${file} ${stored.certificateFault ?? 'does not exist'}.`, {
      next: 'Put the CA’s certificate there, or make everything anew with --force.',
    });
  }
  const { x509, isCa, notAfter, notBefore, keyType } = certificate;
  if (!isCa) {
    throw new ForgeError('configuration', `The certificate in ${file} is not that of a CA.`, {
      next: 'Put the CA’s certificate there.',
    });
  }
  if (keyType !== 'rsa') {
    throw new ForgeError(
      'configuration',
      `The CA in ${file} has a key of the kind ${keyType}; gen-certs signs with RSA.`,
      {
        next: 'Renew with the program that made it, or make a CA with --force in another folder.',
      },
    );
  }
  const clock = `The clock of this machine says ${new Date(now).toISOString().slice(0, 16)}Z.`;
  if (notAfter <= now) {
    throw new ForgeError(
      'refused',
      `The CA in ${file} expired on ${day(notAfter)}, so nobody would trust what it signs.`,
      {
        next: [`${clock} Set it when it is wrong.`, 'A new CA: --rotate-ca, then --switch-ca.'],
      },
    );
  }
  if (notBefore > now) {
    throw new ForgeError('refused', `The CA in ${file} is valid only from ${day(notBefore)} on.`, {
      next: `${clock} Set it, and run this again.`,
    });
  }
  return x509;
}

/**
 * The key of a CA, checked to be its own.
 * @param keyFile where it is kept when it is not beside the certificate
 * @throws ForgeError `configuration` for a key that is not there, is damaged or belongs to another CA; `denied` for a wrong
 *   passphrase
 */
export async function signingKey(
  directory: string,
  stored: StoredPair,
  x509: X509Certificate,
  options: { keyFile?: string; passphrase?: string },
): Promise<{ key: KeyObject; pem: string }> {
  const file = options.keyFile ?? path.join(directory, stored.keyFile);
  let pem: string;
  try {
    pem = await readFile(file, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ForgeError(
      'configuration',
      `The key of the CA, ${file}, ${missing ? 'does not exist' : 'cannot be read'}.`,
      {
        next: 'Name the file where it is kept with --ca-key-file.',
        cause,
      },
    );
  }
  const key = readKey(pem, file, options.passphrase);
  if (!x509.checkPrivateKey(key)) {
    throw new ForgeError('configuration', `The key in ${file} is not that of the CA in ${stored.certificateFile}.`, {
      next: 'Give the key that the CA was made with.',
    });
  }
  return { key, pem };
}

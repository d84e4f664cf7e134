/** Private keys: made by the runtime's own cryptography, kept as PKCS#8 PEM, the CA's encrypted where there is a passphrase. */
import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { mapBounded } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';

const generate = promisify(generateKeyPair);

export const BITS_MIN = 2048;
export const BITS_MAX = 4096;
export const BITS_DEFAULT = 2048;
/** A CA lives for years; NIST SP 800-57 asks for 3072 bits of what is still used after 2030. */
export const CA_BITS_MIN = 3072;
/** The runtime makes keys in its own threads, of which there are four; more would only wait. */
const KEYS_AT_ONCE = 4;
const PUBLIC_EXPONENT = 65_537;
const CIPHER = 'aes-256-cbc';

/** @throws ForgeError `usage` for a size that is too weak, too slow or odd */
export function requireBits(bits: number): number {
  if (Number.isInteger(bits) && bits >= BITS_MIN && bits <= BITS_MAX && bits % 8 === 0) return bits;
  throw new ForgeError('usage', `RSA keys of ${bits} bits are not made.`, {
    next: `Give --bits from ${BITS_MIN} to ${BITS_MAX}, a multiple of 8.`,
  });
}

/** One RSA key for each size. */
export type KeyMaker = (sizes: readonly number[], signal?: AbortSignal) => Promise<KeyObject[]>;

/** One new RSA key for each size, several at once. @throws the signal's reason when it is aborted between two keys */
export async function makeKeys(sizes: readonly number[], signal?: AbortSignal): Promise<KeyObject[]> {
  return mapBounded(sizes, KEYS_AT_ONCE, async (modulusLength) => {
    signal?.throwIfAborted();
    const { privateKey } = await generate('rsa', { modulusLength, publicExponent: PUBLIC_EXPONENT });
    return privateKey;
  });
}

/** PKCS#8 in PEM; encrypted with a passphrase. */
export function keyPem(key: KeyObject, passphrase?: string): string {
  return key
    .export({ type: 'pkcs8', format: 'pem', ...(passphrase === undefined ? {} : { cipher: CIPHER, passphrase }) })
    .toString();
}

/** Whether a PEM text holds an encrypted private key, of either form. */
export function isEncryptedKey(pem: string): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----/.test(pem) || /^Proc-Type: 4,ENCRYPTED/m.test(pem);
}

/** Whether a PEM text holds a private key at all. */
export function hasPrivateKey(pem: string): boolean {
  return /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/.test(pem);
}

/**
 * Reads a private key that is to sign or to be used.
 * @param file for messages
 * @throws ForgeError `configuration` for what is no key, or is encrypted and no passphrase is there; `denied` for a wrong
 *   passphrase
 */
export function readKey(pem: string, file: string, passphrase?: string): KeyObject {
  if (!hasPrivateKey(pem)) {
    throw new ForgeError('configuration', `${file} has no private key in PEM format.`, {
      next: 'Give the right file.',
    });
  }
  const encrypted = isEncryptedKey(pem);
  if (encrypted && passphrase === undefined) {
    throw new ForgeError('configuration', `The key in ${file} is encrypted, and there is no passphrase.`, {
      next: 'Set FORGE_CA_PASSPHRASE, or give --ca-passphrase-file FILE.',
    });
  }
  try {
    return createPrivateKey({ key: pem, ...(encrypted ? { passphrase } : {}) });
  } catch (cause) {
    if (!encrypted) {
      throw new ForgeError('configuration', `The private key in ${file} is damaged.`, {
        next: 'Copy it anew from where it was made.',
        cause,
      });
    }
    throw new ForgeError('denied', `The key in ${file} cannot be decrypted: the passphrase is not the right one.`, {
      next: 'Check FORGE_CA_PASSPHRASE, or the file that --ca-passphrase-file names.',
      cause,
    });
  }
}

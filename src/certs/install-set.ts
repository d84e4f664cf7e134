/** What of a container's files are certificates, and whether they may be given to whom they are for. Pure. */
import type { X509Certificate } from 'node:crypto';
import {
  type CertificateFacts,
  certificateFacts,
  hasCertificate,
  type KeyFacts,
  keyFacts,
  signerOf,
  type Usage,
} from './facts.js';
import { BITS_MIN, hasPrivateKey } from './keys.js';
import { covers, type SubjectName } from './names.js';
import { day, listed } from './plan.js';

/** `trust`: CAs. `pair`: a certificate or its key, or both in one file. */
export type CertificatePart = 'trust' | 'pair';

/** Undefined for a file that has neither certificates nor a key. */
export function certificatePart(text: string): CertificatePart | undefined {
  if (hasPrivateKey(text)) return 'pair';
  if (!hasCertificate(text)) return undefined;
  try {
    return certificateFacts(text).isCa ? 'trust' : 'pair';
  } catch {
    // What is damaged is judged as one that is to be shown.
    return 'pair';
  }
}

/** The certificates of one party: what it shows, and whom it trusts. */
export interface CertificateSet {
  /** By the paths of their files. */
  readonly shown: ReadonlyMap<string, CertificateFacts>;
  readonly keys: ReadonlyMap<string, KeyFacts>;
  readonly trusted: readonly X509Certificate[];
  /** Files that cannot be read, with why: `server.crt is damaged`. */
  readonly faults: readonly string[];
}

export function certificateSet(files: Iterable<readonly [path: string, text: string]>): CertificateSet {
  const shown = new Map<string, CertificateFacts>();
  const keys = new Map<string, KeyFacts>();
  const trusted: X509Certificate[] = [];
  const faults: string[] = [];
  for (const [path, text] of files) {
    if (hasPrivateKey(text)) keys.set(path, keyFacts(text));
    if (!hasCertificate(text)) continue;
    try {
      const facts = certificateFacts(text);
      if (facts.isCa && !hasPrivateKey(text)) trusted.push(facts.x509, ...facts.chain);
      else shown.set(path, facts);
    } catch (error) {
      faults.push(`${path} ${(error as Error).message}`);
    }
  }
  return { shown, keys, trusted, faults };
}

export interface SetWanted {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Names and addresses that others reach it by. */
  readonly names: readonly SubjectName[];
  /** What it shows its certificate for, to others who trust the same CAs; undefined for somebody else's, of other CAs. */
  readonly usages?: readonly Usage[] | undefined;
}

/** Why a set may not be given out, a sentence each; empty when it may. */
export function judgeSet(set: CertificateSet, wanted: SetWanted): string[] {
  const faults = [...set.faults];
  for (const [path, certificate] of set.shown) {
    faults.push(...timeFaults(path, certificate, wanted.now), ...keyFaults(path, certificate, set.keys, wanted));
    if (wanted.usages !== undefined) faults.push(...ownFaults(path, certificate, set, wanted));
  }
  // One of several may have ended; nobody can be trusted when none is left.
  const ended = set.trusted.every(({ validTo }) => Date.parse(validTo) <= wanted.now);
  return set.trusted.length > 0 && ended ? [...faults, 'every CA that it would trust has expired'] : faults;
}

function timeFaults(path: string, { notBefore, notAfter }: CertificateFacts, now: number): string[] {
  if (notAfter <= now) return [`${path} expired on ${day(notAfter)}`];
  return notBefore > now ? [`${path} is valid only from ${day(notBefore)} on; is the clock (${day(now)}) right?`] : [];
}

function keyFaults(
  path: string,
  certificate: CertificateFacts,
  keys: ReadonlyMap<string, KeyFacts>,
  { usages: own }: SetWanted,
): string[] {
  const { keyType, keyBits = BITS_MIN } = certificate;
  const weak = keyType === 'rsa' && keyBits < BITS_MIN ? [`the key of ${path} has only ${keyBits} bits`] : [];
  const readable = [...keys.values()].flatMap((each) => (each.state === 'read' ? [each.key] : []));
  if (readable.some((key) => certificate.x509.checkPrivateKey(key))) return weak;
  const encrypted = [...keys].find(([, { state }]) => state === 'encrypted')?.[0];
  // A proxy may have the password of its key in its configuration.
  if (encrypted !== undefined)
    return own !== undefined ? [`${encrypted} is encrypted, and a server could not read it`, ...weak] : weak;
  return [keys.size === 0 ? `there is no key of ${path}` : `no key that is there belongs to ${path}`, ...weak];
}

function ownFaults(path: string, certificate: CertificateFacts, set: CertificateSet, wanted: SetWanted): string[] {
  const { usages, names } = certificate;
  const lacking = (wanted.usages ?? []).filter((usage) => !usages.includes(usage));
  const missing = wanted.names.filter((name) => !names.some((has) => covers(has, name)));
  const signer = signerOf(certificate, set.trusted);
  const ended = signer !== undefined && Date.parse(signer.validTo) <= wanted.now;
  return [
    ...(lacking.length === 0 ? [] : [`${path} may not be used as a ${lacking.join(' and a ')}`]),
    ...(missing.length === 0 ? [] : [`${path} is not for ${listed(missing)}`]),
    ...(signer === undefined ? [`no CA that goes with it has signed ${path}`] : []),
    ...(ended ? [`the CA that has signed ${path} has expired`] : []),
  ];
}

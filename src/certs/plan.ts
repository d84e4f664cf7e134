/** What a run makes, renews and keeps, and why. Pure. */
import type { X509Certificate } from 'node:crypto';
import { ForgeError } from '../errors.js';
import type { StoredDirectory, StoredPair } from './directory.js';
import { signerOf, type Usage } from './facts.js';
import type { CertificateRole } from './layout.js';
import { commonNameOf, covers, type SubjectName, uniqueNames } from './names.js';
import type { WantedCertificate } from './wanted.js';

export const DAY_MS = 86_400_000;
/** A certificate that a machine with a slow clock gets must be valid there, too. */
export const CLOCK_SKEW_MS = 3_600_000;
/** A key below is replaced; the CA/Browser forum and OpenSSL's default both refuse it. */
const KEY_BITS_MIN = 2048;
/** Dates in certificates have whole seconds. */
const SECOND_MS = 1_000;

export interface PlanItem {
  readonly role: CertificateRole;
  readonly folder: string;
  readonly commonName: string;
  readonly names: readonly SubjectName[];
  readonly usages: readonly Usage[];
  readonly action: 'create' | 'renew' | 'keep';
  readonly key: 'new' | 'keep';
  /** Why it is renewed, or gets a new key. */
  readonly reasons: readonly string[];
  /** What is there now. */
  readonly stored?: StoredPair;
}

export interface PlanOptions {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Renew what ends within so many days. */
  readonly withinDays: number;
  /** Renew everything, with new keys. */
  readonly newKeys: boolean;
  /** The CA that signs. */
  readonly signer: X509Certificate;
}

/** What the certificates of a role are used for: nodes are servers to each other and clients of each other. */
export function usagesOf(role: CertificateRole): Usage[] {
  return role === 'client' ? ['client'] : ['server', 'client'];
}

/** Everything anew. */
export function planCreation(wanted: readonly WantedCertificate[]): PlanItem[] {
  return wanted.map(({ role, folder, commonName, names, extraNames }) => ({
    ...{ role, folder, commonName, usages: usagesOf(role), names: uniqueNames([...names, ...extraNames]) },
    ...{ action: 'create', key: 'new', reasons: [] },
  }));
}

/**
 * What is to be made and renewed of what is wanted and of what is there. Names are added to a certificate, never taken
 * away: one that was given by a flag once is not said again.
 * @throws ForgeError `refused` for a damaged certificate of which nobody knows the names
 */
export function planRenewal(
  stored: Pick<StoredDirectory, 'pairs'>,
  wanted: readonly WantedCertificate[],
  options: PlanOptions,
): PlanItem[] {
  const there = new Map(stored.pairs.map((pair) => [pair.folder, pair]));
  const asked = new Set(wanted.map(({ folder }) => folder));
  const others = stored.pairs.filter(({ folder }) => folder !== undefined && !asked.has(folder)).map(asWanted);
  return [...wanted, ...others].map((each) => planOne(each, there.get(each.folder), options));
}

/**
 * A certificate that is there and that nobody asks for is kept alive as it is.
 * @throws ForgeError `refused` when it cannot be read, so that nobody knows for which names it was
 */
function asWanted({
  role = 'node',
  folder = '',
  certificate,
  certificateFile,
  certificateFault,
}: StoredPair): WantedCertificate {
  if (certificate === undefined && role !== 'client') {
    const flag = role === 'proxy' ? '--proxy-name NAME' : '--host NAME,NAME';
    throw new ForgeError(
      'refused',
      `${certificateFile} ${certificateFault ?? 'does not exist'}, and nothing says for which names it was.`,
      { next: `Say it with ${flag} or in forge.yaml, or delete the folder ${folder}.` },
    );
  }
  const last = folder.slice(folder.lastIndexOf('/') + 1);
  return {
    ...{ role, folder, commonName: commonNameOf(certificate?.commonName || last) },
    ...{ names: certificate?.names ?? [], extraNames: [] },
  };
}

function planOne(wanted: WantedCertificate, stored: StoredPair | undefined, options: PlanOptions): PlanItem {
  const { role, folder, commonName } = wanted;
  const has = stored?.certificate?.names ?? [];
  const names = uniqueNames([...wanted.names, ...has, ...wanted.extraNames]);
  const base = { role, folder, commonName, names, usages: usagesOf(role) };
  if (stored === undefined) return { ...base, action: 'create', key: 'new', reasons: [] };
  const keyReasons = reasonsForNewKey(stored);
  const reasons = [
    ...(options.newKeys ? ['new keys are asked for'] : []),
    ...keyReasons,
    ...reasonsToRenew(wanted, stored, options),
  ];
  return {
    ...base,
    action: reasons.length === 0 ? 'keep' : 'renew',
    key: options.newKeys || keyReasons.length > 0 ? 'new' : 'keep',
    reasons,
    stored,
  };
}

function reasonsForNewKey({ certificate, key, keyFault }: StoredPair): string[] {
  if (key === undefined) return [`its key ${keyFault ?? 'does not exist'}`];
  if (key.state === 'encrypted') return ['its key is encrypted'];
  if (key.state === 'damaged') return [`its key ${key.fault}`];
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details } = key.key;
  if (type !== 'rsa') return [`its key is of the kind ${type}`];
  const bits = details?.modulusLength ?? 0;
  if (bits < KEY_BITS_MIN) return [`its key has only ${bits} bits`];
  if (certificate !== undefined && !certificate.x509.checkPrivateKey(key.key)) return ['its key is another one'];
  return [];
}

function reasonsToRenew(wanted: WantedCertificate, stored: StoredPair, options: PlanOptions): string[] {
  const { certificate, certificateFault } = stored;
  const { now, withinDays, signer } = options;
  if (certificate === undefined) return [`its certificate ${certificateFault ?? 'does not exist'}`];
  const { notBefore, notAfter, usages } = certificate;
  const reasons: string[] = [];
  const days = Math.floor((notAfter - now) / DAY_MS);
  // A certificate cannot outlive its CA: renewing it for that would change nothing.
  const endsWithCa = notAfter >= Date.parse(signer.validTo) - SECOND_MS;
  if (notAfter <= now) reasons.push(`it expired on ${day(notAfter)}`);
  else if (days < withinDays && !endsWithCa) reasons.push(`it ends in ${days} days`);
  if (notBefore > now) reasons.push(`it is valid only from ${day(notBefore)} on`);
  if (signerOf(certificate, [signer]) === undefined) reasons.push('another CA has signed it');
  const missing = wanted.names.filter((name) => !certificate.names.some((has) => covers(has, name)));
  if (missing.length > 0) reasons.push(`it is not for ${listed(missing)}`);
  const lacking = usagesOf(wanted.role).filter((usage) => !usages.includes(usage));
  if (lacking.length > 0) reasons.push(`it may not be used as a ${lacking.join(' and a ')}`);
  return reasons;
}

const LISTED_MAX = 5;

/** A few names for a sentence. */
export function listed(names: readonly SubjectName[]): string {
  const shown = names.slice(0, LISTED_MAX).map(({ value }) => value);
  return `${shown.join(', ')}${names.length > LISTED_MAX ? ` and ${names.length - LISTED_MAX} more` : ''}`;
}

/** `2027-11-22`. */
export function day(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}

/** Makes a folder of certificates, and renews what is in one. */
import type { KeyObject } from 'node:crypto';
import { ForgeError } from '../errors.js';
import { type NewAuthority, newAuthority, signingCertificate, signingKey } from './authority.js';
import { readDirectory, type StoredDirectory } from './directory.js';
import { type IssuedCertificate, issuePlan, makePlanKeys, preview } from './issue.js';
import { CA_BITS_MIN, type KeyMaker, keyPem } from './keys.js';
import { CA_BUNDLE, CA_CERTIFICATE, CA_KEY, CERTIFICATE_MODE, KEY_MODE } from './layout.js';
import { DAY_MS, day, type PlanItem, planCreation, planRenewal } from './plan.js';
import { type RotationState, rotationState } from './rotation.js';
import { createFolder, type FileChange, type OpenFolder, withFolder } from './store.js';
import type { WantedCertificate } from './wanted.js';

export interface GenerateOptions {
  /** Absolute. */
  readonly directory: string;
  readonly wanted: readonly WantedCertificate[];
  /** RSA keys of nodes, clients and the proxy. */
  readonly bits: number;
  /** How long certificates are valid. */
  readonly days: number;
  readonly caDays: number;
  readonly caName: string;
  /** Encrypts the CA's key, and decrypts it. */
  readonly passphrase?: string;
  /** The CA's key when it is not in the folder. */
  readonly caKeyFile?: string;
  readonly dryRun?: boolean;
  /** Milliseconds since 1970; the clock when not given. */
  readonly now?: number;
  readonly signal?: AbortSignal;
  /** Where keys come from: new ones when not given. For tests, which would spend most of their time on making them. */
  readonly keyMaker?: KeyMaker;
}

export interface CreateOptions extends GenerateOptions {
  /** Replaces what is there, the CA too. */
  readonly force?: boolean;
}

export interface RenewOptions extends GenerateOptions {
  readonly withinDays: number;
  readonly newKeys: boolean;
}

export interface GenerateResult {
  readonly directory: string;
  /** `finished`: an interrupted run was brought to its end, and that was all. */
  readonly outcome: 'created' | 'renewed' | 'unchanged' | 'finished' | RotationState;
  readonly dryRun: boolean;
  readonly authority: { readonly fingerprint: string; readonly expires: string } | null;
  readonly certificates: readonly IssuedCertificate[];
  readonly remarks: readonly string[];
}

/**
 * A CA, and a certificate for everybody who is wanted.
 * @throws ForgeError `refused` when the folder has certificates already, without `force`
 */
export async function createCertificates(options: CreateOptions): Promise<GenerateResult> {
  const before = await readDirectory(options.directory);
  const items = planCreation(options.wanted);
  // What an interrupted run has decided is finished before anything is said of what is there.
  if (!before.halfDone) refuseOverwriting(before, options);
  if (options.dryRun) return result(options, 'created', preview(items));
  // Keys take most of the time; the folder is held only to write.
  const [caKey, ...keys] = await makePlanKeys(items, options, [caBits(options.bits)]);
  if (caKey === undefined) throw new Error('there is no key for the CA');
  if (!before.exists) {
    const { changes, done } = everythingNew(options, items, caKey, keys);
    await createFolder(options.directory, changes);
    return done;
  }
  return withFolder(options.directory, async (folder) => {
    if (folder.finished !== undefined && !options.force) return finished(options);
    const now = await readDirectory(options.directory);
    refuseOverwriting(now, options);
    const { changes, done } = everythingNew(options, items, caKey, keys);
    const kept = new Set(changes.map(({ file }) => file));
    const removed = now.files.filter((file) => !kept.has(file)).map((file) => ({ file, mode: 0 }));
    options.signal?.throwIfAborted();
    await folder.apply('create', [...changes, ...removed]);
    return done;
  });
}

function everythingNew(
  options: GenerateOptions,
  items: readonly PlanItem[],
  caKey: KeyObject,
  keys: readonly KeyObject[],
): { changes: FileChange[]; done: GenerateResult } {
  const now = options.now ?? Date.now();
  const authority = newAuthority(options.caName, caKey, options.caDays, now);
  const { changes, certificates } = issuePlan(items, { authority, keys, days: options.days, now });
  const remarks = options.days > options.caDays ? [`They end with the CA, after ${options.caDays} days.`] : [];
  const own = authorityFiles(authority, options.passphrase);
  return { changes: [...own, ...changes], done: result(options, 'created', certificates, authority, remarks) };
}

function authorityFiles({ pem, key }: NewAuthority, passphrase: string | undefined): FileChange[] {
  return [
    { file: CA_CERTIFICATE, content: pem, mode: CERTIFICATE_MODE },
    { file: CA_KEY, content: keyPem(key, passphrase), mode: KEY_MODE },
    { file: CA_BUNDLE, content: pem, mode: CERTIFICATE_MODE },
  ];
}

/** Bits of a CA's key: it lives longer than what it signs. */
export function caBits(bits: number): number {
  return Math.max(bits, CA_BITS_MIN);
}

const LISTED_MAX = 8;

function refuseOverwriting({ path, files, authority }: StoredDirectory, { force }: CreateOptions): void {
  if (files.length === 0 || force === true) return;
  const more = files.length > LISTED_MAX ? ` and ${files.length - LISTED_MAX} more` : '';
  const ends =
    authority?.certificate === undefined ? '' : ` The CA is valid until ${day(authority.certificate.notAfter)}.`;
  throw new ForgeError(
    'refused',
    `${path} has certificates already: ${files.slice(0, LISTED_MAX).join(', ')}${more}.${ends}`,
    {
      next: [
        `To renew them and add what is missing, with the same CA: forge gen-certs ${path} --renew`,
        'To replace all, the CA too: --force. Whoever trusts the CA that is there will not trust the new one.',
      ],
      details: { files },
    },
  );
}

/**
 * Renews what ends soon or does not fit any more, and makes what is missing, with the CA that is there.
 * @throws ForgeError `refused` without a CA, or with one that has expired; `configuration`, `denied` for its key
 */
export async function renewCertificates(options: RenewOptions): Promise<GenerateResult> {
  const stored = await readDirectory(options.directory);
  const { authority } = stored;
  if (authority === undefined && !stored.halfDone) throw noAuthority(options.directory);
  if (options.dryRun && authority !== undefined) {
    const signer = signingCertificate(options.directory, authority, options.now ?? Date.now());
    return renewed(options, preview(planItems(stored, signer, options)), signer);
  }
  return withFolder(options.directory, (folder) => renewIn(folder, options));
}

async function renewIn(folder: OpenFolder, options: RenewOptions): Promise<GenerateResult> {
  const { directory, signal, days } = options;
  const now = options.now ?? Date.now();
  const stored = await readDirectory(directory);
  if (stored.authority === undefined) throw noAuthority(directory);
  const x509 = signingCertificate(directory, stored.authority, now);
  const items = planItems(stored, x509, options);
  const bundle = trustedBundle(stored, x509);
  if (items.every(({ action }) => action === 'keep') && bundle.length === 0) {
    return renewed(options, preview(items), x509);
  }
  const { key } = await signingKey(directory, stored.authority, x509, {
    keyFile: options.caKeyFile,
    passphrase: options.passphrase,
  });
  const keys = await makePlanKeys(items, options);
  const { changes, certificates } = issuePlan(items, { authority: { x509, key }, keys, days, now });
  signal?.throwIfAborted();
  await folder.apply('renew', [...changes, ...bundle]);
  return renewed(options, certificates, x509);
}

function planItems(stored: StoredDirectory, signer: NewAuthority['x509'], options: RenewOptions): PlanItem[] {
  const { now = Date.now(), withinDays, newKeys } = options;
  return planRenewal(stored, options.wanted, { now, withinDays, newKeys, signer });
}

/** A bundle without the CA that signs, or none at all (a CA that somebody else made), is written anew. */
function trustedBundle(stored: StoredDirectory, signer: NewAuthority['x509']): FileChange[] {
  const has = stored.bundle?.some(({ fingerprint256 }) => fingerprint256 === signer.fingerprint256) ?? false;
  if (has) return [];
  const others = [stored.next, stored.previous].flatMap((each) => each?.certificate?.x509 ?? []);
  return [{ file: CA_BUNDLE, content: bundleOf([signer, ...others]), mode: CERTIFICATE_MODE }];
}

/** Several CAs in one file. */
export function bundleOf(authorities: readonly NewAuthority['x509'][]): string {
  return authorities.map((each) => each.toString()).join('');
}

function noAuthority(directory: string): ForgeError {
  return new ForgeError('refused', `There is no CA in ${directory} that could renew anything.`, {
    next: [
      `To make one, and all certificates: forge gen-certs ${directory}`,
      `To sign with a CA of your own, put it there as ${CA_CERTIFICATE} and ${CA_KEY}, and run this again.`,
    ],
  });
}

function renewed(
  options: RenewOptions,
  certificates: readonly IssuedCertificate[],
  authority: NewAuthority['x509'],
): GenerateResult {
  const now = options.now ?? Date.now();
  const end = Date.parse(authority.validTo);
  const left = Math.floor((end - now) / DAY_MS);
  const remarks =
    left < options.days
      ? [`The CA ends on ${day(end)}, in ${left} days, and nothing outlives it: change it in time (--rotate-ca).`]
      : [];
  const outcome = certificates.every(({ action }) => action === 'kept') ? 'unchanged' : 'renewed';
  return result(options, outcome, certificates, { x509: authority }, remarks);
}

/** For a run that has only brought an interrupted one to its end. */
export async function finished(options: Pick<GenerateOptions, 'directory'>): Promise<GenerateResult> {
  const stored = await readDirectory(options.directory);
  const x509 = stored.authority?.certificate?.x509;
  const state = rotationState(stored);
  return result(options, 'finished', [], x509 === undefined ? undefined : { x509 }, [
    'An earlier run was interrupted while it put its files in place; they are now. Nothing else was done.',
    ...(state === 'none' ? [] : [`The CA is being changed: ${state}.`]),
  ]);
}

/** What a run came to. */
export function result(
  { directory, dryRun = false }: Pick<GenerateOptions, 'directory' | 'dryRun'>,
  outcome: GenerateResult['outcome'],
  certificates: readonly IssuedCertificate[],
  authority?: Pick<NewAuthority, 'x509'>,
  remarks: readonly string[] = [],
): GenerateResult {
  return {
    ...{ directory, outcome, dryRun, certificates, remarks },
    authority:
      authority === undefined
        ? null
        : {
            fingerprint: authority.x509.fingerprint256,
            expires: new Date(authority.x509.validTo).toISOString(),
          },
  };
}

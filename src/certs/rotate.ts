/** Changes the CA while both are trusted: announce the next one, have it sign, retire the previous one. */
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { newAuthority, signingCertificate, signingKey } from './authority.js';
import { readDirectory, type StoredDirectory } from './directory.js';
import { signerOf } from './facts.js';
import { bundleOf, caBits, finished, type GenerateOptions, type GenerateResult, result } from './generate.js';
import { issuePlan, makePlanKeys, preview } from './issue.js';
import { keyPem, makeKeys } from './keys.js';
import {
  CA_BUNDLE,
  CA_CERTIFICATE,
  CA_KEY,
  CA_NEXT_CERTIFICATE,
  CA_NEXT_KEY,
  CA_PREVIOUS_CERTIFICATE,
  CERTIFICATE_MODE,
  KEY_MODE,
} from './layout.js';
import { planRenewal } from './plan.js';
import { judgeStep, type RotationStep, rotationAdvice, rotationState } from './rotation.js';
import { type FileChange, type OpenFolder, withFolder } from './store.js';

export interface RotateOptions extends GenerateOptions {
  readonly step: RotationStep;
  /** With `switch`: new keys for nodes, clients and the proxy, too. */
  readonly newKeys: boolean;
}

/**
 * One step. A step that was done before does nothing.
 * @throws ForgeError `refused` for a step out of its turn, or without a CA; `configuration`, `denied` for the CA's key
 */
export async function rotateAuthority(options: RotateOptions): Promise<GenerateResult> {
  const stored = await readDirectory(options.directory);
  if (!stored.exists || (stored.authority === undefined && !stored.halfDone)) {
    throw new ForgeError('refused', `There is no CA in ${options.directory} that could be changed.`, {
      next: `To make one: forge gen-certs ${options.directory}`,
    });
  }
  if (options.dryRun) return announceStep(stored, options);
  return withFolder(options.directory, async (folder) => {
    // A step that was interrupted, and is now done, must not lead to the one after it.
    if (folder.finished !== undefined) return finished(options);
    const now = await readDirectory(options.directory);
    if (judgeStep(options.step, now) === 'done') return unchanged(now, options);
    switch (options.step) {
      case 'rotate':
        return announce(folder, now, options);
      case 'switch':
        return switchOver(folder, now, options);
      case 'retire':
        return retire(folder, now, options);
    }
  });
}

/** What the step would do. */
function announceStep(stored: StoredDirectory, options: RotateOptions): GenerateResult {
  if (judgeStep(options.step, stored) === 'done') return unchanged(stored, options);
  if (options.step === 'rotate') {
    return result(options, 'announced', [], undefined, ['A new CA would be made, and trusted beside the present one.']);
  }
  if (options.step === 'retire') {
    requireSignedByPresent(stored);
    return result(options, 'none', [], undefined, ['The previous CA would not be trusted any more.']);
  }
  const now = options.now ?? Date.now();
  const signer = nextCertificate(stored, now);
  const items = planRenewal(stored, options.wanted, { now, withinDays: 0, newKeys: options.newKeys, signer });
  return result(options, 'switched', preview(items), { x509: signer });
}

function unchanged(stored: StoredDirectory, options: RotateOptions): GenerateResult {
  const advice = rotationAdvice(rotationState(stored), stored.path);
  const x509 = stored.authority?.certificate?.x509;
  return result(options, 'unchanged', [], x509 === undefined ? undefined : { x509 }, [
    'This step was done before.',
    ...(advice === undefined ? [] : [advice.text, advice.next]),
  ]);
}

/** Step 1: the next CA is made; both are trusted, the present one signs. */
async function announce(folder: OpenFolder, stored: StoredDirectory, options: RotateOptions): Promise<GenerateResult> {
  const present = presentCertificate(stored);
  const { keyMaker = makeKeys } = options;
  const [key] = await keyMaker([caBits(options.bits)], options.signal);
  if (key === undefined) throw new Error('there is no key for the CA');
  const next = newAuthority(options.caName, key, options.caDays, options.now ?? Date.now());
  options.signal?.throwIfAborted();
  await folder.apply('rotate', [
    { file: CA_NEXT_CERTIFICATE, content: next.pem, mode: CERTIFICATE_MODE },
    { file: CA_NEXT_KEY, content: keyPem(key, options.passphrase), mode: KEY_MODE },
    { file: CA_BUNDLE, content: bundleOf([present, next.x509]), mode: CERTIFICATE_MODE },
  ]);
  return result(options, 'announced', [], { x509: present }, adviceOf('announced', options));
}

/** Step 2: the next CA signs everything that is there; the previous one is still trusted, and its key is gone. */
async function switchOver(
  folder: OpenFolder,
  stored: StoredDirectory,
  options: RotateOptions,
): Promise<GenerateResult> {
  const now = options.now ?? Date.now();
  const { directory, days, signal, passphrase, caKeyFile } = options;
  const previous = presentCertificate(stored);
  const x509 = nextCertificate(stored, now);
  const { key, pem } = await signingKey(directory, stored.next ?? neverMissing(), x509, {
    keyFile: caKeyFile,
    passphrase,
  });
  const items = planRenewal(stored, options.wanted, { now, withinDays: 0, newKeys: options.newKeys, signer: x509 });
  const keys = await makePlanKeys(items, options);
  const { changes, certificates } = issuePlan(items, { authority: { x509, key }, keys, days, now });
  const gone = (file: string): FileChange => ({ file, mode: 0 });
  signal?.throwIfAborted();
  await folder.apply('switch', [
    { file: CA_PREVIOUS_CERTIFICATE, content: previous.toString(), mode: CERTIFICATE_MODE },
    { file: CA_CERTIFICATE, content: x509.toString(), mode: CERTIFICATE_MODE },
    // A key that is kept elsewhere stays elsewhere.
    caKeyFile === undefined ? { file: CA_KEY, content: pem, mode: KEY_MODE } : gone(CA_KEY),
    { file: CA_BUNDLE, content: bundleOf([x509, previous]), mode: CERTIFICATE_MODE },
    ...changes,
    gone(CA_NEXT_CERTIFICATE),
    gone(CA_NEXT_KEY),
  ]);
  return result(options, 'switched', certificates, { x509 }, adviceOf('switched', options));
}

/** Step 3: the previous CA is trusted no more. */
async function retire(folder: OpenFolder, stored: StoredDirectory, options: RotateOptions): Promise<GenerateResult> {
  const present = presentCertificate(stored);
  requireSignedByPresent(stored);
  await folder.apply('retire', [
    { file: CA_BUNDLE, content: bundleOf([present]), mode: CERTIFICATE_MODE },
    { file: CA_PREVIOUS_CERTIFICATE, mode: 0 },
  ]);
  return result(options, 'none', [], { x509: present }, [
    'The previous CA is retired: give ca-bundle.crt to all nodes, proxies and clients once more.',
  ]);
}

/** @throws ForgeError `refused` while something is in use that only the previous CA vouches for */
function requireSignedByPresent(stored: StoredDirectory): void {
  const present = presentCertificate(stored);
  const left = stored.pairs.filter(
    ({ certificate }) => certificate === undefined || signerOf(certificate, [present]) === undefined,
  );
  if (left.length === 0) return;
  throw new ForgeError(
    'refused',
    `The present CA has not signed all certificates: ${left.map(({ certificateFile }) => certificateFile).join(', ')}.`,
    { next: `First: forge gen-certs ${stored.path} --renew` },
  );
}

function presentCertificate(stored: StoredDirectory) {
  const x509 = stored.authority?.certificate?.x509;
  if (x509 !== undefined) return x509;
  const fault = stored.authority?.certificateFault ?? 'does not exist';
  throw new ForgeError('configuration', `${path.join(stored.path, CA_CERTIFICATE)} ${fault}.`, {
    next: 'Put the CA’s certificate there, or make everything anew with --force.',
  });
}

function nextCertificate(stored: StoredDirectory, now: number) {
  return signingCertificate(stored.path, stored.next ?? neverMissing(), now);
}

function neverMissing(): never {
  throw new Error('the next CA is there, or the step would have been refused');
}

function adviceOf(state: 'announced' | 'switched', { directory }: RotateOptions): string[] {
  const advice = rotationAdvice(state, directory);
  return advice === undefined ? [] : [advice.text, advice.next];
}

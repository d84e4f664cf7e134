/** Reads every byte of a backup, and says what is not as it was written. Memory stays flat. */
import { pipeline as pipelineOf, type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { mapBounded } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import { Digest } from './archive/digest.js';
import { keyFor } from './archive/encryption.js';
import { unpack } from './archive/pack.js';
import type { ListedBackup } from './catalogue.js';
import { KEEP_MARK, keyOf, MANIFEST, parseKey, RESERVED_NAMES, VERIFIED_MARK } from './layout.js';
import { type BackupManifest, type BackupObject, MANIFEST_MAX_BYTES, objectsOf, readManifest } from './manifest.js';
import {
  MARK_MAX_BYTES,
  manifestDigest,
  readKeepMark,
  readVerifiedMark,
  type VerifiedMark,
  writeVerifiedMark,
} from './marks.js';
import type { BackupStore } from './store/store.js';

/** Objects of one backup that are read at once. */
export const VERIFY_PARALLEL_DEFAULT = 2;
export const VERIFY_PARALLEL_MAX = 16;
/** Faults that are told of one backup. */
const FAULTS_MAX = 1_000;

export interface VerifyFault {
  /** Within the backup: `shard-0001.rdb.gz`. */
  readonly object: string;
  readonly problem: string;
  /** It may be that the key is another one: this says nothing of the backup. */
  readonly ofKey: boolean;
}

export interface VerifiedBackup {
  readonly cluster: string;
  readonly id: string;
  readonly state: ListedBackup['state'];
  /** Nothing is wrong with what was looked at. */
  readonly good: boolean;
  readonly faults: readonly VerifyFault[];
  /** What is no fault, and yet worth a look. */
  readonly notes: readonly string[];
  /** False: for want of the key, the sums of what is stored were compared, and nothing was decrypted. */
  readonly decrypted: boolean;
  readonly objects: number;
  readonly bytes: number;
  /** Digest of the manifest's text; undefined where there is none to be read. */
  readonly manifest?: string;
}

export interface VerifyProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface VerifyOptions {
  /** What encrypted ones were made with. */
  readonly secret?: Buffer;
  /** Objects that are read at once. */
  readonly parallel?: number;
  readonly signal: AbortSignal;
  /** Told with every piece that was read. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/**
 * Compares all sums, decrypts and decompresses everything. What cannot be read because the store fails is thrown, not
 * taken for a fault of the backup.
 * @throws ForgeError as the store does, and `missing` for a compression that this Node does not have
 */
export async function verifySums(
  store: BackupStore,
  backup: ListedBackup,
  options: VerifyOptions,
): Promise<VerifiedBackup> {
  const { cluster, id, state } = backup;
  const faults: VerifyFault[] = [];
  const say = (object: string, problem: string, ofKey = false) => {
    if (faults.length < FAULTS_MAX) faults.push({ object, problem, ofKey });
  };
  const read = await readText(store, backup, MANIFEST, { maxBytes: MANIFEST_MAX_BYTES, signal: options.signal });
  const manifest = read.text === undefined ? undefined : provenManifest(store, backup, read.text, options, say);
  if (read.problem !== undefined) say(MANIFEST, read.problem);
  const objects = manifest === undefined ? [] : objectsOf(manifest);
  const decrypted = manifest?.encryption === undefined || options.secret !== undefined;
  if (manifest !== undefined) {
    const totalBytes = objects.reduce((sum, { bytes }) => sum + bytes, 0);
    let bytes = 0;
    const count = (more: number) => {
      bytes += more;
      options.onProgress?.({ bytes, totalBytes });
    };
    await mapBounded(objects, options.parallel ?? VERIFY_PARALLEL_DEFAULT, async (object) => {
      const fault = await verifyObject(store, { backup, manifest, object, count, ...options });
      if (fault !== undefined) say(object.name, fault.problem, fault.ofKey);
    });
  }
  await verifyMarks(store, backup, options.signal, say);
  return {
    cluster,
    id,
    state,
    good: faults.length === 0,
    faults,
    notes: notesOf(backup, manifest),
    decrypted,
    objects: objects.length,
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(read.text === undefined ? {} : { manifest: manifestDigest(read.text) }),
  };
}

type Say = (object: string, problem: string, ofKey?: boolean) => void;

/** Of one that is not proven as well, so that all that is wrong is told at once. */
function provenManifest(
  store: BackupStore,
  { cluster, id }: ListedBackup,
  text: string,
  { secret }: VerifyOptions,
  say: Say,
): BackupManifest | undefined {
  const place = `${store.place}/${keyOf(cluster, id, MANIFEST)}`;
  let manifest: BackupManifest | undefined;
  try {
    manifest = readManifest(text, { place, secret }).manifest;
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    const unproven = unlessFailing(() => readManifest(text, { place }));
    manifest = unproven?.sealed === false ? unproven.manifest : undefined;
    say(MANIFEST, error.message, manifest !== undefined);
  }
  if (manifest === undefined) return undefined;
  if (manifest.id !== id || manifest.cluster !== cluster) say(MANIFEST, `It is of ${manifest.cluster}/${manifest.id}.`);
  const names = objectsOf(manifest).map(({ name }) => name);
  for (const [index, name] of names.entries()) {
    if (RESERVED_NAMES.includes(name) || names.indexOf(name) !== index) say(MANIFEST, `It names ${name} as an object.`);
  }
  return manifest;
}

function unlessFailing<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

interface ObjectOptions extends VerifyOptions {
  readonly backup: ListedBackup;
  readonly manifest: BackupManifest;
  readonly object: BackupObject;
  readonly count: (bytes: number) => void;
}

async function verifyObject(
  store: BackupStore,
  { backup, manifest, object, secret, signal, count }: ObjectOptions,
): Promise<{ readonly problem: string; readonly ofKey: boolean } | undefined> {
  const { encryption, compression } = manifest;
  const name = keyOf(backup.cluster, backup.id, object.name);
  const place = `${store.place}/${name}`;
  const open = async () => counted(await store.open(name, signal), count);
  try {
    if (encryption === undefined || secret === undefined) {
      // Without the key of an encrypted one, what is stored is all that can be compared.
      const source = await open();
      if (encryption !== undefined) return await storedProblem(source, object, place, signal);
      await pipeline(unpack(source, object, { compression, place }), nothing(), { signal });
      return undefined;
    }
    const key = keyFor(secret, Buffer.from(encryption.salt, 'base64'), object.name);
    const failure = await pipeline(unpack(await open(), object, { compression, key, place }), nothing(), {
      signal,
    }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) return undefined;
    if (!isFault(failure)) throw failure;
    // Another key decrypts nothing: whether the object is as it was is told by the sum of what is stored.
    const problem = await storedProblem(await store.open(name, signal), object, place, signal);
    return problem ?? { problem: failure.message, ofKey: true };
  } catch (error) {
    signal.throwIfAborted();
    if (!isFault(error)) throw error;
    return { problem: error.message, ofKey: false };
  }
}

/** What cannot be read from a disk is a fault of what lies there; a store that does not answer is none. */
function isFault(error: unknown): error is Error {
  if (error instanceof ForgeError) return error.kind === 'verification';
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EIO';
}

async function storedProblem(source: Readable, object: BackupObject, place: string, signal: AbortSignal) {
  const stored = new Digest();
  await pipeline(source, stored, nothing(), { signal });
  const { bytes, sha256 } = stored.tally;
  if (bytes === object.bytes && sha256 === object.sha256) return undefined;
  return { problem: `${place} is damaged: its sum is another one.`, ofKey: false };
}

function counted(source: Readable, count: (bytes: number) => void): Readable {
  const counter = new Transform({
    transform(piece: Buffer, _, done) {
      count(piece.length);
      done(null, piece);
    },
  });
  // Its failure becomes that of the counter, which is read.
  pipelineOf([source, counter], () => undefined);
  return counter;
}

const nothing = () =>
  new Writable({
    write(_, __, done) {
      done();
    },
  });

async function verifyMarks(store: BackupStore, backup: ListedBackup, signal: AbortSignal, say: Say): Promise<void> {
  const readers = { [KEEP_MARK]: readKeepMark, [VERIFIED_MARK]: readVerifiedMark };
  for (const [name, reader] of Object.entries(readers)) {
    if (!backup.keys.includes(keyOf(backup.cluster, backup.id, name))) continue;
    const { text, problem } = await readText(store, backup, name, { maxBytes: MARK_MAX_BYTES, signal });
    const mark = text === undefined ? undefined : reader(text);
    if (problem !== undefined) say(name, problem);
    else if (text !== undefined && (mark?.id !== backup.id || mark.cluster !== backup.cluster)) {
      say(name, `${store.place}/${keyOf(backup.cluster, backup.id, name)} is not as forge wrote it.`);
    }
  }
}

async function readText(
  store: BackupStore,
  { cluster, id }: ListedBackup,
  name: string,
  options: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<{ readonly text?: string; readonly problem?: string }> {
  try {
    const content = await store.read(keyOf(cluster, id, name), options);
    if (content === undefined) return { problem: `There is no ${name}.` };
    return { text: content.toString('utf8') };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { problem: error.message };
  }
}

function notesOf({ cluster, id, keys }: ListedBackup, manifest: BackupManifest | undefined): string[] {
  const own = new Set([
    ...RESERVED_NAMES,
    ...(manifest === undefined ? [] : objectsOf(manifest)).map(({ name }) => name),
  ]);
  const others = keys.flatMap((key) => {
    const name = parseKey(key)?.name ?? '';
    return own.has(name) ? [] : [name];
  });
  if (manifest === undefined || others.length === 0) return [];
  return [`${cluster}/${id} has ${others.length} objects that are not of it, such as ${others[0]}.`];
}

export interface RememberOptions {
  readonly how: VerifiedMark['how'];
  /** `user@host`. */
  readonly by: string;
  readonly signal: AbortSignal;
  /** What was found beside the sums, by loading it. */
  readonly loadFaults?: readonly string[];
}

/**
 * Writes beside the backup what was found, so that lists show it, and that a damaged one counts for no good one. What
 * may be the key's fault is not written down, nor what was looked at without the key.
 * @returns whether it was written: not where the store only gives
 */
export async function rememberVerified(
  store: BackupStore,
  { cluster, id, faults, decrypted, manifest }: VerifiedBackup,
  { how, by, signal, loadFaults = [] }: RememberOptions,
): Promise<boolean> {
  if (manifest === undefined || !decrypted || faults.some(({ ofKey }) => ofKey)) return false;
  const mark = {
    cluster,
    id,
    at: new Date().toISOString(),
    by,
    how,
    manifest,
    faults: faults.map(({ problem }) => problem),
    loadFaults: [...loadFaults],
  };
  try {
    // It may have been removed meanwhile.
    const text = await store.read(keyOf(cluster, id, MANIFEST), { maxBytes: MANIFEST_MAX_BYTES, signal });
    if (text === undefined || manifestDigest(text.toString('utf8')) !== manifest) return false;
    await store.write(keyOf(cluster, id, VERIFIED_MARK), Buffer.from(writeVerifiedMark(mark)), signal);
    return true;
  } catch (error) {
    if (error instanceof ForgeError && (error.kind === 'denied' || error.kind === 'partial')) return false;
    throw error;
  }
}

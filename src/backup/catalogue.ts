/** What lies in a store: every backup, whole or not. Reads only. */
import { mapBounded } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import {
  KEEP_MARK,
  keyOf,
  MANIFEST,
  parseKey,
  RESERVED_NAMES,
  RUNNING_MARK,
  timeOfBackup,
  VERIFIED_MARK,
} from './layout.js';
import { type BackupManifest, isComplete, MANIFEST_MAX_BYTES, objectsOf, readManifest } from './manifest.js';
import { MARK_MAX_BYTES, manifestDigest, readVerifiedMark, type VerifiedMark } from './marks.js';
import { FUTURE_MS } from './retention.js';
import type { BackupStore, StoredObject } from './store/store.js';

/** A mark of a run that is so old is of one that has died: a run renews its own every RUNNING_RENEW_MS. */
export const RUNNING_STALE_MS = 15 * 60_000;
export const RUNNING_RENEW_MS = 60_000;
/** A mark that is so far ahead was dated by a clock that is wrong, and tells nothing. */
const RUNNING_AHEAD_MS = 24 * 3_600_000;
/** Manifests that are read at once; those above SMALL_MANIFEST_BYTES one after the other, since all of each is in memory. */
const MANIFESTS_AT_ONCE = 16;
const SMALL_MANIFEST_BYTES = 1024 * 1024;
/** What a listing keeps in memory. */
const OBJECTS_MAX = 5_000_000;

export type BackupState =
  /** It has a manifest, and all its objects are there in their lengths. */
  | 'complete'
  /** As `complete`, but for masters that were left out. */
  | 'partial'
  | 'running'
  /** A run was ended before its manifest was written, or a removal after it: no backup, and what the next run clears away. */
  | 'unfinished'
  /** Its manifest cannot be read, or names what is not there, or `forge backup verify` has found a fault in it. */
  | 'damaged'
  /** A newer forge has made it: this one cannot tell what it is worth. */
  | 'newer';

export interface ListedBackup {
  readonly cluster: string;
  readonly id: string;
  /** Milliseconds since 1970: when it was begun. */
  readonly atMs: number;
  readonly state: BackupState;
  /** Somebody is at work on it, whatever its state: its mark is fresh. */
  readonly active: boolean;
  readonly kept: boolean;
  /** Of all its objects in the store. */
  readonly bytes: number;
  readonly keys: readonly string[];
  /** When the last of its objects was written, by the store's clock. */
  readonly newestMs: number;
  /** In lists without `slotKeys`, which would fill the memory. */
  readonly manifest?: BackupManifest;
  /** Why it is damaged. */
  readonly problem?: string;
  /** False where its seal was not looked at, for want of the key. */
  readonly sealed: boolean;
  /** What the last look at all its bytes has found, with this manifest. */
  readonly verified?: VerifiedMark;
}

export interface ListOptions {
  /** Only of this cluster. */
  readonly cluster?: string;
  /** Only this one. */
  readonly id?: string;
  /** Only so many of the newest. */
  readonly limit?: number;
  /** What encrypted ones were made with. */
  readonly secret?: Buffer;
  readonly nowMs?: number;
  readonly signal: AbortSignal;
}

interface Group {
  readonly cluster: string;
  readonly id: string;
  readonly objects: Map<string, StoredObject>;
}

/** All backups, newest first. Nothing but backups is looked at. */
export async function listBackups(store: BackupStore, options: ListOptions): Promise<ListedBackup[]> {
  const groups = (await groupsOf(store, options)).slice(0, options.limit);
  const manifestBytes = ({ objects }: Group) => objects.get(MANIFEST)?.bytes ?? 0;
  const isSmall = (group: Group) => manifestBytes(group) <= SMALL_MANIFEST_BYTES;
  const listed = new Map<Group, ListedBackup>();
  const look = async (group: Group) => {
    listed.set(group, withoutSlotKeys(await describe(store, group, options)));
  };
  await mapBounded(groups.filter(isSmall), MANIFESTS_AT_ONCE, look);
  for (const group of groups) if (!isSmall(group)) await look(group);
  return groups.flatMap((group) => listed.get(group) ?? []);
}

/** Newest first. */
async function groupsOf(store: BackupStore, { cluster, id, signal }: ListOptions): Promise<Group[]> {
  const groups = new Map<string, Group>();
  const prefix = cluster === undefined ? '' : id === undefined ? `${cluster}/` : `${cluster}/${id}/`;
  let count = 0;
  for await (const object of store.list(prefix, signal)) {
    const key = parseKey(object.key);
    if (key === undefined || (id !== undefined && key.id !== id)) continue;
    if (++count > OBJECTS_MAX) {
      throw new ForgeError('refused', `${store.place} has more than ${OBJECTS_MAX} objects of backups.`, {
        next: 'Name a cluster (--cluster), or clear the place up: forge backup prune.',
      });
    }
    const name = `${key.cluster}/${key.id}`;
    const group = groups.get(name) ?? { cluster: key.cluster, id: key.id, objects: new Map<string, StoredObject>() };
    group.objects.set(key.name, object);
    groups.set(name, group);
  }
  const time = ({ id: each }: Group) => timeOfBackup(each) ?? 0;
  return [...groups.values()].sort((one, other) => time(other) - time(one) || (one.id < other.id ? 1 : -1));
}

async function describe(store: BackupStore, group: Group, options: ListOptions): Promise<ListedBackup> {
  const { cluster, id, objects } = group;
  const { secret, signal, nowMs = Date.now() } = options;
  const stored = [...objects.values()];
  const mark = objects.get(RUNNING_MARK);
  const markAgeMs = mark === undefined ? Number.POSITIVE_INFINITY : nowMs - mark.modifiedMs;
  const about = {
    cluster,
    id,
    atMs: timeOfBackup(id) ?? 0,
    active: markAgeMs < RUNNING_STALE_MS && markAgeMs > -RUNNING_AHEAD_MS,
    kept: objects.has(KEEP_MARK),
    bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0),
    keys: stored.map(({ key }) => key),
    newestMs: stored.reduce((newest, { modifiedMs }) => Math.max(newest, modifiedMs), 0),
  };
  if (!objects.has(MANIFEST)) return { ...about, state: about.active ? 'running' : 'unfinished', sealed: false };
  const place = `${store.place}/${keyOf(cluster, id, MANIFEST)}`;
  let text = '';
  try {
    text = (await store.read(keyOf(cluster, id, MANIFEST), { maxBytes: MANIFEST_MAX_BYTES, signal }))?.toString() ?? '';
    const { manifest, sealed } = readManifest(text, { place, secret });
    const problem = misplaced(manifest, cluster, id) ?? misnamed(manifest) ?? missingObject(manifest, objects);
    const verified = await verifiedOf(store, group, text, options);
    const judged = { ...about, manifest, sealed, ...(verified === undefined ? {} : { verified }) };
    if (problem !== undefined) return { ...judged, state: 'damaged', problem };
    const [fault] = verified?.faults ?? [];
    if (fault !== undefined) return { ...judged, state: 'damaged', problem: `${fault} (found ${verified?.at})` };
    return { ...judged, state: isComplete(manifest) ? 'complete' : 'partial' };
  } catch (error) {
    if (!(error instanceof ForgeError) || (error.kind !== 'verification' && error.kind !== 'refused')) throw error;
    const unproven = unprovenManifest(text, place, secret);
    return {
      ...about,
      state: error.kind === 'refused' ? 'newer' : 'damaged',
      problem: error.message,
      sealed: false,
      ...(unproven === undefined ? {} : { manifest: unproven }),
    };
  }
}

/** Of an encrypted backup whose seal is not what this key makes: it is another key as a rule, and the rest can be shown. */
function unprovenManifest(text: string, place: string, secret: Buffer | undefined): BackupManifest | undefined {
  if (secret === undefined) return undefined;
  try {
    const { manifest, sealed } = readManifest(text, { place });
    return sealed ? undefined : manifest;
  } catch {
    return undefined;
  }
}

async function verifiedOf(
  store: BackupStore,
  { cluster, id, objects }: Group,
  manifest: string,
  { signal }: ListOptions,
): Promise<VerifiedMark | undefined> {
  const mark = objects.get(VERIFIED_MARK);
  if (mark === undefined || mark.bytes > MARK_MAX_BYTES) return undefined;
  const text = await store.read(keyOf(cluster, id, VERIFIED_MARK), { maxBytes: MARK_MAX_BYTES, signal });
  const read = readVerifiedMark(text?.toString() ?? '');
  return read?.cluster === cluster && read.id === id && read.manifest === manifestDigest(manifest) ? read : undefined;
}

function missingObject(manifest: BackupManifest, objects: ReadonlyMap<string, StoredObject>): string | undefined {
  for (const { name, bytes } of objectsOf(manifest)) {
    const found = objects.get(name);
    if (found === undefined) return `${name} is missing`;
    if (found.bytes !== bytes) return `${name} has ${found.bytes} bytes, and should have ${bytes}`;
  }
  return undefined;
}

function misnamed(manifest: BackupManifest): string | undefined {
  const names = objectsOf(manifest).map(({ name }) => name);
  const wrong = names.find((name, index) => RESERVED_NAMES.includes(name) || names.indexOf(name) !== index);
  return wrong === undefined ? undefined : `its manifest names ${wrong}, which is no object of its own`;
}

const misplaced = (manifest: BackupManifest, cluster: string, id: string) =>
  manifest.id === id && manifest.cluster === cluster ? undefined : `it is of ${manifest.cluster}/${manifest.id}`;

function withoutSlotKeys({ manifest, ...listed }: ListedBackup): ListedBackup {
  if (manifest === undefined) return listed;
  return { ...listed, manifest: { ...manifest, shards: manifest.shards.map(({ slotKeys: _, ...shard }) => shard) } };
}

/**
 * The one that is asked for, with all of its manifest.
 * @param id an id, or `latest` for the newest that is complete; of what is dated after now only where there is nothing else
 * @throws ForgeError `refused` where there is none, or where several clusters have backups there and none is named;
 *   `verification` where the key is not that of the newest
 */
export async function findBackup(
  store: BackupStore,
  { id, ...options }: Omit<ListOptions, 'id' | 'limit'> & { readonly id: string },
): Promise<ListedBackup> {
  const groups = await groupsOf(store, { ...options, ...(id === 'latest' ? {} : { id }) });
  const found: ListedBackup[] = [];
  for (const name of new Set(groups.map(({ cluster }) => cluster))) {
    const candidates = groups.filter(({ cluster }) => cluster === name);
    const backup = await (id === 'latest' ? newestComplete : newest)(store, candidates, options);
    if (backup !== undefined) found.push(backup);
  }
  if (found.length > 1) {
    const names = found.map(({ cluster }) => cluster).sort();
    throw new ForgeError('refused', `${store.place} has backups of several clusters: ${names.join(', ')}.`, {
      next: 'Choose one with --cluster.',
    });
  }
  if (found[0] !== undefined) return found[0];
  const what = id === 'latest' ? 'no complete backup' : `no backup ${id}`;
  const whose = options.cluster === undefined ? '' : ` of ${options.cluster}`;
  throw new ForgeError('refused', `${store.place} has ${what}${whose}.`, { next: 'Look at: forge backup list.' });
}

async function newest(store: BackupStore, [group]: readonly Group[], options: ListOptions) {
  return group === undefined ? undefined : describe(store, group, options);
}

/** Manifests are read until one is of a complete backup. */
async function newestComplete(store: BackupStore, newestFirst: readonly Group[], options: ListOptions) {
  const latestMs = (options.nowMs ?? Date.now()) + FUTURE_MS;
  const isFuture = ({ id }: Group) => (timeOfBackup(id) ?? 0) > latestMs;
  for (const group of [...newestFirst.filter((each) => !isFuture(each)), ...newestFirst.filter(isFuture)]) {
    if (!group.objects.has(MANIFEST)) continue;
    const backup = await describe(store, group, options);
    if (backup.state === 'complete') return backup;
    // With another key, the one before it would be taken, which is older, and nobody would know.
    if (backup.state === 'damaged' && backup.manifest?.encryption !== undefined && isOfKey(backup, options)) {
      throw new ForgeError('verification', backup.problem ?? '', {
        next: 'Check the key, or name a backup by its id.',
      });
    }
  }
  return undefined;
}

/** Its manifest can be read, and its seal is not what the key makes. */
const isOfKey = ({ sealed }: ListedBackup, { secret }: ListOptions) => secret !== undefined && !sealed;

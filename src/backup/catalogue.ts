/** What lies in a store: every backup, whole or not. Reads only. */
import { ForgeError } from '../errors.js';
import { KEEP_MARK, keyOf, MANIFEST, parseKey, RUNNING_MARK, timeOfBackup } from './layout.js';
import { type BackupManifest, isComplete, MANIFEST_MAX_BYTES, readManifest } from './manifest.js';
import type { BackupStore, StoredObject } from './store/store.js';

/** A mark of a run that is so old is of one that has died: a run renews its own every RUNNING_RENEW_MS. */
export const RUNNING_STALE_MS = 15 * 60_000;
export const RUNNING_RENEW_MS = 60_000;

export type BackupState =
  /** It has a manifest, and all its objects are there in their lengths. */
  | 'complete'
  /** As `complete`, but for masters that were left out. */
  | 'partial'
  | 'running'
  /** A run was ended before its manifest was written: no backup, and what the next run clears away. */
  | 'unfinished'
  /** It has a manifest that cannot be read, or that names what is not there. */
  | 'damaged';

export interface ListedBackup {
  readonly cluster: string;
  readonly id: string;
  /** Milliseconds since 1970: when it was begun. */
  readonly atMs: number;
  readonly state: BackupState;
  readonly kept: boolean;
  /** Of all its objects in the store. */
  readonly bytes: number;
  readonly keys: readonly string[];
  readonly manifest?: BackupManifest;
  /** Why it is damaged. */
  readonly problem?: string;
  /** False where its seal was not looked at, for want of the key. */
  readonly sealed: boolean;
}

export interface ListOptions {
  /** Only of this cluster. */
  readonly cluster?: string;
  /** Only this one. */
  readonly id?: string;
  /** What encrypted ones were made with. */
  readonly secret?: Buffer;
  readonly nowMs?: number;
  readonly signal: AbortSignal;
}

/** All backups, newest first. Nothing but backups is looked at. */
export async function listBackups(store: BackupStore, options: ListOptions): Promise<ListedBackup[]> {
  const { cluster, id, signal } = options;
  const groups = new Map<string, { cluster: string; id: string; objects: Map<string, StoredObject> }>();
  const prefix = cluster === undefined ? '' : id === undefined ? `${cluster}/` : `${cluster}/${id}/`;
  for await (const object of store.list(prefix, signal)) {
    const key = parseKey(object.key);
    if (key === undefined || (id !== undefined && key.id !== id)) continue;
    const group = `${key.cluster}/${key.id}`;
    const known = groups.get(group) ?? { cluster: key.cluster, id: key.id, objects: new Map() };
    known.objects.set(key.name, object);
    groups.set(group, known);
  }
  const listed: ListedBackup[] = [];
  for (const group of groups.values()) listed.push(await describe(store, group, options));
  return listed.sort((one, other) => other.atMs - one.atMs || (one.id < other.id ? 1 : -1));
}

async function describe(
  store: BackupStore,
  { cluster, id, objects }: { cluster: string; id: string; objects: ReadonlyMap<string, StoredObject> },
  { secret, signal, nowMs = Date.now() }: ListOptions,
): Promise<ListedBackup> {
  const about = {
    cluster,
    id,
    atMs: timeOfBackup(id) ?? 0,
    kept: objects.has(KEEP_MARK),
    bytes: [...objects.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    keys: [...objects.values()].map(({ key }) => key),
  };
  if (!objects.has(MANIFEST)) {
    const mark = objects.get(RUNNING_MARK);
    const running = mark !== undefined && nowMs - mark.modifiedMs < RUNNING_STALE_MS;
    return { ...about, state: running ? 'running' : 'unfinished', sealed: false };
  }
  const place = `${store.place}/${keyOf(cluster, id, MANIFEST)}`;
  try {
    const text = await store.read(keyOf(cluster, id, MANIFEST), { maxBytes: MANIFEST_MAX_BYTES, signal });
    const { manifest, sealed } = readManifest(text?.toString('utf8') ?? '', { place, secret });
    const problem = missingObject(manifest, objects) ?? misplaced(manifest, cluster, id);
    if (problem !== undefined) return { ...about, state: 'damaged', manifest, problem, sealed };
    return { ...about, state: isComplete(manifest) ? 'complete' : 'partial', manifest, sealed };
  } catch (error) {
    if (!(error instanceof ForgeError) || (error.kind !== 'verification' && error.kind !== 'refused')) throw error;
    return { ...about, state: 'damaged', problem: error.message, sealed: false };
  }
}

function missingObject(manifest: BackupManifest, objects: ReadonlyMap<string, StoredObject>): string | undefined {
  const named = [...manifest.shards.map(({ object }) => object), ...(manifest.settings ? [manifest.settings] : [])];
  for (const { name, bytes } of named) {
    const found = objects.get(name);
    if (found === undefined) return `${name} is missing`;
    if (found.bytes !== bytes) return `${name} has ${found.bytes} bytes, and should have ${bytes}`;
  }
  return undefined;
}

const misplaced = (manifest: BackupManifest, cluster: string, id: string) =>
  manifest.id === id && manifest.cluster === cluster ? undefined : `it is of ${manifest.cluster}/${manifest.id}`;

/**
 * The one that is asked for.
 * @param id an id, or `latest` for the newest that is complete
 * @throws ForgeError `refused` where there is none, or where several clusters have backups there and none is named
 */
export async function findBackup(
  store: BackupStore,
  { id, ...options }: Omit<ListOptions, 'id'> & { readonly id: string },
): Promise<ListedBackup> {
  const listed = await listBackups(store, { ...options, ...(id === 'latest' ? {} : { id }) });
  const found = id === 'latest' ? listed.filter(({ state }) => state === 'complete') : listed;
  const clusters = [...new Set(found.map(({ cluster }) => cluster))];
  if (clusters.length > 1) {
    throw new ForgeError('refused', `${store.place} has backups of several clusters: ${clusters.join(', ')}.`, {
      next: 'Choose one with --cluster.',
    });
  }
  if (found[0] !== undefined) return found[0];
  const what = id === 'latest' ? 'no complete backup' : `no backup ${id}`;
  throw new ForgeError('refused', `${store.place} has ${what}.`, { next: 'Look at: forge backup list.' });
}

/** Clears away what runs left behind that were ended before their backup was whole, and finds those that are at work. */
import { ForgeError } from '../../errors.js';
import { RUNNING_STALE_MS } from '../catalogue.js';
import { KEEP_MARK, keyOf, MANIFEST, parseKey, RUNNING_MARK } from '../layout.js';
import type { BackupStore, StoredObject } from '../store/store.js';
import { isDeadHere, MARK_MAX_BYTES, parseMark, type RunningMark } from './mark.js';

/** Uploads that were begun so long ago are nobody's any more: the longest of one object. */
const UPLOAD_STALE_MS = 48 * 3_600_000;
const MINUTE_MS = 60_000;

export interface SweepOptions {
  readonly cluster: string;
  /** The run that asks; it has set its mark. */
  readonly id: string;
  /** `ownerId` of this home. */
  readonly owner: string;
  readonly signal: AbortSignal;
  /** Told what this user may not remove. */
  readonly onDenied: (error: ForgeError) => void;
}

/** What of a backup lies in the store, by name. */
type Objects = ReadonlyMap<string, StoredObject>;

/**
 * Removes what is left of dead runs of the cluster. What somebody marked to be kept stays.
 * @returns their ids
 * @throws ForgeError `locked` when another run, of whatever host, is at work on the cluster's backups
 */
export async function sweepDeadRuns(store: BackupStore, options: SweepOptions): Promise<string[]> {
  const { cluster, id: own, owner, signal } = options;
  const found = await objectsOfBackups(store, cluster, signal);
  // By the store's clock, which is what its objects are dated by: this host's may be another.
  const nowMs = found.get(own)?.get(RUNNING_MARK)?.modifiedMs ?? Date.now();
  const dead: [id: string, objects: Objects][] = [];
  for (const [id, objects] of found) {
    const marked = objects.get(RUNNING_MARK);
    if (id === own || (objects.has(MANIFEST) && marked === undefined)) continue;
    const mark = marked === undefined ? undefined : await readMark(store, marked, signal);
    const fresh = marked !== undefined && nowMs - marked.modifiedMs < RUNNING_STALE_MS;
    const running = fresh && !(mark !== undefined && (await isDeadHere(mark, owner)));
    if (!running) dead.push([id, objects]);
    // With a manifest it is over, but for its mark; not everybody may remove one.
    else if (!objects.has(MANIFEST)) throw lockedBy(store, { cluster, id }, mark);
  }
  const removed: string[] = [];
  for (const [id, objects] of dead) {
    if (objects.has(MANIFEST)) {
      // It died between its manifest and the end: the backup is whole.
      await ifAllowed(options, () => store.remove([keyOf(cluster, id, RUNNING_MARK)], signal));
    } else if (!objects.has(KEEP_MARK)) {
      // A list takes its time: a run that came to its end meanwhile has its manifest by now.
      const now = (await objectsOfBackups(store, cluster, signal, id)).get(id);
      if (now === undefined || now.has(MANIFEST)) continue;
      const names = [...now.keys()];
      if (await ifAllowed(options, () => removeUnfinished(store, { cluster, id, names }, signal))) removed.push(id);
    }
  }
  await ifAllowed(options, () => store.sweep(`${cluster}/`, { beforeMs: nowMs - UPLOAD_STALE_MS, signal }));
  return removed;
}

/** Who may add backups need not be allowed to remove any: then somebody else does. */
async function ifAllowed({ onDenied }: SweepOptions, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ForgeError) || error.kind !== 'denied') throw error;
    onDenied(error);
    return false;
  }
}

/** Removes all of a backup: its manifest first, for without it there is none, and its mark last. */
export async function removeUnfinished(
  store: BackupStore,
  { cluster, id, names }: { readonly cluster: string; readonly id: string; readonly names: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const keys = (some: readonly string[]) => some.map((name) => keyOf(cluster, id, name));
  await store.remove(keys([MANIFEST]), signal);
  await store.sweep(`${cluster}/${id}/`, { beforeMs: Number.MAX_SAFE_INTEGER, signal });
  await store.remove(keys(names.filter((name) => name !== RUNNING_MARK && name !== MANIFEST)), signal);
  await store.remove(keys([RUNNING_MARK]), signal);
}

async function objectsOfBackups(store: BackupStore, cluster: string, signal: AbortSignal, id?: string) {
  const found = new Map<string, Map<string, StoredObject>>();
  for await (const object of store.list(id === undefined ? `${cluster}/` : `${cluster}/${id}/`, signal)) {
    const key = parseKey(object.key);
    if (key === undefined) continue;
    const objects = found.get(key.id) ?? new Map<string, StoredObject>();
    found.set(key.id, objects.set(key.name, object));
  }
  return found;
}

async function readMark(store: BackupStore, { key, bytes }: StoredObject, signal: AbortSignal) {
  // What is so long was not written by a run.
  if (bytes > MARK_MAX_BYTES) return undefined;
  const content = await store.read(key, { maxBytes: MARK_MAX_BYTES, signal });
  return content === undefined ? undefined : parseMark(content.toString('utf8'));
}

function lockedBy(
  { place }: BackupStore,
  { cluster, id }: { readonly cluster: string; readonly id: string },
  mark: RunningMark | undefined,
): ForgeError {
  const who = mark === undefined ? 'Another run' : `Process ${mark.pid} of ${mark.host}`;
  const minutes = RUNNING_STALE_MS / MINUTE_MS;
  return new ForgeError('locked', `${who} is at work on a backup of ${cluster} in ${place} (${id}).`, {
    next: `Wait until it is done. If it has died, its mark counts no more after ${minutes} minutes.`,
    details: { id, ...(mark === undefined ? {} : { host: mark.host, pid: mark.pid }) },
  });
}

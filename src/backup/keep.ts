/** The mark that a backup is to stay, whatever the rules say. */
import { ForgeError } from '../errors.js';
import { type ListedBackup, listBackups } from './catalogue.js';
import { withRemovalClaim } from './claim.js';
import { KEEP_MARK, keyOf } from './layout.js';
import { type KeepMark, MARK_MAX_BYTES, readKeepMark, writeKeepMark } from './marks.js';
import type { BackupStore } from './store/store.js';

export interface KeepOptions {
  readonly cluster: string;
  readonly id: string;
  readonly signal: AbortSignal;
}

/**
 * Marks it. One that is marked already gets the new note.
 * @param options.by `user@host`
 * @throws ForgeError `refused` for what is no backup; `locked` while somebody removes backups of the cluster, so that no
 *   mark comes a moment too late
 */
export function keepBackup(
  store: BackupStore,
  { note, by, ...options }: KeepOptions & { readonly note?: string; readonly by: string },
): Promise<KeepMark> {
  const { cluster, id } = options;
  return withRemovalClaim(store, { ...options, purpose: 'forge backup keep' }, async ({ signal, storeNowMs }) => {
    await existing(store, { ...options, signal, nowMs: storeNowMs });
    const mark = { cluster, id, at: new Date().toISOString(), by, ...(note === undefined ? {} : { note }) };
    await store.write(keyOf(cluster, id, KEEP_MARK), Buffer.from(writeKeepMark(mark)), signal);
    return mark;
  });
}

/** Takes the mark away. @returns whether there was one. @throws ForgeError as `keepBackup` */
export function releaseBackup(store: BackupStore, options: KeepOptions): Promise<boolean> {
  const { cluster, id } = options;
  return withRemovalClaim(store, { ...options, purpose: 'forge backup keep --release' }, async (claim) => {
    const { kept } = await existing(store, { ...options, signal: claim.signal, nowMs: claim.storeNowMs });
    if (kept) await store.remove([keyOf(cluster, id, KEEP_MARK)], claim.signal);
    return kept;
  });
}

/** What the mark says; undefined where there is none, or it is not as forge wrote it. */
export async function keepMarkOf(
  store: BackupStore,
  { cluster, id, kept }: ListedBackup,
  signal: AbortSignal,
): Promise<KeepMark | undefined> {
  if (!kept) return undefined;
  const content = await store.read(keyOf(cluster, id, KEEP_MARK), { maxBytes: MARK_MAX_BYTES, signal });
  return content === undefined ? undefined : readKeepMark(content.toString());
}

async function existing(store: BackupStore, options: KeepOptions & { readonly nowMs: number }): Promise<ListedBackup> {
  const { cluster, id } = options;
  const [backup] = await listBackups(store, options);
  if (backup !== undefined && backup.state !== 'running' && backup.state !== 'unfinished') return backup;
  const why =
    backup === undefined
      ? `${store.place} has no backup ${id} of ${cluster}`
      : `${id} is ${backup.state}: it is no backup yet`;
  throw new ForgeError('refused', `${why}.`, { next: 'Look at: forge backup list.' });
}

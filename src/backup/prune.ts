/** Removing backups: those that no rule keeps, one that is named, and what dead runs left behind. */
import { ForgeError } from '../errors.js';
import { isAlive } from '../runtime/process/identity.js';
import { type ListedBackup, listBackups, RUNNING_STALE_MS } from './catalogue.js';
import { type HeldClaim, withRemovalClaim } from './claim.js';
import { KEEP_MARK, keyOf, MANIFEST, RUNNING_MARK } from './layout.js';
import { type DatedBackup, judgeRetention, type RetentionRules, type RetentionVerdict } from './retention.js';
import { MARK_MAX_BYTES, parseMark } from './run/mark.js';
import type { BackupStore } from './store/store.js';

export interface PruneOptions {
  readonly cluster: string;
  readonly rules: RetentionRules;
  readonly signal: AbortSignal;
}

export interface PruneVerdict extends RetentionVerdict {
  readonly atMs: number;
  readonly state: ListedBackup['state'];
  readonly bytes: number;
}

/** What would go, and why the others stay; newest first. */
export interface PrunePlan {
  readonly place: string;
  readonly cluster: string;
  readonly verdicts: readonly PruneVerdict[];
}

export interface PruneResult extends PrunePlan {
  /** Ids, in the order in which they went: the oldest first. */
  readonly removed: readonly string[];
  readonly bytesRemoved: number;
}

export interface CarryOutOptions extends PruneOptions {
  /** Only these: what somebody has agreed to. */
  readonly only?: ReadonlySet<string>;
  readonly onRemoved?: (verdict: PruneVerdict) => void;
}

/** What `pruneBackups` would do. Changes nothing. */
export function planPrune(store: BackupStore, options: PruneOptions): Promise<PrunePlan> {
  return plan(store, options, Date.now());
}

/**
 * Removes what no rule keeps, and what dead runs and interrupted removals left behind. Never one that is marked to be
 * kept, that somebody is at work on, that a newer forge has made, or the newest that is good. Ended at any moment, all that
 * is listed as complete is whole, and the next run removes the rest.
 * @throws ForgeError `locked` when somebody else removes backups of the cluster
 */
export function pruneBackups(store: BackupStore, options: CarryOutOptions): Promise<PruneResult> {
  const { cluster, signal, only, onRemoved } = options;
  return withRemovalClaim(store, { cluster, purpose: 'forge backup prune', signal }, async (claim) => {
    const planned = await plan(store, { ...options, signal: claim.signal }, claim.storeNowMs);
    const removed: string[] = [];
    let bytesRemoved = 0;
    // The oldest first: whoever is ended in the middle has lost the least.
    for (const verdict of [...planned.verdicts].reverse()) {
      if (verdict.stays || (only !== undefined && !only.has(verdict.id))) continue;
      claim.signal.throwIfAborted();
      if (!(await removeBackup(store, { cluster, id: verdict.id, claim, wasState: verdict.state }))) continue;
      removed.push(verdict.id);
      bytesRemoved += verdict.bytes;
      onRemoved?.(verdict);
    }
    return { ...planned, removed, bytesRemoved };
  });
}

async function plan(store: BackupStore, options: PruneOptions, nowMs: number): Promise<PrunePlan> {
  const { cluster, rules, signal } = options;
  // Without the key: what another key was used for is no worse for that.
  const listed = await listBackups(store, { cluster, nowMs, signal });
  const judged = judgeRetention(listed.filter(isJudged).map(datedOf), rules, nowMs);
  const byId = new Map(judged.map((verdict) => [verdict.id, verdict]));
  const verdicts: PruneVerdict[] = [];
  for (const backup of listed) {
    const { id, atMs, state, bytes } = backup;
    const verdict = byId.get(id) ?? (await judgeOther(store, backup, { nowMs, signal }));
    verdicts.push({ ...verdict, atMs, state, bytes });
  }
  return { place: store.place, cluster, verdicts };
}

const isJudged = ({ state }: ListedBackup) => state === 'complete' || state === 'partial' || state === 'damaged';

function datedOf({ id, atMs, state, kept, active }: ListedBackup): DatedBackup {
  return { id, atMs, complete: state === 'complete', kept, running: active, damaged: state === 'damaged' };
}

/**
 * What only a newer forge can judge, and what has no manifest: of a run that is at work or has died, or of a removal that
 * was ended in the middle.
 */
async function judgeOther(
  store: BackupStore,
  backup: ListedBackup,
  { nowMs, signal }: { readonly nowMs: number; readonly signal: AbortSignal },
): Promise<RetentionVerdict> {
  const { id, kept, state, newestMs } = backup;
  const stays = (reason: string) => ({ id, stays: true, reasons: [reason] });
  if (state === 'newer') return stays('a newer forge has made it');
  if (state === 'running') return stays('somebody is at work on it');
  if (kept) return stays('it is marked to be kept');
  // A process of this machine is asked for itself: a clock that jumped makes its mark old, not the process dead.
  if (await isRunningHere(store, backup, signal)) return stays('somebody is at work on it');
  if (nowMs - newestMs < RUNNING_STALE_MS) return stays('something was written to it a moment ago');
  return { id, stays: false, reasons: ['it was never finished, or is removed in part'] };
}

async function isRunningHere(store: BackupStore, { cluster, id, keys }: ListedBackup, signal: AbortSignal) {
  const key = keyOf(cluster, id, RUNNING_MARK);
  if (!keys.includes(key)) return false;
  const content = await store.read(key, { maxBytes: MARK_MAX_BYTES, signal });
  const mark = content === undefined ? undefined : parseMark(content.toString());
  return mark !== undefined && (await isAlive(mark));
}

interface RemoveOptions {
  readonly cluster: string;
  readonly id: string;
  readonly claim: HeldClaim;
  /** What it was when it was looked at. */
  readonly wasState: ListedBackup['state'];
}

/** @returns whether it was removed: not when it is another one by now, is marked to be kept, or somebody is at work on it */
async function removeBackup(store: BackupStore, { cluster, id, claim, wasState }: RemoveOptions): Promise<boolean> {
  // Once its manifest is gone, the rest goes as well, whatever the operator says meanwhile.
  const { lost: signal, storeNowMs: nowMs } = claim;
  const [backup] = await listBackups(store, { cluster, id, nowMs, signal });
  if (backup === undefined || backup.kept || backup.active || backup.state !== wasState) return false;
  const manifest = keyOf(cluster, id, MANIFEST);
  const mark = keyOf(cluster, id, RUNNING_MARK);
  // What has no manifest is no backup: never is half of one listed as whole.
  await store.remove([manifest], signal);
  await store.sweep(`${cluster}/${id}/`, { beforeMs: Number.MAX_SAFE_INTEGER, signal });
  await store.remove(
    backup.keys.filter((key) => key !== manifest && key !== mark),
    signal,
  );
  // The mark goes last: as long as anything is there, it is told what it is.
  if (backup.keys.includes(mark)) await store.remove([mark], signal);
  return true;
}

export interface DropOptions {
  readonly cluster: string;
  readonly id: string;
  /** Also one that is marked to be kept, or the only good one. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Removes one backup, whatever the rules say.
 * @throws ForgeError `refused` for one that somebody is at work on and, but for `force`, that is marked to be kept or is
 *   the only good one; `locked` when somebody else removes backups of the cluster
 */
export function dropBackup(store: BackupStore, options: DropOptions): Promise<ListedBackup> {
  const { cluster, id, signal } = options;
  return withRemovalClaim(store, { cluster, purpose: 'forge backup drop', signal }, async (claim) => {
    const backup = await guardDrop(store, { ...options, signal: claim.signal, nowMs: claim.storeNowMs });
    if (backup.kept) await store.remove([keyOf(cluster, id, KEEP_MARK)], claim.signal);
    await removeBackup(store, { cluster, id, claim, wasState: backup.state });
    return backup;
  });
}

/** What `dropBackup` would remove. Changes nothing. @throws as it does */
export async function guardDrop(
  store: BackupStore,
  { cluster, id, force, signal, nowMs = Date.now() }: DropOptions & { readonly nowMs?: number },
): Promise<ListedBackup> {
  const listed = await listBackups(store, { cluster, nowMs, signal });
  const backup = listed.find((each) => each.id === id);
  if (backup === undefined) {
    throw new ForgeError('refused', `${store.place} has no backup ${id} of ${cluster}.`, {
      next: 'Look at: forge backup list.',
    });
  }
  if (backup.active || backup.state === 'running' || (await isRunningHere(store, backup, signal))) {
    throw new ForgeError('refused', `Somebody is at work on ${id}.`, { next: 'Wait until it is done, or end it.' });
  }
  if (force) return backup;
  if (backup.kept) {
    throw new ForgeError('refused', `${id} is marked to be kept.`, {
      next: `Release it (forge backup keep ${id} --release), or add --force.`,
    });
  }
  if (backup.state === 'complete' && !listed.some((each) => each.id !== id && each.state === 'complete')) {
    throw new ForgeError('refused', `${id} is the only good backup of ${cluster} in ${store.place}.`, {
      next: 'Make another one first (forge backup), or add --force.',
    });
  }
  return backup;
}

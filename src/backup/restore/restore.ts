/** A restore into a cluster that runs: look, plan, and then the keys. Knows no terminal. */
import { mapBounded } from '../../cluster/bounded.js';
import { formatSlots, slotsFrom } from '../../cluster/slots.js';
import type { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { workName } from '../../operations/lock/name.js';
import type { ClusterSession } from '../../operations/session.js';
import { withLock } from '../../runtime/lock.js';
import { scratchPlace, sweepScratch } from '../scratch/folder.js';
import type { BackupArchive } from './archive.js';
import { compareCounts } from './counts.js';
import { Delivery } from './delivery.js';
import { type FunctionsOutcome, restoreFunctions } from './functions.js';
import { type RestoreIdentity, RestoreJournal, restoreFile } from './journal.js';
import { partsOf, shardsOf } from './parts.js';
import { type ExistingKeys, planRestore, type RestorePlan, type TargetMaster } from './plan.js';
import { acceptedVersions } from './probe.js';
import { howFar, RestoreRun, type RestoreTally } from './run.js';
import type { Selection } from './selection.js';
import { countSlotKeys } from './slot-count.js';
import { type Survey, surveyShards } from './survey.js';
import { readUsers, restoreUsers } from './users.js';

export const RESTORE_PARALLEL_DEFAULT = 3;
export const RESTORE_PARALLEL_MAX = 64;
const MASTERS_AT_ONCE = 16;
/** For replicas to have what was written last. */
const REPLICAS_MS = 30_000;
const RANGES_SHOWN = 4;

export interface RestoreOptions {
  readonly session: ClusterSession;
  readonly archive: BackupArchive;
  readonly selection: Selection;
  readonly existing: ExistingKeys;
  /** Shards at once. */
  readonly parallel: number;
  /** All bytes of the backup are looked at before the first key is written; or have been, with this result. */
  readonly verify: boolean | Survey;
  /** The backup's users are put in place, too. */
  readonly users?: boolean;
  /** How long the cluster may refuse a key, milliseconds; what `Delivery` has when not told. */
  readonly patienceMs?: number;
  readonly environment?: NodeJS.ProcessEnv;
  readonly home?: string;
  readonly signal: AbortSignal;
  readonly observer?: RestoreObserver;
}

export interface RestoreObserver {
  /** Bytes that were looked at, of all. */
  surveyed?(bytes: number, total: number): void;
  /** Of `total` keys, where that is known. */
  restored?(tally: Readonly<RestoreTally>, total: number): void;
  remark?(text: string): void;
}

export interface RestoreResult extends RestoreTally {
  readonly status: 'restored';
  readonly plan: RestorePlan;
  readonly functions: FunctionsOutcome;
  /** Names of those that were put in place. */
  readonly users: readonly string[];
  /** Some of the keys that were there, with `keep`. */
  readonly existingNames: readonly string[];
  readonly notes: readonly string[];
  readonly elapsedMs: number;
}

/** With nothing, where an earlier run was, or from the first key on while some are there. */
type Beginning = 'anew' | 'on' | 'again';

interface OpenedParts {
  readonly plan: RestorePlan;
  readonly beginning: Beginning;
  /** All bytes were looked at. */
  readonly surveyed: boolean;
}

/** What was found, ready to be shown, confirmed and applied. */
export class Restore {
  readonly plan: RestorePlan;
  readonly #options: RestoreOptions;
  readonly #identity: RestoreIdentity;
  readonly #beginning: Beginning;
  readonly #surveyed: boolean;

  constructor(options: RestoreOptions, identity: RestoreIdentity, parts: OpenedParts) {
    this.#options = options;
    this.#identity = identity;
    this.plan = parts.plan;
    this.#beginning = parts.beginning;
    this.#surveyed = parts.surveyed;
  }

  /**
   * Restores; what an earlier run has done is not done again.
   * @throws ForgeError `locked` while another run is at it; `partial`, `unreachable`, `denied` in the middle, and how far
   *   it went; `verification` where keys are missing after all
   */
  apply(): Promise<RestoreResult> {
    const { home } = this.#options;
    const lock = `${restoreFile(this.#identity, home)}.lock`;
    const directory = lock.slice(0, lock.lastIndexOf('/'));
    const work = () => this.#apply();
    return withLock({ directory, lock }, 'forge restore', work, { what: 'the same restore' });
  }

  async #apply(): Promise<RestoreResult> {
    const { session, archive, selection, existing, signal, observer, parallel, environment } = this.#options;
    const started = performance.now();
    const journal = await this.#begin();
    journal.proven ||= this.#surveyed;
    await journal.save();
    const delivery = new Delivery({
      pool: session.pool,
      clientName: workName(session.token),
      topology: session.snapshot.topology,
      look: async () => (await session.look()).topology,
      replace: existing === 'replace',
      patienceMs: this.#options.patienceMs,
      signal,
      onDetour: (reason) => observer?.remark?.(`The cluster does not take all keys at the moment: ${reason}`),
    });
    const run = new RestoreRun({
      archive,
      parts: partsOf(archive.manifest, selection),
      selection,
      delivery,
      journal,
      parallel,
      environment,
      signal,
      onProgress: (tally) => observer?.restored?.(tally, this.plan.keys),
      onRemark: (text) => observer?.remark?.(text),
    });
    try {
      const outcome = await run.run();
      const { topology } = delivery;
      const functions = selection.isAll
        ? await restoreFunctions(
            session.pool,
            topology.masters.filter(({ slots }) => slots.length > 0).map(({ id }) => id),
            [...journal.libraries],
            existing === 'replace',
          )
        : { loaded: [], existing: [] };
      const users = this.#options.users
        ? await restoreUsers(session.pool, session.memberIds, await readUsers(archive, signal))
        : [];
      const lagging = await delivery.settle(replicasOf(topology), REPLICAS_MS);
      const notes = [...(await this.#verify(journal)), ...lagging.map((label) => `A replica of ${label} lags behind.`)];
      requireAll(outcome, existing);
      await journal.remove();
      const { refusals: _, ...tally } = outcome;
      const elapsedMs = Math.round(performance.now() - started);
      return { status: 'restored', plan: this.plan, ...tally, functions, users, notes, elapsedMs };
    } catch (error) {
      throw howFar(error, run.tally());
    } finally {
      delivery.close();
    }
  }

  async #begin(): Promise<RestoreJournal> {
    const { home } = this.#options;
    const wasEmpty = this.plan.existingKeys === 0;
    if (this.#beginning === 'anew') return RestoreJournal.anew(this.#identity, wasEmpty, home);
    const found = await RestoreJournal.open(this.#identity, wasEmpty, home);
    return this.#beginning === 'on' ? found : RestoreJournal.again(this.#identity, found);
  }

  async #verify(journal: RestoreJournal): Promise<string[]> {
    const { session } = this.#options;
    const counts = journal.counts();
    const found = await countSlotKeys(session.pool, (await session.look()).topology);
    const { fewer, more } = compareCounts(counts, found, { atMs: Date.now(), wasEmpty: journal.wasEmpty });
    if (fewer.length > 0) {
      const missing = fewer.reduce((sum, fault) => sum + fault.wanted - fault.found, 0);
      const slots = formatSlots(slotsFrom(fewer.map(({ slot }) => slot)), RANGES_SHOWN);
      throw new ForgeError(
        'verification',
        `${missing} keys that were restored are not there any more (slots ${slots}).`,
        {
          next: 'Look whether clients delete keys, whether maxmemory evicts them, and whether a master has failed.',
          details: { slots: fewer.slice(0, 100) },
        },
      );
    }
    if (more.length === 0) return [];
    const slots = formatSlots(slotsFrom(more.map(({ slot }) => slot)), RANGES_SHOWN);
    return [`There are more keys than were restored, in the slots ${slots}: clients write meanwhile.`];
  }
}

/** None of a node that is a replica by now. */
const replicasOf = (topology: Topology) => (id: string) =>
  topology.shards.find(({ master }) => master.id === id)?.replicas.length ?? 0;

/** Keys that are not as the backup has them, though all was done. */
function requireAll(
  outcome: RestoreTally & {
    readonly existingNames: readonly string[];
    readonly refusals: readonly { readonly key: string; readonly reply: string }[];
  },
  existing: ExistingKeys,
): void {
  if (outcome.refused > 0) {
    const shown = outcome.refusals.map(({ key, reply }) => `  ${key}: ${reply}`).join('\n');
    throw new ForgeError('partial', `${outcome.refused} keys are not taken by the cluster:\n${shown}`, {
      next: 'All others are restored. Restore these into a server of the kind and version of the backup.',
      details: { refused: outcome.refused, refusals: outcome.refusals },
    });
  }
  if (outcome.existing > 0 && existing === 'refuse') {
    const shown = outcome.existingNames.join(', ');
    throw new ForgeError('partial', `${outcome.existing} keys came into being meanwhile, and stay: ${shown}.`, {
      next: 'All others are restored. Add --replace where those of the backup are wanted.',
      details: { existing: outcome.existing, names: outcome.existingNames },
    });
  }
}

/**
 * Looks at the backup and the cluster. Changes nothing.
 * @throws ForgeError `refused` for what cannot be restored there, `verification` for a backup that is damaged
 */
export async function openRestore(options: RestoreOptions): Promise<Restore> {
  const { session, archive, selection, existing, parallel, environment, home, signal, observer } = options;
  const { manifest } = archive;
  const backupParts = partsOf(manifest, selection);
  await sweepScratch(scratchPlace(environment));
  const identity: RestoreIdentity = {
    backup: `${manifest.cluster}/${manifest.id}`,
    nodes: session.memberIds,
    options: `${existing} ${selection.digest}`,
  };
  const found = await RestoreJournal.open(identity, true, home);
  const masters = await readMasters(session);
  const beginning = await beginningOf(found, session, masters);
  const resumed = beginning !== 'anew';
  const { topology } = session.snapshot;
  const parts = { manifest, selection, parts: backupParts, topology, masters, existing, resumed };
  // What speaks against it is said before minutes are spent on the backup.
  planRestore({ ...parts, survey: undefined });
  let survey = typeof options.verify === 'object' ? options.verify : undefined;
  if (options.verify === true && !(resumed && found.proven)) {
    survey = await surveyBackup(archive, { selection, parallel, signal, observer });
  }
  const plan = planRestore({ ...parts, survey });
  return new Restore(options, identity, { plan, beginning, surveyed: survey !== undefined });
}

/**
 * Where keys that an earlier run has put there are gone, there is nothing to go on with: the cluster was emptied since, or a
 * master was lost with what it had not given to a replica.
 */
async function beginningOf(
  journal: RestoreJournal,
  { pool, snapshot }: ClusterSession,
  masters: readonly TargetMaster[],
): Promise<Beginning> {
  if (!journal.resumed) return 'anew';
  const found = await countSlotKeys(pool, snapshot.topology);
  const { fewer } = compareCounts(journal.counts(), found, { atMs: Date.now(), wasEmpty: false });
  if (fewer.length === 0) return 'on';
  return masters.every(({ keys }) => keys === 0) ? 'anew' : 'again';
}

/** The look at all bytes; @throws ForgeError as `surveyShards` */
export function surveyBackup(
  archive: BackupArchive,
  { observer, ...options }: Pick<RestoreOptions, 'selection' | 'parallel' | 'signal' | 'observer'>,
): Promise<Survey> {
  const parts = partsOf(archive.manifest, options.selection);
  const total = shardsOf(parts).reduce((sum, { object }) => sum + object.plainBytes, 0);
  return surveyShards({ archive, parts, ...options, onBytes: (bytes) => observer?.surveyed?.(bytes, total) });
}

async function readMasters({ pool, snapshot }: ClusterSession): Promise<TargetMaster[]> {
  const masters = snapshot.topology.masters.filter(({ slots }) => slots.length > 0);
  return mapBounded(masters, MASTERS_AT_ONCE, async ({ id, slots }) => {
    const report = snapshot.report(id);
    const version = report?.version;
    const accepts = report === undefined ? undefined : await acceptedVersions(await pool.get(id), slots[0]?.start ?? 0);
    return {
      id,
      address: snapshot.addressOf(id),
      slots,
      keys: report?.keys ?? 0,
      server: version === undefined ? undefined : { product: version.product, version: version.text },
      accepts,
    };
  });
}

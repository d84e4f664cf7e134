/**
 * Reads all shards, watches whether slots move meanwhile, and reads again what was not still: so a key that moved is
 * neither in two shards nor in none, as long as moves come to an end within the time that is given.
 */
import { pause, settleBounded } from '../../cluster/bounded.js';
import {
  countSlots,
  formatSlots,
  intersectSlots,
  type SlotSet,
  sameSlots,
  subtractSlots,
  unionSlots,
} from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { type RunningJob, slotJobs } from '../../operations/health/slot-jobs.js';
import type { BackupShard } from '../manifest.js';
import { SlotWatch, slotsOnTheWay } from './moving.js';
import { type BackupPlan, type MissingShard, type PlannedShard, planBackup } from './plan.js';
import { FAILOVER_WAIT_MS, type ReadShard, readShard, type ShardRun, SourceFailure } from './shard.js';

/** Shards whose slots moved while they were read are read again; so many times in all. */
export const ROUNDS_MAX = 3;
const LOOK_MS = 1_000;
/** A large cluster is not asked all the time. */
const LOOK_SHARE = 10;
const RANGES_SHOWN_MAX = 6;
const NAMED_MAX = 6;

export interface CollectOptions {
  readonly partial: boolean;
  readonly waitMs: number;
  readonly parallel: number;
}

export interface Collected {
  /** By their lowest slot. */
  readonly shards: readonly BackupShard[];
  readonly missing: readonly MissingShard[];
  readonly moving: SlotSet;
  /** The cluster after the last shard was read. */
  readonly snapshot: ClusterSnapshot;
}

interface Looked {
  readonly snapshot: ClusterSnapshot;
  readonly jobs: readonly RunningJob[];
}

interface Settled extends Looked {
  readonly plan: BackupPlan;
}

/**
 * Reads every shard of the plan into the store.
 * @throws ForgeError `unreachable` for masters that cannot be read, without `partial`; what `readShard` throws
 */
export function collectShards(run: ShardRun, options: CollectOptions): Promise<Collected> {
  return new Rounds(run, options).collect();
}

class Rounds {
  readonly #run: ShardRun;
  readonly #options: CollectOptions;
  readonly #waitUntil: number;
  /** Shards of which the object in the store holds good. */
  #read: ReadShard[] = [];
  /** Masters that answered when they were planned, and could not be read. */
  readonly #failed: MissingShard[] = [];
  #objects = 0;

  constructor(run: ShardRun, options: CollectOptions) {
    this.#run = run;
    this.#options = options;
    this.#waitUntil = performance.now() + options.waitMs;
  }

  async collect(): Promise<Collected> {
    let { plan, ...before } = await this.#settled();
    for (let round = 1; ; round++) {
      this.#refuse(plan);
      const kept = this.#read.filter(({ shard }) => plan.shards.some(({ slots }) => sameSlots(slots, shard.slots)));
      const due = plan.shards.filter(
        ({ slots }) => !kept.some(({ shard }) => sameSlots(shard.slots, slots)) && !this.#hasFailed(slots),
      );
      this.#run.observe({ type: 'reading', shards: due.length, round });
      const watch = new SlotWatch(before.snapshot, before.jobs);
      this.#read = [...kept, ...(await this.#readAll(due, watch))];
      const after = await this.#look();
      watch.look(after.snapshot, after.jobs);
      const unread = this.#unread(plan);
      if (watch.moving.length === 0 && unread.length === 0) return this.#collected(plan, after, []);
      const again = round < ROUNDS_MAX && performance.now() < this.#waitUntil ? await this.#settled() : undefined;
      const way = again === undefined ? [] : slotsOnTheWay(again.snapshot, again.jobs);
      if (again === undefined || way.length > 0) return this.#collected(plan, after, unionSlots(watch.moving, way));
      this.#read = this.#read.filter((read) => !touches(read, watch.moving));
      ({ plan, ...before } = again);
    }
  }

  #hasFailed(slots: SlotSet): boolean {
    return this.#failed.some((each) => sameSlots(each.slots, slots));
  }

  /** Slots went away from these when they were to be begun anew: they were not read as what they are. */
  #unread(plan: BackupPlan): MissingShard[] {
    const had = unionSlots(...this.#read.map(({ shard }) => shard.slots), ...this.#failed.map(({ slots }) => slots));
    return plan.shards.flatMap(({ masterId, masterAddress, slots }) => {
      const rest = subtractSlots(slots, had);
      if (rest.length === 0) return [];
      return [
        { masterId, address: masterAddress, slots: rest, hopeful: false, reason: 'its slots moved all the time' },
      ];
    });
  }

  #collected(plan: BackupPlan, { snapshot }: Looked, moving: SlotSet): Collected {
    const unread = this.#unread(plan);
    if (unread.length > 0 && !this.#options.partial) throw cannotBeRead(unread);
    const shards = this.#read.map(({ shard }) => shard).sort((one, other) => lowest(one) - lowest(other));
    if (shards.length === 0) throw cannotBeRead([...plan.missing, ...this.#failed, ...unread]);
    const foreign = this.#read.map((each) => each.foreign);
    const missing = [...plan.leftOut, ...plan.missing, ...this.#failed, ...unread];
    return { shards, missing, moving: unionSlots(moving, ...foreign), snapshot };
  }

  /** All of these, and what was seen of the cluster meanwhile goes to the watch. */
  async #readAll(due: readonly PlannedShard[], watch: SlotWatch): Promise<ReadShard[]> {
    const { partial, parallel } = this.#options;
    const failure = new AbortController();
    const signal = AbortSignal.any([this.#run.signal, failure.signal]);
    const over = new AbortController();
    const watching = this.#watch(watch, AbortSignal.any([signal, over.signal]));
    const fresh: ReadShard[] = [];
    const results = await settleBounded(due, parallel, async (shard) => {
      signal.throwIfAborted();
      const number = ++this.#objects;
      try {
        const read = await readShard({ ...this.#run, signal }, shard, number);
        if (read !== undefined) fresh.push(read);
      } catch (error) {
        if (partial && error instanceof SourceFailure) this.#failed.push(missingBy(shard, error));
        else {
          failure.abort(error instanceof SourceFailure ? error.failure : error);
          throw error;
        }
      }
    });
    over.abort();
    await watching;
    this.#run.signal.throwIfAborted();
    if (failure.signal.aborted) throw failure.signal.reason;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return fresh;
  }

  async #watch(watch: SlotWatch, signal: AbortSignal): Promise<void> {
    for (;;) {
      const began = performance.now();
      try {
        const { snapshot, jobs } = await this.#look();
        watch.look(snapshot, jobs);
      } catch (error) {
        // What nobody answers now is looked at later.
        if (!(error instanceof ForgeError)) throw error;
      }
      const tookMs = performance.now() - began;
      if (!(await pause(Math.max(LOOK_MS, tookMs * LOOK_SHARE), signal).then(...SUCCEEDED))) return;
    }
  }

  async #look(): Promise<Looked> {
    const { session } = this.#run;
    const snapshot = await session.look();
    return { snapshot, jobs: await slotJobs(session, snapshot) };
  }

  /** The cluster as soon as nothing is on its way, and no failover is to be expected; or when the time for that is over. */
  async #settled(): Promise<Settled> {
    const { signal, observe, node, failoverWaitMs = FAILOVER_WAIT_MS } = this.#run;
    const failoverUntil = performance.now() + failoverWaitMs;
    for (;;) {
      const looked = await this.#look();
      const plan = planBackup(looked.snapshot, { node });
      const now = performance.now();
      const way = slotsOnTheWay(looked.snapshot, looked.jobs);
      const hopeful = plan.missing.filter((each) => each.hopeful);
      if (way.length > 0 && now < this.#waitUntil) {
        const reason = `${countSlots(way)} slots are on their way (${formatSlots(way, RANGES_SHOWN_MAX)})`;
        observe({ type: 'waiting', reason, leftMs: this.#waitUntil - now });
      } else if (hopeful.length > 0 && now < failoverUntil) {
        const reason = `a replica may take over for ${hopeful.map(({ address }) => address).join(', ')}`;
        observe({ type: 'waiting', reason, leftMs: failoverUntil - now });
      } else return { ...looked, plan };
      await pause(LOOK_MS, signal);
    }
  }

  #refuse({ missing, shards }: BackupPlan): void {
    if (missing.length > 0 && (!this.#options.partial || shards.length === 0)) throw cannotBeRead(missing);
    if (shards.length === 0) {
      throw new ForgeError('refused', 'No master of the cluster serves slots: there is nothing to back up.');
    }
  }
}

const SUCCEEDED = [() => true, () => false] as const;

const lowest = ({ slots }: BackupShard) => slots[0]?.start ?? 0;

/** Slots of it, or slots of which it holds keys, have moved. */
const touches = ({ shard, foreign }: ReadShard, moving: SlotSet) =>
  intersectSlots(unionSlots(shard.slots, foreign), moving).length > 0;

const missingBy = ({ masterId, masterAddress, slots }: PlannedShard, { message }: SourceFailure): MissingShard => ({
  ...{ masterId, address: masterAddress, slots, hopeful: false },
  reason: message.replace(/\.$/, ''),
});

function cannotBeRead(missing: readonly MissingShard[]): ForgeError {
  const named = missing.slice(0, NAMED_MAX).map(({ address, reason }) => `  ${address}: ${reason}`);
  if (missing.length > NAMED_MAX) named.push(`  and ${missing.length - NAMED_MAX} more`);
  const what = missing.length === 1 ? 'A master cannot be read' : `${missing.length} masters cannot be read`;
  return new ForgeError('unreachable', `${what}, nor can a replica:\n${named.join('\n')}`, {
    host: missing[0]?.address,
    next: [
      'Bring it back: forge cluster check, forge cluster fix.',
      'With --partial, the others are backed up without it.',
    ],
    details: { missing: missing.map(({ masterId, address, reason }) => ({ masterId, address, reason })) },
  });
}

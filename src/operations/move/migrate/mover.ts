/** Slots move by MIGRATE: opened, emptied and closed in small groups, each of which is finished or taken back. */
import { countSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { StepContext } from '../../step.js';
import { viewOf, waitUntil } from '../../steps/views.js';
import type { MoveReport, SlotMove, SlotMover } from '../mover.js';
import { type Batch, BatchSize } from './batches.js';
import { abandoned, explain } from './explain.js';
import { mergeSettlements, showKey, UnfinishedError } from './failures.js';
import { moveGroup } from './group.js';
import { GROUP_SLOTS_MAX, groupLength, type SlotKeys } from './groups.js';
import { countKeys } from './keys.js';
import { tellNewSource } from './marks.js';
import { GROUPS_MAX, PACES } from './pace.js';
import { lookAtPair, Pair, type PairNodes } from './pair.js';
import { MoveProgress } from './progress.js';
import { requireRights } from './rights.js';
import { slotStates } from './slot-states.js';
import { replicasOf, warnOfSplit } from './split-shard.js';
import { requireNoStrays } from './strays.js';

/** What a run that was killed leaves open; after an interruption, more than that would take too long. */
const IN_HAND_MAX = GROUPS_MAX * GROUP_SLOTS_MAX;
const MIB = 1024 * 1024;
/** For a while after a failover, a node holds the former master for one, and what that began for another's. */
const FOREIGN_MS = 5_000;
/** Big keys that are named one by one. */
const BIG_KEYS_NAMED_MAX = 20;

export const migrateMover: SlotMover = { name: 'migrate', move };

async function move(context: StepContext, { source, target, slots, pace = 'fast' }: SlotMove): Promise<MoveReport> {
  const started = performance.now();
  const pair = new Pair(context, { source, target }, PACES[pace]);
  try {
    let { from, to, states } = await statesOf(pair, slots);
    if (states.turned.length > 0 && !(await finishTurned(pair, states.turned))) {
      ({ from, to, states } = await statesOf(pair, slots));
    }
    const replicas = await replicasOf(context, target);
    pair.heirs = { source: await replicasOf(context, source), target: replicas };
    const progress = new MoveProgress(countSlots(slots));
    progress.slotsDone(states.done.length);
    const mover = new Mover(pair, progress);
    const opened = [...[...from.migrating, ...to.importing].map(({ slot }) => slot), ...states.toClose];
    const orphans = new Set(to.importing.filter(({ peerId }) => peerId !== source.id).map(({ slot }) => slot));
    await tellNewSource(
      pair,
      states.toMove.filter((slot) => orphans.has(slot)),
    );
    await mover.moveAll([...states.toClose, ...states.toMove, ...states.turned], opened);
    await winEpoch(pair);
    await warnOfSplit(context, { target, slots }, replicas);
    return { method: 'migrate', slots: countSlots(slots), ...progress.moved, elapsedMs: performance.now() - started };
  } finally {
    pair.close();
  }
}

/** @throws ForgeError `refused` when others have to do with some of the slots, and still have after `FOREIGN_MS` */
async function statesOf(pair: Pair, slots: SlotMove['slots']) {
  const look = async () => {
    const { from, to, isGone } = await lookAtPair(pair);
    return { from, to, states: slotStates(from, to, slots, isGone) };
  };
  let seen = await look();
  if (seen.states.foreign.length > 0) {
    await waitUntil(
      pair.context,
      async () => {
        seen = await look();
        return seen.states.foreign.length === 0;
      },
      () => foreign(seen.states.foreign, pair),
      Math.min(FOREIGN_MS, pair.context.waitMs),
    );
  }
  return seen;
}

/**
 * Finishes slots where they were going: so no client misses a key that has moved already. False when that cannot be, and
 * they went back instead: to where they are to be.
 */
async function finishTurned(pair: Pair, turned: readonly number[]): Promise<boolean> {
  try {
    await new Mover(pair.reversed(), new MoveProgress(0)).moveAll(turned, turned);
    return true;
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    const { back, open, keys } = error.details ?? {};
    if (back === undefined || open !== undefined || keys !== undefined) throw error;
    pair.context.report({ type: 'note', text: error.message });
    return false;
  }
}

class Mover {
  readonly #pair: Pair;
  readonly #progress: MoveProgress;
  readonly #size: BatchSize;
  /** Of groups that were neither finished nor settled: without the lock nothing may be changed. */
  readonly #abandoned: number[] = [];
  #bigKeys = 0;

  constructor(pair: Pair, progress: MoveProgress) {
    this.#pair = pair;
    this.#size = new BatchSize(pair.pace.batch);
    this.#progress = progress;
  }

  /** @param opened slots that an earlier run has opened, or closed at one of the two */
  async moveAll(slots: readonly number[], opened: readonly number[]): Promise<void> {
    const { context } = this.#pair;
    if (slots.length === 0) return;
    const begun = new Set(opened);
    const fresh = slots.filter((slot) => !begun.has(slot));
    // What is open already is better tried than left.
    if (fresh.length > 0) await requireRights(this.#pair);
    await requireNoStrays(this.#pair, fresh);
    await this.#pair.leftovers.begin(fresh);
    await knowEpochs(this.#pair);
    const counts = await countKeys(await this.#pair.worker(), slots);
    const all: SlotKeys[] = slots.map((slot, index) => ({ slot, keys: counts[index] ?? 0 }));
    // What is open already is in hand from the start: it is finished first, and also after an interruption.
    let inHand = all.filter(({ slot }) => begun.has(slot));
    let left = all.filter(({ slot }) => !begun.has(slot));
    if (inHand.length > IN_HAND_MAX) [inHand, left] = [[], [...inHand, ...left]];
    this.#progress.expect(counts.reduce((sum, keys) => sum + keys, 0));
    const failures: unknown[] = [];
    const lane = async () => {
      while (inHand.length + left.length > 0 && failures.length === 0) {
        try {
          // A pause and an interruption are heard here: the lane has no slot open.
          if (inHand.length === 0) await context.move.turn(context.signal);
          const next = inHand.length > 0 ? inHand : left;
          const length = groupLength(next, this.#progress.keyBytes, context.move.limits);
          const group = next.slice(0, length).map(({ slot }) => slot);
          if (next === inHand) inHand = inHand.slice(length);
          else left = left.slice(length);
          if (group.length > 0) await this.#moveGroup(group, begun);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: this.#pair.pace.groups }, lane));
    if (failures.length > 0) throw this.#told(failures);
  }

  /** One error for all lanes: the first failure, and where the slots of all are. */
  #told(failures: readonly unknown[]): unknown {
    const unfinished = failures.filter((failure) => failure instanceof UnfinishedError);
    const [first] = unfinished;
    // An interruption, a lost lock, a fault: those are not explained by what happened to a node.
    const other = abandoned(
      failures.find((failure) => !(failure instanceof UnfinishedError)),
      this.#abandoned,
    );
    if (first === undefined) return other;
    const settlement = mergeSettlements(unfinished.map((each) => each.settlement));
    const error = explain(this.#pair, first.cause, settlement);
    if (other !== undefined) {
      this.#pair.context.report({ type: 'warning', text: error.message });
      return other;
    }
    return this.#progress.slots === 0 ? error : partly(error, this.#progress);
  }

  async #moveGroup(slots: readonly number[], begun: ReadonlySet<number>): Promise<void> {
    const { context } = this.#pair;
    const opened = slots.filter((slot) => begun.has(slot));
    const options = {
      size: this.#size,
      bigKeyBytes: context.move.bigKeyBytes,
      sending: (batch: Batch) => this.#warnOf(batch),
      moved: (batch: Batch) => this.#progress.batch(batch),
    };
    try {
      await moveGroup(this.#pair, { slots, opened }, options);
    } catch (error) {
      if (!(error instanceof UnfinishedError)) this.#abandoned.push(...slots);
      throw error;
    }
    this.#progress.slotsDone(slots.length);
    context.report(this.#progress.event());
  }

  #warnOf({ big, keys, bytes, slot }: Batch): void {
    if (!big || ++this.#bigKeys > BIG_KEYS_NAMED_MAX) return;
    const { source, target } = this.#pair;
    const size = `${Math.round(bytes / MIB)} MiB`;
    const key = showKey(keys[0] as Buffer);
    this.#pair.context.report({
      type: 'warning',
      text: `${key} (slot ${slot}) has ${size}: ${source.address} and ${target.address} answer nobody while it moves.`,
    });
  }
}

function partly(error: ForgeError, { slots, slotsTotal }: MoveProgress): ForgeError {
  return new ForgeError('partial', `${slots} of ${slotsTotal} slots have moved. ${error.message}`, {
    host: error.host,
    next: error.next,
    details: { ...error.details, failure: error.kind },
    cause: error,
  });
}

/**
 * A target takes a newer epoch than all that it knows of when it gets slots. Before it has heard of the source's, it could
 * take one that does not win, and nodes that are not told would stay with the source.
 */
async function knowEpochs({ context, source, target }: Pair): Promise<void> {
  const { cluster } = await viewOf(context, source.id);
  await waitUntil(
    context,
    async () => (await viewOf(context, target.id)).cluster.currentEpoch >= cluster.myEpoch,
    () =>
      new ForgeError('timeout', `${target.address} has not heard of the newest epoch of ${source.address}.`, {
        host: target.address,
        next: 'Check the cluster bus port between the two.',
      }),
  );
}

/** Where the target's claim is not the newer one after all, it takes a newer epoch. */
async function winEpoch({ context, source, target }: Pair): Promise<void> {
  const { topology } = await viewOf(context, target.id);
  const before = topology.node(source.id)?.configEpoch ?? 0;
  if ((topology.myself?.configEpoch ?? 0) > before) return;
  await context.mutate(target.id, 'CLUSTER', 'BUMPEPOCH');
}

function foreign(slots: readonly { slot: number; why: string }[], { source, target }: PairNodes): ForgeError {
  const [first] = slots;
  const more = slots.length > 1 ? ` (and ${slots.length - 1} more slots)` : '';
  return new ForgeError(
    'refused',
    `Slot ${first?.slot} cannot be moved from ${source.address} to ${target.address}: ${first?.why}${more}.`,
    {
      host: source.address,
      next: 'Look at forge cluster check, and put it right with forge cluster fix.',
      details: { slots: slots.map(({ slot }) => slot) },
    },
  );
}

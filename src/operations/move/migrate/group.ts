/** A few slots at once: opened, emptied and closed, with patience for what passes, and settled when it cannot be done. */
import { pause } from '../../../cluster/bounded.js';
import { type ErrorKind, ForgeError } from '../../../errors.js';
import type { Batch } from './batches.js';
import { ConflictError, kindOfFailure, RETRIED, type Settlement, UnfinishedError } from './failures.js';
import { closeSlots, openSlots } from './marks.js';
import { lookAtPair, type Pair, succeeded } from './pair.js';
import { settleSlots } from './settle.js';
import { slotStates } from './slot-states.js';
import { type TransferOptions, transferKeys } from './transfer.js';

const NOT_OF_NODES: ReadonlySet<ErrorKind> = new Set(['locked', 'interrupted', 'terminated', 'hung-up', 'unexpected']);
const RETRY_FIRST_MS = 50;
/** Until a failover is found out, clients do not find what has moved. */
const RETRY_MAX_MS = 400;
/** What an interrupted run may still wait for a node to come back, before it settles the slots in hand. */
const INTERRUPTED_WAIT_MS = 3_000;

export interface Group {
  readonly slots: readonly number[];
  /** Of these, some keys may be at the target already, or all: an earlier run opened or closed them. */
  readonly opened: readonly number[];
}

/**
 * When it returns, the target serves all slots of the group.
 * @throws UnfinishedError that has what failed and where the slots are now; what is no failure of a node as it is
 */
export async function moveGroup(pair: Pair, group: Group, options: TransferOptions): Promise<void> {
  const touched = new Set(group.opened);
  let failingSince: number | undefined;
  let waitMs = RETRY_FIRST_MS;
  const transfer: TransferOptions = {
    ...options,
    // Also a batch that failed may have arrived, in part or whole.
    sending: (batch: Batch) => {
      touched.add(batch.slot);
      options.sending(batch);
    },
    moved: (batch: Batch) => {
      failingSince = undefined;
      waitMs = RETRY_FIRST_MS;
      options.moved(batch);
    },
  };
  for (let attempt = 0; ; attempt++) {
    try {
      // What an earlier run left may be the target's already: such a slot cannot be opened again.
      const fresh = attempt === 0 && group.opened.length === 0;
      await moveOnce(pair, fresh ? { toMove: group.slots, toClose: [] } : await stateOf(pair, group), transfer);
      return;
    } catch (error) {
      if (!isOfNodes(error)) throw error;
      const kind = kindOfFailure(error);
      failingSince ??= performance.now();
      const { signal, waitMs: bound } = pair.context;
      const patience = signal.aborted ? Math.min(bound, INTERRUPTED_WAIT_MS) : bound;
      const late = performance.now() - failingSince > patience;
      const passes = kind !== undefined && RETRIED.has(kind);
      if (passes) await requireNoHeir(pair, group, { touched, error });
      if (!passes || late) throw new UnfinishedError(error, await settleSlots(pair, group.slots, { touched }));
      await pause(waitMs);
      // One that was dead may be back, and not have heard yet that it is a master no more.
      await requireNoHeir(pair, group, { touched, error });
      waitMs = Math.min(RETRY_MAX_MS, waitMs * 2);
      pair.forgetReach();
    }
  }
}

/**
 * Goes no further when one of both has a successor. Nothing is settled with a source that has one: for a moment after it is back,
 * it has all its slots by its own word, and what it would give away is served by its successor.
 */
async function requireNoHeir(
  pair: Pair,
  { slots }: Group,
  { touched, error }: { touched: ReadonlySet<number>; error: unknown },
): Promise<void> {
  const heir = await pair.heir();
  if (heir === undefined) return;
  const nothing: Settlement = { moved: [], back: [], open: [...slots], stuck: [], kept: [] };
  const settlement = heir.of === 'source' ? nothing : await settleSlots(pair, slots, { touched });
  throw new UnfinishedError(succeeded(pair, heir, error), settlement);
}

/** Without the lock nothing may be settled, and a fault of the program is not made worse. */
function isOfNodes(error: unknown): boolean {
  return error instanceof ConflictError || (error instanceof ForgeError && !NOT_OF_NODES.has(error.kind));
}

async function moveOnce(
  pair: Pair,
  { toMove, toClose }: { toMove: readonly number[]; toClose: readonly number[] },
  transfer: TransferOptions,
): Promise<void> {
  await openSlots(pair, toMove);
  const slots = [...toMove, ...toClose];
  await transferKeys(pair, slots, transfer);
  await closeSlots(pair, slots);
}

/** After a failure: what the two say now. */
async function stateOf(pair: Pair, { slots }: Group): Promise<{ toMove: number[]; toClose: number[] }> {
  const { from, to, isGone } = await lookAtPair(pair);
  const states = slotStates(
    from,
    to,
    slots.map((slot) => ({ start: slot, end: slot })),
    isGone,
  );
  const [foreign] = [...states.foreign, ...states.turned.map((slot) => ({ slot, why: 'it goes the other way' }))];
  if (foreign === undefined) return states;
  throw new ForgeError('refused', `Slot ${foreign.slot} was changed by somebody else: ${foreign.why}.`, {
    host: pair.source.address,
    next: 'Look at forge cluster check.',
  });
}

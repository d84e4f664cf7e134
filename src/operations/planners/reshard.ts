/** So many slots, or just these, from some masters to one. Pure. */
import {
  countSlots,
  formatSlots,
  intersectSlots,
  isSlot,
  normalizeSlots,
  SLOT_COUNT,
  type SlotSet,
  subtractSlots,
} from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan } from '../plan.js';
import { pickSlots, type Transfer } from './moves.js';
import { chooseNode, chooseNodes, splitWords } from './node-choice.js';
import { rebalanceSteps, requireMaster } from './rebalance.js';
import { divideByWeight } from './weights.js';

const RANGES_SHOWN_MAX = 6;

export interface ReshardOptions {
  /** Who gets them, as it was typed. */
  readonly to: string;
  /** Who gives them, as they were typed; all other masters when empty. */
  readonly from: readonly string[];
  /** How many, or which. */
  readonly slots: number | SlotSet;
}

/** What was asked for, in a form that is the same for the same command. */
export function reshardRequest({ to, from, slots }: ReshardOptions): Plan['request'] {
  return { to, from: splitWords(from), slots: typeof slots === 'number' ? slots : formatSlots(slots) };
}

/**
 * Reads `0-99,200`.
 * @throws ForgeError `usage` when it is no list of slots
 */
export function parseSlots(text: string): SlotSet {
  const ranges = text.split(',').map((part) => {
    const match = /^\s*([0-9]{1,5})(?:-([0-9]{1,5}))?\s*$/.exec(part);
    const start = Number(match?.[1]);
    const end = Number(match?.[2] ?? match?.[1]);
    if (match !== null && isSlot(start) && isSlot(end) && start <= end) return { start, end };
    throw new ForgeError('usage', `${part.trim() || 'Nothing'}: this is no slot and no range of slots.`, {
      next: `Write for example 0-99,200; slots are 0 to ${SLOT_COUNT - 1}.`,
    });
  });
  return normalizeSlots(ranges);
}

/**
 * The plan that moves them. Without `--from`, every master gives in proportion to what it has.
 * @throws ForgeError `usage` for nodes that are none, and more slots than there are; `refused` for replicas, for nodes that
 *   do not answer, and for slots that nobody of these serves
 */
export function planReshard(snapshot: ClusterSnapshot, options: ReshardOptions, following: ReadonlySet<string>): Plan {
  const target = requireMaster(snapshot, chooseNode(snapshot, options.to), options.to).id;
  requireAnswer(snapshot, target);
  const named = chooseNodes(snapshot, options.from);
  for (const id of named) requireMaster(snapshot, id, snapshot.addressOf(id));
  const sources = (named.length > 0 ? named : snapshot.topology.masters.map(({ id }) => id)).filter(
    (id) => id !== target,
  );
  const { slots } = options;
  const transfers =
    typeof slots === 'number' ? byCount(snapshot, sources, target, slots) : exactly(snapshot, sources, target, slots);
  for (const { source } of transfers) requireAnswer(snapshot, source);
  const count = transfers.reduce((sum, transfer) => sum + countSlots(transfer.slots), 0);
  return createPlan(snapshot, {
    operation: 'cluster reshard',
    request: reshardRequest(options),
    title: `Move ${count} slots to ${snapshot.addressOf(target)}`,
    steps: rebalanceSteps(snapshot, transfers, following),
  });
}

function requireAnswer(snapshot: ClusterSnapshot, id: string): void {
  if (snapshot.report(id) !== undefined) return;
  const address = snapshot.addressOf(id);
  throw new ForgeError('refused', `${address} does not answer: no slot can be moved from it or to it.`, {
    host: address,
    next: 'Look at it with forge cluster status.',
  });
}

function byCount(snapshot: ClusterSnapshot, sources: readonly string[], target: string, count: number): Transfer[] {
  const held = sources.map((id) => ({ id, slots: snapshot.topology.node(id)?.slots ?? [] }));
  const available = held.reduce((sum, { slots }) => sum + countSlots(slots), 0);
  if (count > available) {
    throw new ForgeError('usage', `${count} slots are more than the ${available} of these masters.`, {
      next: `Name at most ${available} with --slots.`,
    });
  }
  if (count === 0) return [];
  const parts = divideByWeight(
    held.map(({ id, slots }) => ({ id, slots: 0, weight: countSlots(slots) })),
    count,
  );
  const near = snapshot.topology.node(target)?.slots ?? [];
  return held.flatMap(({ id, slots }) => {
    const part = parts.get(id) ?? 0;
    return part === 0 ? [] : [{ source: id, target, slots: pickSlots(slots, part, near) }];
  });
}

function exactly(snapshot: ClusterSnapshot, sources: readonly string[], target: string, slots: SlotSet): Transfer[] {
  const there = snapshot.topology.node(target)?.slots ?? [];
  const wanted = subtractSlots(slots, there);
  const transfers = sources.flatMap((source) => {
    const part = intersectSlots(wanted, snapshot.topology.node(source)?.slots ?? []);
    return part.length === 0 ? [] : [{ source, target, slots: part }];
  });
  const missing = transfers.reduce((left, transfer) => subtractSlots(left, transfer.slots), wanted);
  if (missing.length === 0) return transfers;
  throw new ForgeError(
    'refused',
    `The slots ${formatSlots(missing, RANGES_SHOWN_MAX)} are served by none of these masters.`,
    {
      next: 'Leave --from away to take them from whoever serves them; forge cluster status shows who does.',
    },
  );
}

/** From the slots that masters have and the number that they are to have, to who gives which slots to whom. Pure. */
import {
  countSlots,
  normalizeSlots,
  type SlotRange,
  type SlotSet,
  subtractSlots,
  unionSlots,
} from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { PlanDraft } from '../plan.js';
import { refOf } from './node-choice.js';

export interface Transfer {
  readonly source: string;
  readonly target: string;
  readonly slots: SlotSet;
}

export interface Wish {
  readonly id: string;
  readonly slots: SlotSet;
  /** How many it is to have. The sum over all must be the sum of what they have. */
  readonly wanted: number;
}

interface Side {
  readonly id: string;
  slots: SlotSet;
  count: number;
}

const byCount = (left: Side, right: Side) => right.count - left.count || (left.id < right.id ? -1 : 1);

/**
 * Every slot moves at most once, and exactly as many as are surplus. The largest surplus goes to the largest want, so
 * that there are fewer pairs than masters; and whole ranges first, so that the slot map stays short: clients read it.
 */
export function transfersFor(wishes: readonly Wish[]): Transfer[] {
  const sources: Side[] = [];
  const targets: Side[] = [];
  for (const { id, slots, wanted } of wishes) {
    const surplus = countSlots(slots) - wanted;
    if (surplus > 0) sources.push({ id, slots, count: surplus });
    else if (surplus < 0) targets.push({ id, slots, count: -surplus });
  }
  sources.sort(byCount);
  targets.sort(byCount);
  const transfers: Transfer[] = [];
  let place = 0;
  for (const source of sources) {
    while (source.count > 0) {
      const target = targets[place];
      if (target === undefined) throw new RangeError('more slots are surplus than wanted');
      const count = Math.min(source.count, target.count);
      const slots = pickSlots(source.slots, count, target.slots);
      transfers.push({ source: source.id, target: target.id, slots });
      source.slots = subtractSlots(source.slots, slots);
      target.slots = unionSlots(target.slots, slots);
      source.count -= count;
      target.count -= count;
      if (target.count === 0) place++;
    }
  }
  if (targets[place] !== undefined) throw new RangeError('more slots are wanted than surplus');
  return transfers;
}

/** `count` of the slots: first those that touch the ranges of `near`, then the smallest ranges as a whole. */
export function pickSlots(slots: SlotSet, count: number, near: SlotSet = []): SlotSet {
  const edges = new Set(near.flatMap(({ start, end }) => [start - 1, end + 1]));
  const touches = ({ start, end }: SlotRange) => edges.has(start) || edges.has(end);
  const size = ({ start, end }: SlotRange) => end - start + 1;
  const ranges = slots.toSorted(
    (left, right) =>
      Number(touches(right)) - Number(touches(left)) || size(left) - size(right) || left.start - right.start,
  );
  const picked: SlotRange[] = [];
  let left = count;
  for (const range of ranges) {
    if (left <= 0) break;
    if (size(range) <= left) picked.push(range);
    else if (edges.has(range.start)) picked.push({ start: range.start, end: range.start + left - 1 });
    else picked.push({ start: range.end - left + 1, end: range.end });
    left -= size(picked.at(-1) as SlotRange);
  }
  if (left > 0) throw new RangeError(`${count} slots cannot be taken from ${countSlots(slots)}`);
  return normalizeSlots(picked);
}

export type DraftStep = PlanDraft['steps'][number];

/**
 * One step a pair of masters; pairs that share no master run side by side.
 * @param afterOf steps that must be done before this transfer begins
 */
export function moveSteps(
  snapshot: ClusterSnapshot,
  transfers: readonly Transfer[],
  afterOf: (transfer: Transfer) => readonly string[],
): (DraftStep & { id: string })[] {
  return transfers.map((transfer, index) => ({
    id: `move-${index + 1}`,
    after: afterOf(transfer),
    action: {
      kind: 'migrate-slots' as const,
      source: refOf(snapshot, transfer.source),
      target: refOf(snapshot, transfer.target),
      ranges: [...transfer.slots],
    },
  }));
}

export interface DrainSteps {
  /** To do before, and to wait for. */
  readonly before: (DraftStep & { id: string })[];
  /** To do when all slots have moved and all nodes know it. */
  readonly after: (DraftStep & { id: string })[];
}

/**
 * Masters that are to give all their slots away stay masters meanwhile, and their replicas theirs.
 * @param following ids of the nodes that would follow their slots
 */
export function holdSteps(
  snapshot: ClusterSnapshot,
  drained: readonly string[],
  following: ReadonlySet<string>,
  afterAll: readonly string[],
): DrainSteps {
  const shards = drained.flatMap((id) => snapshot.topology.shardOf(id) ?? []);
  const ids = shards.flatMap(({ master, replicas }) => [master.id, ...replicas.map(({ id }) => id)]);
  const nodes = ids.filter((id) => following.has(id)).map((id) => refOf(snapshot, id));
  if (nodes.length === 0) return { before: [], after: [] };
  return {
    before: [{ id: 'hold', after: [], action: { kind: 'hold-role', nodes, hold: true } }],
    after: [{ id: 'release', after: afterAll, action: { kind: 'hold-role', nodes, hold: false } }],
  };
}

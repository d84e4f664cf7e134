/** Slots, keys or memory in proportion to weights, with the fewest moves. Pure. */
import type { ClusterNode } from '../../cluster/cluster-node.js';
import { countSlots, subtractSlots, unionSlots } from '../../cluster/slots.js';
import { slotBytes } from '../../cluster/snapshot/slot-keys.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan } from '../plan.js';
import { givenNotes, NO_WEIGHTS, type Weights } from './kept-weights.js';
import { type LoadHolder, loadOf, transfersByLoad } from './loads.js';
import { type DraftStep, holdSteps, moveSteps, type Transfer, transfersFor } from './moves.js';
import { chooseNode } from './node-choice.js';
import { divideByWeight } from './weights.js';

export const BALANCED_BY = ['slots', 'keys', 'memory'] as const;
export type BalancedBy = (typeof BALANCED_BY)[number];

/** Percent by which a master may differ from its share before anything moves; as redis-cli has it. */
export const THRESHOLD_DEFAULT = 2;
export const THRESHOLD_MAX = 100;

export interface RebalanceOptions {
  readonly by: BalancedBy;
  /** Nodes as they were typed; all others have that of forge.yaml, else 1. 0 drains a master. */
  readonly weights: readonly { readonly node: string; readonly weight: number }[];
  /** Percent. */
  readonly threshold: number;
  /** Masters without slots get their share, too; those with a weight always do. */
  readonly useEmptyMasters: boolean;
}

export interface RebalanceFacts {
  /** Keys by slot; needed by keys and by memory. */
  readonly slotKeys?: Float64Array;
  /** Ids of the nodes that would follow slots that leave them. */
  readonly following: ReadonlySet<string>;
  /** Those of forge.yaml, for masters that the operator gives none now. */
  readonly weights?: Weights;
}

/** What was asked for, in a form that is the same for the same command. */
export function rebalanceRequest({ by, weights, threshold, useEmptyMasters }: RebalanceOptions): Plan['request'] {
  return { by, weights: weights.map(({ node, weight }) => ({ node, weight })), threshold, useEmptyMasters };
}

interface Weighed extends LoadHolder {
  readonly load: number;
}

/**
 * The plan that brings every master to its share; without steps when all are within the threshold.
 * @throws ForgeError `usage` for weights of nodes that are none, or that are all 0; `refused` for a weight of a replica
 */
export function planRebalance(snapshot: ClusterSnapshot, options: RebalanceOptions, facts: RebalanceFacts): Plan {
  const { by, threshold } = options;
  const given = weightsById(snapshot, options);
  const kept = facts.weights ?? NO_WEIGHTS;
  const weights = new Map([...kept, ...given]);
  const masters = participants(snapshot, weights, options.useEmptyMasters);
  const loads = by === 'slots' ? new Float64Array(16_384).fill(1) : loadsBy(by, snapshot, facts);
  const holders = masters.map(({ id, slots }) => ({
    id,
    slots,
    weight: weights.get(id) ?? 1,
    load: loadOf(slots, loads),
  }));
  const draining = holders.some(({ weight, slots }) => weight === 0 && slots.length > 0);
  const worst = worstOf(holders);
  const needed = draining || worst.percent > threshold;
  const transfers = needed ? (by === 'slots' ? bySlots(holders) : transfersByLoad(holders, loads)) : [];
  const left = worstOf(applied(holders, transfers, loads));
  return createPlan(snapshot, {
    operation: 'cluster rebalance',
    request: rebalanceRequest(options),
    title: `Rebalance ${masters.length} masters by ${by}`,
    steps: rebalanceSteps(snapshot, transfers, facts.following),
    notes: [...notesFor(snapshot, options, needed ? left : worst, needed), ...givenNotes(snapshot, given, kept)],
  });
}

function weightsById(snapshot: ClusterSnapshot, { weights }: RebalanceOptions): Map<string, number> {
  const byId = new Map<string, number>();
  for (const { node, weight } of weights) {
    const id = chooseNode(snapshot, node);
    requireMaster(snapshot, id, node);
    if (byId.has(id)) {
      throw new ForgeError('usage', `${node} has two weights.`, { next: 'Give every node one weight.' });
    }
    byId.set(id, weight);
  }
  return byId;
}

/** @throws ForgeError `refused` for a replica, with its master's name */
export function requireMaster(snapshot: ClusterSnapshot, id: string, word: string): ClusterNode {
  const node = snapshot.topology.node(id);
  if (node?.role === 'master') return node;
  const master = node?.masterId === undefined ? undefined : snapshot.addressOf(node.masterId);
  throw new ForgeError('refused', `${word} is a replica: it serves no slots of its own.`, {
    host: snapshot.addressOf(id),
    next: master === undefined ? 'Name a master.' : `Name its master, ${master}.`,
  });
}

function participants(
  snapshot: ClusterSnapshot,
  weights: ReadonlyMap<string, number>,
  useEmpty: boolean,
): ClusterNode[] {
  return snapshot.topology.masters.filter(
    ({ id, slots }) => snapshot.report(id) !== undefined && (slots.length > 0 || useEmpty || weights.has(id)),
  );
}

function loadsBy(by: BalancedBy, snapshot: ClusterSnapshot, { slotKeys }: RebalanceFacts): Float64Array {
  if (slotKeys === undefined) throw new ForgeError('unexpected', `The keys of slots are not known: no plan by ${by}.`);
  return by === 'keys' ? slotKeys : slotBytes(snapshot, slotKeys);
}

function bySlots(holders: readonly LoadHolder[]): Transfer[] {
  const counted = holders.map(({ id, slots, weight }) => ({ id, slots: countSlots(slots), weight }));
  const total = counted.reduce((sum, { slots }) => sum + slots, 0);
  const wanted = divideByWeight(counted, total);
  return transfersFor(holders.map(({ id, slots }) => ({ id, slots, wanted: wanted.get(id) ?? 0 })));
}

interface Deviation {
  readonly id?: string;
  readonly percent: number;
}

/** Who differs most from its share. Less than one slot is none: a slot cannot be divided. */
function worstOf(holders: readonly Weighed[]): Deviation {
  const total = holders.reduce((sum, { load }) => sum + load, 0);
  const weights = holders.reduce((sum, { weight }) => sum + weight, 0);
  if (weights <= 0) divideByWeight([]);
  let worst: Deviation = { percent: 0 };
  for (const { id, load, weight } of holders) {
    const share = (total * weight) / weights;
    const away = Math.abs(load - share);
    const percent = away < 1 ? 0 : share === 0 ? Number.POSITIVE_INFINITY : (away / share) * 100;
    if (percent > worst.percent) worst = { id, percent };
  }
  return worst;
}

function applied(holders: readonly Weighed[], transfers: readonly Transfer[], loads: Float64Array): Weighed[] {
  return holders.map((holder) => {
    const lost = transfers.filter(({ source }) => source === holder.id).map(({ slots }) => slots);
    const won = transfers.filter(({ target }) => target === holder.id).map(({ slots }) => slots);
    const slots = unionSlots(subtractSlots(holder.slots, unionSlots(...lost)), ...won);
    return { ...holder, slots, load: loadOf(slots, loads) };
  });
}

function notesFor(
  snapshot: ClusterSnapshot,
  { by, threshold }: RebalanceOptions,
  { id, percent }: Deviation,
  moved: boolean,
): string[] {
  const notes = by === 'memory' ? ['Memory is estimated: all keys of a master are taken to be of the same size.'] : [];
  const shown = Number.isFinite(percent) ? `${percent.toFixed(1)} %` : 'all of it';
  if (!moved)
    notes.push(`All masters are within ${threshold} % of their share of ${by}; the furthest is off by ${shown}.`);
  else if (percent > threshold && id !== undefined) {
    notes.push(`${snapshot.addressOf(id)} is still off its share of ${by} by ${shown}: whole slots allow no better.`);
  }
  return notes;
}

/** The moves; and masters that give everything away stay masters meanwhile. */
export function rebalanceSteps(
  snapshot: ClusterSnapshot,
  transfers: readonly Transfer[],
  following: ReadonlySet<string>,
): DraftStep[] {
  if (transfers.length === 0) return [];
  const drained = [...new Set(transfers.map(({ source }) => source))].filter((id) => {
    const given = transfers.filter(({ source }) => source === id).map(({ slots }) => slots);
    const back = transfers.some(({ target }) => target === id);
    return !back && subtractSlots(snapshot.topology.node(id)?.slots ?? [], unionSlots(...given)).length === 0;
  });
  const hold = holdSteps(snapshot, drained, following, ['settle']);
  const moves = moveSteps(snapshot, transfers, () => hold.before.map(({ id }) => id));
  const nodes = snapshot.topology.nodes.filter(({ id }) => snapshot.report(id) !== undefined).map(({ id }) => id);
  const settle = {
    id: 'settle',
    after: moves.map(({ id }) => id),
    action: { kind: 'wait-convergence' as const, nodes },
  };
  return [...hold.before, ...moves, settle, ...hold.after];
}

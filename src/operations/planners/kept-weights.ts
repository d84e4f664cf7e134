/** Weights that forge.yaml keeps, and what a plan that goes by weights should say. Pure. */
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { WeightedHolder } from './weights.js';

/** Weights by node id. A node that is not there weighs 1. */
export type Weights = ReadonlyMap<string, number>;

export const NO_WEIGHTS: Weights = new Map();

/** Percent above its equal share from which on a master is told. */
const UNEVEN_PERCENT = 2;

/**
 * Takes `count` slots from those that have the most for their weight, one after the other. Those with the same weight are
 * treated alike, so that equal weights make equal shares.
 */
export function takeByWeight(holders: readonly WeightedHolder[], count: number): Map<string, number> {
  const left = sorted(holders);
  for (let taken = 0; taken < count; taken++) {
    let most: { id: string; slots: number; weight: number } | undefined;
    let highest = -1;
    for (const holder of left) {
      const level = holder.slots === 0 ? -1 : holder.slots / holder.weight;
      if (level > highest) [most, highest] = [holder, level];
    }
    if (most === undefined) throw new RangeError(`${count} slots cannot be taken from ${taken}`);
    most.slots--;
  }
  return new Map(left.map(({ id, slots }) => [id, slots]));
}

/** Gives `count` slots to those that have the fewest for their weight; nothing to a weight of 0, unless all have that. */
export function giveByWeight(holders: readonly WeightedHolder[], count: number): Map<string, number> {
  const all = sorted(holders);
  const some = all.filter(({ weight }) => weight > 0);
  const takers = some.length > 0 ? some : all.map((holder) => Object.assign(holder, { weight: 1 }));
  for (let given = 0; given < count; given++) {
    let least: { slots: number } | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    for (const holder of takers) {
      const level = (holder.slots + 1) / holder.weight;
      if (level < lowest) [least, lowest] = [holder, level];
    }
    if (least === undefined) throw new RangeError(`nobody can take ${count} slots`);
    least.slots++;
  }
  return new Map(all.map(({ id, slots }) => [id, slots]));
}

function sorted(holders: readonly WeightedHolder[]): { id: string; slots: number; weight: number }[] {
  return holders.map((holder) => ({ ...holder })).sort((left, right) => (left.id < right.id ? -1 : 1));
}

/**
 * Weights of this plan that forge.yaml does not have: a later plan would undo them.
 * @param given what the operator said now
 */
export function givenNotes(snapshot: ClusterSnapshot, given: Weights, kept: Weights): string[] {
  const lost = [...given].filter(([id, weight]) => weight > 0 && weight !== (kept.get(id) ?? 1));
  if (lost.length === 0) return [];
  const words = lost.map(([id, weight]) => `${addressOf(snapshot, id)} weight: ${weight}`);
  return [
    `The weights are those of this plan alone. To keep them for later plans, write them to forge.yaml, under nodes: ${words.join(', ')}.`,
  ];
}

/** Masters that have far more than an equal share although nobody says so: that may be meant, and is not kept then. */
export function unevenNotes(snapshot: ClusterSnapshot, kept: Weights, removed?: ReadonlySet<string>): string[] {
  const masters = snapshot.topology.masters.filter(({ id, slots }) => slots.length > 0 && !removed?.has(id));
  if (masters.length < 2 || masters.some(({ id }) => kept.has(id))) return [];
  const counted = masters.map(({ id, slots }) => ({ id, slots: countSlots(slots) }));
  const share = counted.reduce((sum, { slots }) => sum + slots, 0) / counted.length;
  const most = counted.reduce((first, second) => (second.slots > first.slots ? second : first));
  const percent = ((most.slots - share) / share) * 100;
  if (percent <= UNEVEN_PERCENT || most.slots - share < 1) return [];
  const more = `${Math.round(percent)} % more than an equal share`;
  return [
    `${snapshot.addressOf(most.id)} serves ${more}, and no weights are told: this plan takes all masters for equal. Where it is meant, write weights to forge.yaml (nodes, weight).`,
  ];
}

function addressOf(snapshot: ClusterSnapshot, id: string): string {
  return snapshot.strangers.find((stranger) => stranger.id === id)?.address ?? snapshot.addressOf(id);
}

/** How many slots every master is to have. Pure; the same input always gives the same answer. */
import { SLOT_COUNT } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';

/** A master that is a hundred thousand times another's size is a mistake. */
export const WEIGHT_MAX = 100_000;

export interface Holder {
  readonly id: string;
  /** Slots that it serves now. */
  readonly slots: number;
}

export interface WeightedHolder extends Holder {
  /** Its share relative to the others'; 0 for none. */
  readonly weight: number;
}

/**
 * Slots in proportion to weights. Every master gets its exact share rounded down or up; of all such divisions it is one
 * that takes the fewest moves from what the masters have, and among those the one with the largest remainders.
 *
 * Why rounding up first where a master has more than its share: each such slot stays where it is, any other must move.
 * @throws ForgeError `usage` when all weights are 0
 */
export function divideByWeight(holders: readonly WeightedHolder[], total = SLOT_COUNT): Map<string, number> {
  const sum = holders.reduce((all, { weight }) => all + weight, 0);
  if (sum <= 0) {
    throw new ForgeError('usage', 'All weights are 0: nobody would serve the slots.', {
      next: 'Give at least one master a weight above 0.',
    });
  }
  const parts = holders.map(({ id, slots, weight }) => {
    const exact = (total * weight) / sum;
    const whole = Math.floor(exact);
    return { id, whole, remainder: exact - whole, keeps: slots > whole };
  });
  let left = total - parts.reduce((all, { whole }) => all + whole, 0);
  const wanted = new Map(parts.map(({ id, whole }) => [id, whole]));
  // Whoever has no remainder has its exact share already.
  const order = parts
    .filter(({ remainder }) => remainder > 0)
    .sort((a, b) => Number(b.keeps) - Number(a.keeps) || b.remainder - a.remainder || (a.id < b.id ? -1 : 1));
  for (const { id, whole } of order) {
    if (left-- <= 0) break;
    wanted.set(id, whole + 1);
  }
  return wanted;
}

/** Takes `count` slots from those that have the most, so that the largest is as small as can be. */
export function takeFromLargest(holders: readonly Holder[], count: number): Map<string, number> {
  const given = (level: number) => holders.reduce((all, { slots }) => all + Math.max(0, slots - level), 0);
  const available = given(0);
  if (count > available) throw new RangeError(`${count} slots cannot be taken from ${available}`);
  const level = lowest(SLOT_COUNT, (candidate) => given(candidate) <= count);
  let rest = count - given(level);
  const wanted = new Map<string, number>();
  for (const { id, slots } of sorted(holders)) {
    const one = rest > 0 && level > 0 && slots >= level ? 1 : 0;
    rest -= one;
    wanted.set(id, Math.min(slots, level) - one);
  }
  return wanted;
}

/** Gives `count` slots to those that have the fewest, so that the smallest is as large as can be. */
export function giveToSmallest(holders: readonly Holder[], count: number): Map<string, number> {
  const taken = (level: number) => holders.reduce((all, { slots }) => all + Math.max(0, level - slots), 0);
  const level = holders.length === 0 ? 0 : lowest(SLOT_COUNT, (candidate) => taken(candidate + 1) > count);
  let rest = count - taken(level);
  const wanted = new Map<string, number>();
  for (const { id, slots } of sorted(holders)) {
    const one = rest > 0 && slots <= level ? 1 : 0;
    rest -= one;
    wanted.set(id, Math.max(slots, level) + one);
  }
  return wanted;
}

/** The lowest of 0 to `most` of which `holds` is true; it must be true of all above. */
function lowest(most: number, holds: (candidate: number) => boolean): number {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function sorted(holders: readonly Holder[]): Holder[] {
  return holders.toSorted((left, right) => (left.id < right.id ? -1 : 1));
}

const WEIGHT = /^[0-9]{1,6}(\.[0-9]{1,6})?$/;

/** NaN for what is no weight. */
function weightOf(text: string): number {
  const weight = WEIGHT.test(text) ? Number(text) : Number.NaN;
  return weight <= WEIGHT_MAX ? weight : Number.NaN;
}

/**
 * Reads `NODE=WEIGHT`.
 * @throws ForgeError `usage` when it is not that, or the weight is no number from 0 to 100,000
 */
export function parseWeight(text: string): { node: string; weight: number } {
  const at = text.lastIndexOf('=');
  const weight = weightOf(text.slice(at + 1));
  if (at > 0 && !Number.isNaN(weight)) return { node: text.slice(0, at).trim(), weight };
  throw new ForgeError('usage', `--weight ${text}: this is no weight of a node.`, {
    next: `Write NODE=WEIGHT, for example 10.0.0.1:6379=2; the weight is a number from 0 to ${WEIGHT_MAX}.`,
  });
}

/**
 * Reads the weight of nodes that are named elsewhere.
 * @throws ForgeError `usage` when it is no number from 0 to 100,000
 */
export function parseShare(text: string): number {
  const weight = weightOf(text);
  if (!Number.isNaN(weight)) return weight;
  throw new ForgeError('usage', `--weight ${text}: this is no weight.`, {
    next: `Write a number from 0 to ${WEIGHT_MAX}; a present master has 1.`,
  });
}

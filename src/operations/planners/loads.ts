/** Slots are not alike: some hold more keys or bytes than others. Divides what they hold rather than their number. Pure. */
import { eachSlot, type SlotSet, slotsFrom, subtractSlots } from '../../cluster/slots.js';
import type { Transfer } from './moves.js';

export interface LoadHolder {
  readonly id: string;
  readonly slots: SlotSet;
  /** Its share relative to the others'; 0 for none: then it gives away every slot, empty ones, too. */
  readonly weight: number;
}

interface Side {
  readonly id: string;
  slots: SlotSet;
  /** What is surplus, or lacks. */
  amount: number;
}

/** What the slots hold together. */
export function loadOf(slots: SlotSet, loads: Float64Array): number {
  let sum = 0;
  for (const slot of eachSlot(slots)) sum += loads[slot] as number;
  return sum;
}

/**
 * The surplus goes to those that lack, the largest to the largest. A slot moves only when that brings both masters closer
 * to their shares, so that nothing moves back and forth; slots are taken in their order, so that ranges stay long.
 */
export function transfersByLoad(holders: readonly LoadHolder[], loads: Float64Array): Transfer[] {
  const total = holders.reduce((sum, { slots }) => sum + loadOf(slots, loads), 0);
  const weights = holders.reduce((sum, { weight }) => sum + weight, 0);
  const sides = holders.map(({ id, slots, weight }) => ({
    id,
    slots,
    weight,
    amount: loadOf(slots, loads) - (total * weight) / weights,
  }));
  const byAmount = (left: Side, right: Side) => right.amount - left.amount || (left.id < right.id ? -1 : 1);
  const sources = sides.filter(({ amount }) => amount > 0).sort(byAmount);
  const targets = sides
    .filter(({ amount, weight }) => amount < 0 && weight > 0)
    .map((side) => ({ ...side, amount: -side.amount }))
    .sort(byAmount);
  const transfers: Transfer[] = [];
  const give = (source: Side, target: Side, slots: SlotSet) => {
    if (slots.length === 0) return;
    const load = loadOf(slots, loads);
    transfers.push({ source: source.id, target: target.id, slots });
    source.slots = subtractSlots(source.slots, slots);
    source.amount -= load;
    target.amount -= load;
  };
  let place = 0;
  for (const source of sources) {
    while (source.amount > 0 && place < targets.length) {
      const target = targets[place] as Side;
      const whole = source.amount < target.amount;
      give(source, target, pickLoad(source.slots, Math.min(source.amount, target.amount), loads));
      if (whole) break;
      place++;
    }
  }
  giveRemains(sides, targets, give);
  return merged(transfers);
}

/** Whoever is to have nothing keeps nothing: its last slots go to those that still lack most. */
function giveRemains(
  sides: readonly (Side & { weight: number })[],
  targets: readonly (Side & { weight: number })[],
  give: (source: Side, target: Side, slots: SlotSet) => void,
): void {
  const takers = targets.length > 0 ? targets : sides.filter(({ weight }) => weight > 0);
  for (const source of sides) {
    if (source.weight > 0) continue;
    const taker = takers.toSorted((left, right) => right.amount - left.amount)[0];
    if (taker !== undefined) give(source, taker, source.slots);
  }
}

/** Slots that hold `amount` together, as nearly as whole slots can; empty ones only between others. */
function pickLoad(slots: SlotSet, amount: number, loads: Float64Array): SlotSet {
  const picked: number[] = [];
  let empty: number[] = [];
  let left = amount;
  for (const slot of eachSlot(slots)) {
    const load = loads[slot] as number;
    // More than twice what is left would bring it no nearer.
    if (load / 2 >= left) continue;
    if (load === 0) {
      if (picked.length > 0) empty.push(slot);
      continue;
    }
    if (slot === (picked.at(-1) ?? -1) + empty.length + 1) picked.push(...empty);
    empty = [];
    picked.push(slot);
    left -= load;
    if (left <= 0) break;
  }
  return slotsFrom(picked);
}

/** One transfer a pair. */
function merged(transfers: readonly Transfer[]): Transfer[] {
  const pairs = new Map<string, Transfer>();
  for (const transfer of transfers) {
    const key = `${transfer.source} ${transfer.target}`;
    const known = pairs.get(key);
    const all = [...(known === undefined ? [] : eachSlot(known.slots)), ...eachSlot(transfer.slots)];
    pairs.set(key, { ...transfer, slots: slotsFrom(all) });
  }
  return [...pairs.values()];
}

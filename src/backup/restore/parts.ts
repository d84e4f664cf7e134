/**
 * What of each shard goes back, and when: first the keys of the slots that it served. Then, of slots that were on their way
 * during the backup, keys that another shard had: half a move leaves keys at both ends, and servers that move slots
 * atomically keep a hidden copy at the one end or at the other. These fill what is missing, and take nobody's place. Pure.
 */
import {
  eachSlot,
  intersectSlots,
  normalizeSlots,
  SLOT_COUNT,
  type SlotSet,
  slotsFrom,
  subtractSlots,
} from '../../cluster/slots.js';
import type { BackupManifest, BackupShard } from '../manifest.js';
import type { Selection } from './selection.js';

export interface ShardPart {
  readonly shard: BackupShard;
  /** What a journal calls it. */
  readonly name: string;
  readonly slots: SlotSet;
  /** 1 for each of these slots. */
  readonly wanted: Uint8Array;
  /** Its keys are taken only where there is nothing of their names. */
  readonly fills: boolean;
}

export interface RestoreParts {
  readonly served: readonly ShardPart[];
  readonly stray: readonly ShardPart[];
}

/** @throws ForgeError as `Selection.shardsOf` */
export function partsOf(manifest: BackupManifest, selection: Selection): RestoreParts {
  const served = selection.shardsOf(manifest).map((shard) => partOf(shard, shard.slots, false));
  const { shards: numbers, slots: chosen } = selection.options;
  const selected = manifest.shards.filter((_, index) => numbers === undefined || numbers.includes(index + 1));
  const others = manifest.shards.filter((shard) => !selected.includes(shard)).flatMap(({ slots }) => slots);
  const stray = selected.flatMap((shard) => {
    // What belongs to a shard that is not wanted is not wanted from anywhere.
    const away = subtractSlots(manifest.moving, normalizeSlots([...shard.slots, ...others]));
    const slots = chosen === undefined ? away : intersectSlots(away, chosen);
    const held = shard.slotKeys === undefined ? slots : intersectSlots(slots, slotsWithKeys(shard.slotKeys));
    return held.length === 0 ? [] : [partOf(shard, held, true)];
  });
  return { served, stray };
}

/** Each shard that is read, once. */
export function shardsOf({ served, stray }: RestoreParts): BackupShard[] {
  return [...new Set([...served, ...stray].map(({ shard }) => shard))];
}

function partOf(shard: BackupShard, slots: SlotSet, fills: boolean): ShardPart {
  const { name } = shard.object;
  return { shard, name: fills ? `${name} stray` : name, slots, wanted: marked(slots), fills };
}

function marked(slots: SlotSet): Uint8Array {
  const marks = new Uint8Array(SLOT_COUNT);
  for (const slot of eachSlot(slots)) marks[slot] = 1;
  return marks;
}

function slotsWithKeys(slotKeys: NonNullable<BackupShard['slotKeys']>): SlotSet {
  return slotsFrom(slotKeys.flatMap(([slot, keys]) => (keys > 0 ? [slot] : [])));
}

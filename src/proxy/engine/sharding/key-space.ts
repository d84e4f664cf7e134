import { crc16, keySlot, SLOT_COUNT } from '../hash/crc16.js';
import { findHashTag, HASH_TAG, mayHaveHashTags } from '../hash/hash-tag.js';
import { MURMUR2, murmur2 } from '../hash/murmur2-64.js';
import { FERMAT_PRIME, HI, LO, remainder64, remainderFermat, wrapOf } from '../hash/uint64.js';
import { hashMany } from '../kernel/hash-many.js';

/** From this number of keys on, it pays to look whether any of them has a hash tag. */
const LOOK_FOR_TAGS_KEYS_MIN = 16;

/** Whether keys have to be looked at for hash tags one by one. */
function tagsPossible(
  bytes: Uint8Array,
  starts: Int32Array,
  ends: Int32Array,
  first: number,
  step: number,
  count: number,
): boolean {
  if (count < LOOK_FOR_TAGS_KEYS_MIN) return true;
  return mayHaveHashTags(bytes, starts[first], ends[first + (count - 1) * step]);
}

/** Divides keys among the slots of a table; the table says which host serves a slot. */
export interface KeySpace {
  /** Slots in the table. */
  readonly slots: number;
  /** True when the servers themselves know the slots (Redis Cluster): a command's keys must be in one slot. */
  readonly clustered: boolean;
  /** The slot of the key in `bytes[start, end)`. Allocates nothing. */
  slotOf(bytes: Uint8Array, start: number, end: number): number;
  /**
   * The slots of many keys, into `slots`: of the key in `bytes[starts[first], ends[first])`, and of every `step`-th from
   * there, `count` in all. One call for a thousand keys costs a quarter less than a thousand calls.
   */
  slotsOf(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    first: number,
    step: number,
    count: number,
    slots: Int32Array,
  ): void;
}

/** Redis Cluster's 16,384 slots by CRC16, always with hash tags. */
export class ClusterKeySpace implements KeySpace {
  readonly slots = SLOT_COUNT;
  readonly clustered = true;

  slotOf(bytes: Uint8Array, start: number, end: number): number {
    return keySlot(bytes, start, end);
  }

  slotsOf(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    first: number,
    step: number,
    count: number,
    slots: Int32Array,
  ): void {
    if (tagsPossible(bytes, starts, ends, first, step, count)) {
      for (let i = 0, at = first; i < count; i++, at += step) slots[i] = keySlot(bytes, starts[at], ends[at]);
      return;
    }
    for (let i = 0, at = first; i < count; i++, at += step) {
      slots[i] = crc16(bytes, starts[at], ends[at]) & (SLOT_COUNT - 1);
    }
  }
}

/** MurmurHash2 of a key, or of its hash tag where tags count, as Envoy's redis_proxy hashes keys of single servers. */
function hashKey(bytes: Uint8Array, start: number, end: number, hashtagging: boolean): void {
  if (hashtagging && findHashTag(bytes, start, end)) murmur2(bytes, HASH_TAG[0], HASH_TAG[1]);
  else murmur2(bytes, start, end);
}

/** Slots of a Maglev table: the key's hash modulo the table's size, as Envoy has it. */
export class MaglevKeySpace implements KeySpace {
  readonly clustered = false;
  private readonly wrap: number;

  /**
   * @param slots the table's size, as `buildMaglev` was given it
   * @param hashtagging Envoy's `enable_hashtagging`: keys with the same hash tag have the same slot
   */
  constructor(
    readonly slots: number,
    private readonly hashtagging: boolean,
  ) {
    this.wrap = wrapOf(slots);
  }

  slotOf(bytes: Uint8Array, start: number, end: number): number {
    hashKey(bytes, start, end, this.hashtagging);
    return this.slotOfHash(MURMUR2[HI], MURMUR2[LO]);
  }

  private slotOfHash(hi: number, lo: number): number {
    return this.slots === FERMAT_PRIME ? remainderFermat(hi, lo) : remainder64(hi, lo, this.slots, this.wrap);
  }

  slotsOf(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    first: number,
    step: number,
    count: number,
    slots: Int32Array,
  ): void {
    const tags = this.hashtagging && tagsPossible(bytes, starts, ends, first, step, count);
    const hashes = tags ? null : hashMany(bytes, starts, ends, first, step, count);
    if (hashes === null) {
      for (let i = 0, at = first; i < count; i++, at += step) slots[i] = this.slotOf(bytes, starts[at], ends[at]);
      return;
    }
    for (let i = 0; i < count; i++) slots[i] = this.slotOfHash(hashes[2 * i + 1], hashes[2 * i]);
  }
}

/** Slots of a Ketama ring: a slot is an entry, and a key belongs to the first one at or after its hash. */
export class RingKeySpace implements KeySpace {
  readonly clustered = false;
  readonly slots: number;

  /**
   * @param hashesHi upper halves of the entries' hashes in ascending order, from `buildRing`; at least one
   * @param hashesLo their lower halves
   * @param hashtagging Envoy's `enable_hashtagging`: keys with the same hash tag have the same slot
   */
  constructor(
    private readonly hashesHi: Uint32Array,
    private readonly hashesLo: Uint32Array,
    private readonly hashtagging: boolean,
  ) {
    this.slots = hashesHi.length;
  }

  slotOf(bytes: Uint8Array, start: number, end: number): number {
    hashKey(bytes, start, end, this.hashtagging);
    return this.slotAt(MURMUR2[HI], MURMUR2[LO]);
  }

  slotsOf(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    first: number,
    step: number,
    count: number,
    slots: Int32Array,
  ): void {
    const tags = this.hashtagging && tagsPossible(bytes, starts, ends, first, step, count);
    const hashes = tags ? null : hashMany(bytes, starts, ends, first, step, count);
    if (hashes === null) {
      for (let i = 0, at = first; i < count; i++, at += step) slots[i] = this.slotOf(bytes, starts[at], ends[at]);
      return;
    }
    for (let i = 0; i < count; i++) slots[i] = this.slotAt(hashes[2 * i + 1], hashes[2 * i]);
  }

  /** The first entry at or after a hash (two unsigned halves), or entry 0 after the last one. */
  slotAt(hi: number, lo: number): number {
    const { hashesHi, hashesLo, slots } = this;
    let low = 0;
    let high = slots;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = hashesHi[middle];
      if (entry < hi || (entry === hi && hashesLo[middle] < lo)) low = middle + 1;
      else high = middle;
    }
    return low === slots ? 0 : low;
  }
}

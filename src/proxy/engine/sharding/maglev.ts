import { HI, LO, remainder64, wrapOf } from '../hash/uint64.js';
import { XXHASH64, xxHash64 } from '../hash/xxhash64.js';
import { type HashHost, NO_HOST, tableMemory, type WeighedHost, weighHosts } from './hosts.js';

/** Envoy's default, and the size that section 5.3 of the Maglev paper recommends. */
export const MAGLEV_SIZE_DEFAULT = 65_537;

/** Envoy's bound of `table_size`. */
export const MAGLEV_SIZE_MAX = 5_000_011;

export interface MaglevOptions {
  /** Slots in the table (Envoy's `table_size`): a prime number up to {@link MAGLEV_SIZE_MAX}. */
  readonly tableSize?: number;
  /** Puts the table into memory that other threads can share. */
  readonly shared?: boolean;
}

/** Which host serves each slot of a Maglev table. */
export interface MaglevTable {
  /** Index of the host (into the list that the table was built from) per slot; {@link NO_HOST} when there is no host. */
  readonly hosts: Uint16Array;
  /** The fewest slots that a host has (Envoy's `min_entries_per_host`); 0 without hosts. */
  readonly minEntriesPerHost: number;
  /** The most slots that a host has (Envoy's `max_entries_per_host`); 0 without hosts. */
  readonly maxEntriesPerHost: number;
}

/** True for a prime number. */
export function isPrime(value: number): boolean {
  if (!Number.isInteger(value) || value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** Throws a RangeError when a Maglev table cannot have this many slots. */
export function checkMaglevSize(tableSize: number): void {
  if (!isPrime(tableSize)) throw new RangeError(`maglev: the table size must be a prime number, ${tableSize} is none`);
  if (tableSize > MAGLEV_SIZE_MAX) {
    throw new RangeError(`maglev: the table size ${tableSize} is above ${MAGLEV_SIZE_MAX}`);
  }
}

/** A host while the table is filled: it asks for slots in the order of its own permutation of the table. */
interface Claim {
  readonly host: number;
  readonly weight: number;
  /** The slot that it asks for next, and how far it goes from there when that is taken. */
  slot: number;
  readonly skip: number;
  /** It takes a slot in a turn whose number, times its weight, has reached this. */
  target: number;
  taken: number;
}

function compareKeys(a: WeighedHost, b: WeighedHost): number {
  const common = Math.min(a.key.length, b.key.length);
  for (let i = 0; i < common; i++) if (a.key[i] !== b.key[i]) return a.key[i] - b.key[i];
  return a.key.length - b.key.length;
}

function claimOf({ index, key, weight }: WeighedHost, size: number): Claim {
  xxHash64(key, 0, key.length, 0);
  const slot = remainder64(XXHASH64[HI], XXHASH64[LO], size, wrapOf(size));
  xxHash64(key, 0, key.length, 1);
  const skip = remainder64(XXHASH64[HI], XXHASH64[LO], size - 1, wrapOf(size - 1)) + 1;
  return { host: index, weight, slot, skip, target: 0, taken: 0 };
}

/** Takes the first free slot in the host's permutation. */
function takeSlot(claim: Claim, table: Uint16Array): void {
  const { skip } = claim;
  const size = table.length;
  let { slot } = claim;
  while (table[slot] !== NO_HOST) {
    slot += skip;
    if (slot >= size) slot -= size;
  }
  table[slot] = claim.host;
  slot += skip;
  claim.slot = slot >= size ? slot - size : slot;
  claim.taken++;
}

/**
 * Hosts take slots in turns until none is free. The heaviest takes one every turn, one that weighs a third of it every
 * third turn. At most `table size × hosts` steps for turns; with hosts of one weight, as many as the table has slots.
 */
function fill(table: Uint16Array, claims: readonly Claim[]): void {
  let heaviest = 0;
  for (const claim of claims) heaviest = Math.max(heaviest, claim.weight);
  let free = table.length;
  for (let turn = 1; free > 0; turn++) {
    for (let i = 0; i < claims.length && free > 0; i++) {
      const claim = claims[i];
      if (turn * claim.weight < claim.target) continue;
      claim.target += heaviest;
      takeSlot(claim, table);
      free--;
    }
  }
}

/**
 * Builds a Maglev table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * section 3.4), slot for slot as Envoy's maglev_lb.cc does: hosts ordered by the bytes of their keys, so that the order
 * of the list does not matter; permutations from xxHash64 of the key with seed 0 (offset) and 1 (skip); weights by
 * turns. A key belongs to slot MurmurHash2(key) modulo the size: see MaglevKeySpace.
 *
 * Throws a RangeError for a size that is no prime or too large, and for hosts out of bounds.
 */
export function buildMaglev(hosts: readonly HashHost[], options: MaglevOptions = {}): MaglevTable {
  const { tableSize = MAGLEV_SIZE_DEFAULT, shared = false } = options;
  checkMaglevSize(tableSize);
  const claims = weighHosts(hosts)
    .sort(compareKeys)
    .map((host) => claimOf(host, tableSize));
  const table = new Uint16Array(tableMemory(tableSize * 2, shared)).fill(NO_HOST);
  if (claims.length === 0) return { hosts: table, minEntriesPerHost: 0, maxEntriesPerHost: 0 };

  fill(table, claims);
  let minEntriesPerHost = tableSize;
  let maxEntriesPerHost = 0;
  for (const { taken } of claims) {
    minEntriesPerHost = Math.min(minEntriesPerHost, taken);
    maxEntriesPerHost = Math.max(maxEntriesPerHost, taken);
  }
  return { hosts: table, minEntriesPerHost, maxEntriesPerHost };
}

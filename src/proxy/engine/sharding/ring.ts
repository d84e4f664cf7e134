import { writeAscii } from '../bytes.js';
import { MURMUR2, murmur2 } from '../hash/murmur2-64.js';
import { HI, LO } from '../hash/uint64.js';
import { XXHASH64, xxHash64 } from '../hash/xxhash64.js';
import { type HashHost, NO_HOST, tableMemory, type WeighedHost, weighHosts } from './hosts.js';
import { sortRing } from './ring-sort.js';

/** Envoy's default of `minimum_ring_size`. */
export const RING_SIZE_MIN_DEFAULT = 1024;

/** Envoy's default of `maximum_ring_size`, and the bound of both. */
export const RING_SIZE_MAX = 8_388_608;

/** Envoy's names of the functions that place hosts on a ring. Keys are always hashed with MurmurHash2. */
export type RingHashFunction = 'XX_HASH' | 'MURMUR_HASH_2';

export interface RingOptions {
  /** The fewest entries that a ring has (Envoy's `minimum_ring_size`), unless the maximum forbids it. */
  readonly minimumRingSize?: number;
  /** The most entries that a ring has (Envoy's `maximum_ring_size`). */
  readonly maximumRingSize?: number;
  /** What hashes the hosts (Envoy's `hash_function`). */
  readonly hashFunction?: RingHashFunction;
  /** Puts the ring into memory that other threads can share. */
  readonly shared?: boolean;
}

/** Points on a circle of 2⁶⁴, in ascending order, and the host at each. */
export interface KetamaRing {
  /** Upper 32 bits of each entry's hash. */
  readonly hashesHi: Uint32Array;
  /** Lower 32 bits of each entry's hash. */
  readonly hashesLo: Uint32Array;
  /** Index of the host (into the list that the ring was built from) per entry. */
  readonly hosts: Uint16Array;
  /** Entries of hosts (Envoy's `size`): 0 without hosts, though the arrays have one entry then, of {@link NO_HOST}. */
  readonly size: number;
  /** The fewest entries that a host has (Envoy's `min_hashes_per_host`); 0 without hosts. */
  readonly minHashesPerHost: number;
  /** The most entries that a host has (Envoy's `max_hashes_per_host`); 0 without hosts. */
  readonly maxHashesPerHost: number;
}

/** Throws a RangeError when a ring cannot have these bounds. */
export function checkRingSizes(minimumRingSize: number, maximumRingSize: number): void {
  for (const size of [minimumRingSize, maximumRingSize]) {
    if (!Number.isInteger(size) || size < 1 || size > RING_SIZE_MAX) {
      throw new RangeError(`ring hash: the ring size ${size} is no integer from 1 to ${RING_SIZE_MAX}`);
    }
  }
  if (minimumRingSize > maximumRingSize) {
    throw new RangeError(`ring hash: minimum_ring_size (${minimumRingSize}) > maximum_ring_size (${maximumRingSize})`);
  }
}

/**
 * How many entries each host gets, in the hosts' order. The lightest gets a whole number of them; when the ring's
 * maximum leaves fractions, they are carried from host to host.
 */
function entriesPerHost(hosts: readonly WeighedHost[], minimumRingSize: number, maximumRingSize: number): number[] {
  let lightest = 1;
  for (const { weight } of hosts) lightest = Math.min(lightest, weight);
  const scale = Math.min(Math.ceil(lightest * minimumRingSize) / lightest, maximumRingSize);
  let entries = 0;
  let target = 0;
  return hosts.map(({ weight }) => {
    const before = entries;
    target += scale * weight;
    while (entries < target) entries++;
    return entries - before;
  });
}

/** Room for `_` and an entry's number. */
const SUFFIX_BYTES_MAX = 1 + String(RING_SIZE_MAX).length;

/** Writes the hashes of `key_0`, `key_1`, … from entry `first` on. */
function placeHost(ring: KetamaRing, host: WeighedHost, first: number, count: number, murmur: boolean): void {
  const name = new Uint8Array(host.key.length + SUFFIX_BYTES_MAX);
  name.set(host.key);
  const numberAt = writeAscii('_', name, host.key.length);
  const result = murmur ? MURMUR2 : XXHASH64;
  for (let i = 0; i < count; i++) {
    const end = writeAscii(String(i), name, numberAt);
    if (murmur) murmur2(name, 0, end);
    else xxHash64(name, 0, end);
    ring.hashesHi[first + i] = result[HI];
    ring.hashesLo[first + i] = result[LO];
    ring.hosts[first + i] = host.index;
  }
}

/**
 * Builds a Ketama ring, entry for entry as Envoy's ring_hash_lb.cc does: the i-th entry of a host stands at the hash of
 * its key, `_` and i. Where `maximum_ring_size` (or the rounding of odd weights) leaves hosts fractions of entries, the
 * order of the list decides who gets the odd one, there as here. A key belongs to the first entry at or after
 * MurmurHash2(key): see RingKeySpace.
 *
 * The size of the whole ring is given, not that of a host's part: with one host more, the others have fewer entries.
 * So adding one to N moves up to 2/(N+2) of the keys; it is 1/(N+1) when `minimum_ring_size` grows in proportion.
 *
 * Throws a RangeError for sizes and hosts out of bounds.
 */
export function buildRing(hosts: readonly HashHost[], options: RingOptions = {}): KetamaRing {
  const { minimumRingSize = RING_SIZE_MIN_DEFAULT, maximumRingSize = RING_SIZE_MAX } = options;
  const { hashFunction = 'XX_HASH', shared = false } = options;
  checkRingSizes(minimumRingSize, maximumRingSize);
  const weighed = weighHosts(hosts);
  const counts = entriesPerHost(weighed, minimumRingSize, maximumRingSize);
  let size = 0;
  let minHashesPerHost = counts.length === 0 ? 0 : counts[0];
  let maxHashesPerHost = 0;
  for (const count of counts) {
    size += count;
    minHashesPerHost = Math.min(minHashesPerHost, count);
    maxHashesPerHost = Math.max(maxHashesPerHost, count);
  }

  // A ring of nobody has one entry that nobody serves, so that every key has a slot.
  const length = Math.max(size, 1);
  const ring: KetamaRing = {
    hashesHi: new Uint32Array(tableMemory(length * 4, shared)),
    hashesLo: new Uint32Array(tableMemory(length * 4, shared)),
    hosts: new Uint16Array(tableMemory(length * 2, shared)).fill(NO_HOST),
    size,
    minHashesPerHost,
    maxHashesPerHost,
  };
  let first = 0;
  for (let i = 0; i < weighed.length; i++) {
    placeHost(ring, weighed[i], first, counts[i], hashFunction === 'MURMUR_HASH_2');
    first += counts[i];
  }
  sortRing(ring.hashesHi, ring.hashesLo, ring.hosts);
  return ring;
}

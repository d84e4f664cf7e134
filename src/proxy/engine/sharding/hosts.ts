/** A server among which keys are divided. */
export interface HashHost {
  /**
   * What is hashed to place the host, as in Envoy: `address:port` (`[address]:port` for IPv6), or the host's name when
   * `use_hostname_for_hashing` is set, or the endpoint's `hash_key` from its `envoy.lb` metadata. Two hosts with one
   * key cannot be told apart: a ring never chooses the second one.
   */
  readonly key: string;
  /** Its share relative to the others' weights, an integer from 1; 1 when not given. */
  readonly weight?: number;
}

/** In a table of hosts: nobody serves the slot. The same value as a slot map's `NO_NODE`. */
export const NO_HOST = 0xffff;

/** Host indices are 16-bit numbers below {@link NO_HOST}. */
export const HOSTS_MAX = 65_535;

/** The bound of all weights' sum, as Envoy has it. */
export const WEIGHT_SUM_MAX = 0xffff_ffff;

/** A host as the builders need it. */
export interface WeighedHost {
  /** Its position in the caller's list. */
  readonly index: number;
  /** Its key in UTF-8. */
  readonly key: Uint8Array;
  /** Its part of all weights, in (0, 1]. */
  readonly weight: number;
}

const utf8 = new TextEncoder();

/**
 * Checks hosts and divides each weight by the sum, by the same floating-point steps as Envoy's `normalizeHostWeights`:
 * the tables' contents follow from its rounding. Throws a RangeError that names what is out of bounds.
 */
export function weighHosts(hosts: readonly HashHost[]): WeighedHost[] {
  if (hosts.length > HOSTS_MAX) throw new RangeError(`${hosts.length} hosts: a table holds at most ${HOSTS_MAX}`);
  let sum = 0;
  for (const { key, weight = 1 } of hosts) {
    if (key === '') throw new RangeError('a host without a key to hash');
    if (!Number.isInteger(weight) || weight < 1) throw new RangeError(`${key}: weight ${weight} is no integer from 1`);
    sum += weight;
  }
  if (sum > WEIGHT_SUM_MAX) throw new RangeError(`the sum of weights, ${sum}, is above ${WEIGHT_SUM_MAX}`);
  return hosts.map(({ key, weight = 1 }, index) => ({ index, key: utf8.encode(key), weight: weight / sum }));
}

/** Memory for a table's typed array, zeroed; `shared` memory can be given to other threads. */
export function tableMemory(bytes: number, shared: boolean): ArrayBuffer | SharedArrayBuffer {
  return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_NODE } from '../../../../../src/proxy/engine/core/slot-map.js';
import { type HashHost, HOSTS_MAX, NO_HOST } from '../../../../../src/proxy/engine/sharding/hosts.js';
import { MaglevKeySpace } from '../../../../../src/proxy/engine/sharding/key-space.js';
import {
  buildMaglev,
  isPrime,
  MAGLEV_SIZE_DEFAULT,
  MAGLEV_SIZE_MAX,
} from '../../../../../src/proxy/engine/sharding/maglev.js';
import { FULL } from '../../../../support/servers.js';
import { xxHash64Reference } from '../hash/reference.js';
import { moves, placement, ports, servers, shuffled, tally, worstDeviation } from './hosts.js';

/** Pseudocode listing 1 of the paper, with whole permutations in memory; all hosts of one weight. */
function paperTable(hosts: readonly HashHost[], size: number): number[] {
  const order = hosts
    .map((_, i) => i)
    .sort((a, b) => Buffer.compare(Buffer.from(hosts[a].key), Buffer.from(hosts[b].key)));
  const permutations = order.map((host) => {
    const key = Buffer.from(hosts[host].key);
    const offset = xxHash64Reference(key, 0n) % BigInt(size);
    const skip = (xxHash64Reference(key, 1n) % BigInt(size - 1)) + 1n;
    return Array.from({ length: size }, (_, j) => Number((offset + BigInt(j) * skip) % BigInt(size)));
  });
  const next = order.map(() => 0);
  const entry = new Array<number>(size).fill(-1);
  for (let filled = 0; ; ) {
    for (let i = 0; i < order.length; i++) {
      while (entry[permutations[i][next[i]]] >= 0) next[i]++;
      entry[permutations[i][next[i]]] = order[i];
      next[i]++;
      if (++filled === size) return entry;
    }
  }
}

const slots = (hosts: readonly HashHost[], tableSize: number) => [...buildMaglev(hosts, { tableSize }).hosts];

/** A table of millions takes seconds, and more while other tests run beside it. */
const LARGE_MS = 120_000;

describe("a Maglev table agrees with Envoy's published ones", () => {
  it('for six addresses and 7 slots', () => {
    const table = buildMaglev(ports(90, [1, 1, 1, 1, 1, 1]), { tableSize: 7 });
    expect([...table.hosts]).toEqual([2, 4, 0, 1, 5, 0, 3]);
    expect(table).toMatchObject({ minEntriesPerHost: 1, maxEntriesPerHost: 2 });
  });

  it('for six host names and 7 slots', () => {
    const names = ['90', '91', '92', '93', '94', '95'].map((key) => ({ key }));
    expect(slots(names, 7)).toEqual([2, 5, 0, 3, 4, 1, 0]);
  });

  it.each([
    ['1:2', [1, 2], [1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1]],
    ['1:1', [1, 1], [1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1]],
    ['8:2', [8, 2], [1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]],
  ])('for two addresses weighing %s and 17 slots', (_, weights, expected) => {
    const table = buildMaglev(ports(90, weights), { tableSize: 17 });
    expect([...table.hosts]).toEqual(expected);
    const counts = tally(table.hosts, 2);
    expect([table.minEntriesPerHost, table.maxEntriesPerHost]).toEqual([Math.min(...counts), Math.max(...counts)]);
  });
});

describe('a Maglev table', () => {
  it(
    'is the one of the paper for any hosts',
    () => {
      const keys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }), {
        minLength: 1,
        maxLength: 12,
      });
      fc.assert(
        fc.property(keys, fc.constantFrom(2, 3, 7, 13, 101, 251), (names, size) => {
          const hosts = names.map((key) => ({ key }));
          expect(slots(hosts, size)).toEqual(paperTable(hosts, size));
        }),
        { numRuns: 200 },
      );
    },
    LARGE_MS,
  );

  it('does not depend on the order of the list', () => {
    const hosts = ports(6379, [1, 3, 2, 5, 1, 4, 1, 1]);
    const mixed = shuffled(hosts);
    expect(mixed).not.toEqual(hosts);
    const byKey = (list: HashHost[]) => slots(list, 1009).map((host) => list[host].key);
    expect(byKey(mixed)).toEqual(byKey(hosts));
  });

  it('orders names by their bytes, as Envoy does', () => {
    // As UTF-16 the second name comes first.
    const hosts = [{ key: '\uffee' }, { key: '\u{1f4a9}' }];
    for (const size of [2, 3, 5, 7, 11]) expect(slots(hosts, size)).toEqual(paperTable(hosts, size));
  });

  it.each([
    [65_537, 3],
    [65_537, 10],
    [65_537, 100],
    [655_373, 1000],
  ])('of %i slots gives each of %i hosts its share within 1 %%', (tableSize, count) => {
    const table = buildMaglev(servers(count), { tableSize });
    const counts = tally(table.hosts, count);
    expect(worstDeviation(counts, new Array(count).fill(1))).toBeLessThan(0.01);
    expect(table.maxEntriesPerHost - table.minEntriesPerHost).toBeLessThanOrEqual(1);
  });

  it.each([[[1, 2, 3, 4]], [[10, 1, 7, 3, 3, 5, 1, 2, 9, 9]], [[1, 128]], [[1, 1, 1, 97]]])(
    'gives hosts of the weights %j their shares within 1 %%',
    (weights) => {
      const table = buildMaglev(ports(6379, weights));
      expect(worstDeviation(tally(table.hosts, weights.length), weights)).toBeLessThan(0.01);
    },
  );

  it('gives each host its share of real keys', () => {
    const keys = 200_000;
    const { hosts } = buildMaglev(servers(10));
    const counts = tally(placement(new MaglevKeySpace(hosts.length, true), hosts, keys), 10);
    // 1 % for the table, and three standard deviations of a random choice.
    expect(worstDeviation(counts, new Array(10).fill(1))).toBeLessThan(0.01 + 3 * Math.sqrt(9 / keys));
  });

  // The paper's section 5.3: hardly anything moves beyond the new host's share, and less so in a larger table.
  it.each([3, 10, 100])('moves about the share of the host that is added to %i', (count) => {
    const needless = [65_537, 655_373].map((tableSize) => {
      const before = buildMaglev(servers(count), { tableSize }).hosts;
      const after = buildMaglev(servers(count + 1), { tableSize }).hosts;
      const change = moves(before, after, count);
      expect(change.moved - change.needless).toBeCloseTo(1 / (count + 1), 4);
      return change.needless;
    });
    expect(needless[0]).toBeLessThan(0.01);
    expect(needless[1]).toBeLessThan(needless[0] / 2);
  });

  it('moves about the share of the host that is removed, and nothing to it', () => {
    const all = servers(10);
    const before = buildMaglev(all).hosts;
    const after = buildMaglev(all.filter((_, i) => i !== 4)).hosts.map((host) => (host < 4 ? host : host + 1));
    expect(tally(after, 10)[4]).toBe(0);
    const kept = [...before.keys()].filter((slot) => before[slot] !== 4);
    expect(kept.filter((slot) => after[slot] !== before[slot]).length / before.length).toBeLessThan(0.01);
  });

  it('of one host is all its own, whatever it weighs', () => {
    const table = buildMaglev([{ key: 'only:6379', weight: 7 }], { tableSize: 17 });
    expect(table).toEqual({ hosts: new Uint16Array(17), minEntriesPerHost: 17, maxEntriesPerHost: 17 });
  });

  it('of no host is served by nobody, as an empty slot map is', () => {
    const table = buildMaglev([], { tableSize: 7 });
    expect(table).toEqual({ hosts: new Uint16Array(7).fill(NO_HOST), minEntriesPerHost: 0, maxEntriesPerHost: 0 });
    expect(NO_HOST).toBe(NO_NODE);
  });

  it('with fewer slots than hosts leaves hosts out', () => {
    const table = buildMaglev(servers(20), { tableSize: 7 });
    expect(new Set(table.hosts).size).toBe(7);
    expect(table.minEntriesPerHost).toBe(0);
  });

  it('has 65,537 slots when nothing is said', () => {
    expect(MAGLEV_SIZE_DEFAULT).toBe(65_537);
    expect(buildMaglev(servers(2)).hosts.length).toBe(65_537);
  });

  it.runIf(FULL)(
    'can have 5,000,011 slots',
    () => {
      const table = buildMaglev(servers(10), { tableSize: MAGLEV_SIZE_MAX });
      expect(table.minEntriesPerHost).toBe(500_001);
      expect(table.maxEntriesPerHost).toBe(500_002);
    },
    LARGE_MS,
  );

  it('can have as many hosts as fit into 16 bits', () => {
    const table = buildMaglev(servers(HOSTS_MAX));
    expect(table.minEntriesPerHost).toBe(1);
    expect(table.hosts).not.toContain(NO_HOST);
  });

  it('can lie in memory that threads share', () => {
    const shared = buildMaglev(servers(3), { tableSize: 101, shared: true });
    expect(shared.hosts.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect([...shared.hosts]).toEqual(slots(servers(3), 101));
  });
});

describe('a Maglev table is refused', () => {
  it.each([-7, 0, 1, 4, 8, 65_536, 7.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'for %d slots: no prime',
    (tableSize) => {
      expect(() => buildMaglev(servers(2), { tableSize })).toThrow(/must be a prime number/);
    },
  );

  it('for a prime number of slots above the bound', () => {
    let tableSize = MAGLEV_SIZE_MAX + 1;
    while (!isPrime(tableSize)) tableSize++;
    expect(() => buildMaglev(servers(2), { tableSize })).toThrow(/above 5000011/);
  });

  it.each([
    [[{ key: '' }], /without a key/],
    [[{ key: 'a', weight: 0 }], /a: weight 0 /],
    [[{ key: 'a', weight: -1 }], /weight -1 /],
    [[{ key: 'a', weight: 1.5 }], /weight 1.5 /],
    [[{ key: 'a', weight: Number.NaN }], /weight NaN /],
    [
      [
        { key: 'a', weight: 0xffffffff },
        { key: 'b', weight: 1 },
      ],
      /sum of weights, 4294967296, is above/,
    ],
    [servers(HOSTS_MAX + 1), /65536 hosts/],
  ])('for hosts out of bounds (%#)', (hosts, message) => {
    expect(() => buildMaglev(hosts)).toThrow(RangeError);
    expect(() => buildMaglev(hosts)).toThrow(message);
  });
});

describe('a prime number', () => {
  it('is told from others', () => {
    const primes = Array.from({ length: 60 }, (_, i) => i).filter(isPrime);
    expect(primes).toEqual([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
    expect([251, 509, 1021, 65_537, 655_373, MAGLEV_SIZE_MAX].every(isPrime)).toBe(true);
    expect([65_537 * 3, 2209, 5_000_010].some(isPrime)).toBe(false);
  });
});

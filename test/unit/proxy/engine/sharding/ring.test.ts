import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HashHost, NO_HOST } from '../../../../../src/proxy/engine/sharding/hosts.js';
import { RingKeySpace } from '../../../../../src/proxy/engine/sharding/key-space.js';
import {
  buildRing,
  type KetamaRing,
  RING_SIZE_MAX,
  type RingOptions,
} from '../../../../../src/proxy/engine/sharding/ring.js';
import { FULL } from '../../../../support/servers.js';
import { murmur2Reference, xxHash64Reference } from '../hash/reference.js';
import { moves, placement, ports, servers, tally, worstDeviation } from './hosts.js';

const spaceOf = (ring: KetamaRing) => new RingKeySpace(ring.hashesHi, ring.hashesLo, true);

function hostAt(ring: KetamaRing, hash: bigint): number {
  return ring.hosts[spaceOf(ring).slotAt(Number(hash >> 32n), Number(hash & 0xffffffffn))];
}

/** The ring as pairs of a hash and a host, as Envoy's tests print it. */
function entries(ring: KetamaRing): [hash: bigint, host: number][] {
  return Array.from(ring.hosts, (host, i) => [(BigInt(ring.hashesHi[i]) << 32n) | BigInt(ring.hashesLo[i]), host]);
}

const LAST = (1n << 64n) - 1n;

/** How many of evenly spaced hashes each host gets, counted as Envoy's tests count. */
function spread(ring: KetamaRing, hosts: number, steps: number): number[] {
  const counts = new Array<number>(hosts).fill(0);
  for (let i = 0n; i < BigInt(steps); i++) counts[hostAt(ring, i * (LAST / BigInt(steps)))]++;
  return counts;
}

/** Each host's part of the circle. */
function arcs(ring: KetamaRing, hosts: number): number[] {
  const parts = new Array<number>(hosts).fill(0);
  const list = entries(ring);
  let previous = list[list.length - 1][0] - (LAST + 1n);
  for (const [hash, host] of list) {
    parts[host] += Number(hash - previous);
    previous = hash;
  }
  return parts;
}

/** A table of millions takes seconds, and more while other tests run beside it. */
const LARGE_MS = 120_000;

describe("a Ketama ring agrees with Envoy's published ones", () => {
  it('for six addresses', () => {
    const ring = buildRing(ports(90, [1, 1, 1, 1, 1, 1]), { minimumRingSize: 12 });
    expect(ring).toMatchObject({ size: 12, minHashesPerHost: 2, maxHashesPerHost: 2 });
    expect(entries(ring)).toEqual([
      [833437586790550860n, 4],
      [928266305478181108n, 2],
      [1033482794131418490n, 0],
      [3551244743356806947n, 5],
      [3851675632748031481n, 3],
      [5583722120771150861n, 1],
      [6311230543546372928n, 1],
      [7700377290971790572n, 3],
      [13144177310400110813n, 5],
      [13444792449719432967n, 2],
      [15516499411664133160n, 4],
      [16117243373044804889n, 0],
    ]);
    expect(hostAt(ring, 0n)).toBe(4);
    expect(hostAt(ring, LAST)).toBe(4);
    expect(hostAt(ring, 3551244743356806947n)).toBe(5);
    expect(hostAt(ring, 3551244743356806948n)).toBe(3);
    expect(hostAt(ring, 16117243373044804880n)).toBe(0);
  });

  it('for six host names', () => {
    const names = ['90', '91', '92', '93', '94', '95'].map((key) => ({ key }));
    expect(entries(buildRing(names, { minimumRingSize: 12 }))).toEqual([
      [1975508444536362413n, 5],
      [2376063919839173711n, 5],
      [2386806903309390596n, 3],
      [6749904478991551885n, 4],
      [6803900775736438537n, 3],
      [7225015537174310577n, 2],
      [8787465352164086522n, 0],
      [11282020843382717940n, 2],
      [13723418369486627818n, 1],
      [13776502110861797421n, 0],
      [14338313586354474791n, 1],
      [15364271037087512980n, 4],
    ]);
  });

  it('with hosts hashed by MurmurHash2', () => {
    const hosts = ports(80, [1, 1, 1, 1, 1, 1]);
    expect(entries(buildRing(hosts, { minimumRingSize: 12, hashFunction: 'MURMUR_HASH_2' }))).toEqual([
      [1358027074129602068n, 5],
      [4361834613929391114n, 3],
      [7224494972555149682n, 4],
      [7701421856454313576n, 1],
      [8649315368077433379n, 2],
      [8739448859063030639n, 4],
      [9887544217113020895n, 1],
      [10150910876324007731n, 2],
      [15168472011420622455n, 3],
      [15427156902705414897n, 0],
      [16375050414328759093n, 5],
      [17613279263364193813n, 0],
    ]);
  });

  it('where the minimum is no multiple of the hosts', () => {
    const ring = buildRing(ports(80, [1, 1]), { minimumRingSize: 3 });
    expect(ring).toMatchObject({ size: 4, minHashesPerHost: 2, maxHashesPerHost: 2 });
    expect(entries(ring)).toEqual([
      [5454692015285649509n, 0],
      [7859399908942313493n, 1],
      [13838424394637650569n, 0],
      [16064866803292627174n, 1],
    ]);
  });

  it('for the weights 1, 2 and 3 on six entries', () => {
    const ring = buildRing(ports(90, [1, 2, 3]), { minimumRingSize: 6, maximumRingSize: 6 });
    expect(ring).toMatchObject({ size: 6, minHashesPerHost: 1, maxHashesPerHost: 3 });
    expect(entries(ring)).toEqual([
      [928266305478181108n, 2],
      [4443673547860492590n, 2],
      [5583722120771150861n, 1],
      [6311230543546372928n, 1],
      [13444792449719432967n, 2],
      [16117243373044804889n, 0],
    ]);
  });

  it.each([
    [[1, 2, 3], { minimumRingSize: 6144 }, [6144, 1024, 3072], [987, 1932, 3081], 6000],
    [[1, 2, 2, 4], { minimumRingSize: 9216 }, [9216, 1024, 4096], [924, 2009, 2053, 4014], 9000],
    [[1, 1], { minimumRingSize: 1023, maximumRingSize: 1023 }, [1023, 511, 512], [526, 497], 1023],
  ])('in how the weights %j spread', (weights, options, [size, least, most], counts, steps) => {
    const ring = buildRing(ports(90, weights), options);
    expect(ring).toMatchObject({ size, minHashesPerHost: least, maxHashesPerHost: most });
    expect(spread(ring, weights.length, steps)).toEqual(counts);
  });

  it('where there is no room for all hosts', () => {
    const tiny = buildRing(ports(90, [1, 1, 1, 1]), { minimumRingSize: 2, maximumRingSize: 2 });
    expect(tiny).toMatchObject({ size: 2, minHashesPerHost: 0, maxHashesPerHost: 1 });
    expect(new Set(tiny.hosts).size).toBe(2);

    // One heavy host has 127/128 of the weight, 1,023 light ones the rest: eight of those are on the ring.
    const hosts = ports(0, [127 * 1023, ...new Array<number>(1023).fill(1)]);
    const ring = buildRing(hosts, { minimumRingSize: 1024, maximumRingSize: 1024 });
    expect(ring).toMatchObject({ size: 1024, minHashesPerHost: 0, maxHashesPerHost: 1016 });
    const light: [bigint, number][] = [
      [11664790346325243808n, 1],
      [15894554872961148518n, 128],
      [13958138884277627155n, 256],
      [15803774069438192949n, 384],
      [3829253010855396576n, 512],
      [17918147347826565154n, 640],
      [6442769608292299103n, 768],
      [5881074926069334434n, 896],
    ];
    for (const [hash, host] of light) expect(hostAt(ring, hash)).toBe(host);
  });
});

describe('a Ketama ring', () => {
  it('holds the hash of each name and number, in order, for any hosts', () => {
    const keys = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 8 });
    const functions = fc.constantFrom('XX_HASH' as const, 'MURMUR_HASH_2' as const);
    fc.assert(
      fc.property(keys, fc.integer({ min: 1, max: 300 }), functions, (names, minimumRingSize, hashFunction) => {
        const ring = buildRing(
          names.map((key) => ({ key })),
          { minimumRingSize, hashFunction },
        );
        const hash = hashFunction === 'XX_HASH' ? xxHash64Reference : murmur2Reference;
        const counts = tally(ring.hosts, names.length);
        const expected = names.flatMap((key, host) =>
          Array.from({ length: counts[host] }, (_, i) => [hash(Buffer.from(`${key}_${i}`)), host] as const),
        );
        expect(entries(ring)).toEqual(expected.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
        expect(ring.size).toBeGreaterThanOrEqual(minimumRingSize);
        expect([ring.minHashesPerHost, ring.maxHashesPerHost]).toEqual([Math.min(...counts), Math.max(...counts)]);
      }),
      { numRuns: 150 },
    );
  });

  it('does not depend on the order of the list where all entries are whole', () => {
    for (const weights of [
      [1, 1, 1, 1, 1, 1],
      [1, 2, 3],
    ]) {
      const hosts = ports(6379, weights);
      const byKey = (list: HashHost[]) => entries(buildRing(list)).map(([hash, host]) => [hash, list[host].key]);
      expect(byKey([...hosts].reverse())).toEqual(byKey(hosts));
    }
  });

  // A host with k entries has its share within about 1/√k (one standard deviation of the sum of k random arcs).
  it.each([
    [3, 1024],
    [3, 16_384],
    [3, 262_144],
    [10, 1024],
    [10, 16_384],
    [10, 262_144],
    [100, 262_144],
  ])('gives each of %i hosts its share within 4/√k, with %i entries in all', (count, minimumRingSize) => {
    const ring = buildRing(servers(count), { minimumRingSize });
    const bound = 4 / Math.sqrt(ring.minHashesPerHost);
    expect(worstDeviation(arcs(ring, count), new Array(count).fill(1))).toBeLessThan(bound);
  });

  it('gives hosts of different weights their shares', () => {
    const weights = [1, 2, 3, 4];
    const ring = buildRing(ports(6379, weights), { minimumRingSize: 100_000 });
    expect(worstDeviation(arcs(ring, 4), weights)).toBeLessThan(4 / Math.sqrt(ring.minHashesPerHost));
  });

  it.each([3, 10, 30])('moves keys to the host that is added to %i and no others, when hosts keep entries', (count) => {
    const [before, after] = [count, count + 1].map((hosts) => {
      const ring = buildRing(servers(hosts), { minimumRingSize: 4096 * hosts });
      expect(ring).toMatchObject({ minHashesPerHost: 4096, maxHashesPerHost: 4096 });
      return placement(spaceOf(ring), ring.hosts, 50_000);
    });
    const change = moves(before, after, count);
    expect(change.needless).toBe(0);
    expect(Math.abs(change.moved * (count + 1) - 1)).toBeLessThan(0.1);
  });

  it.each([3, 10, 30])('of a fixed size moves at most 2/(N+2) when a host is added to %i', (count) => {
    const [before, after] = [count, count + 1].map((hosts) => {
      const ring = buildRing(servers(hosts), { minimumRingSize: 65_536 });
      return placement(spaceOf(ring), ring.hosts, 50_000);
    });
    const change = moves(before, after, count);
    expect(change.moved).toBeLessThan(2 / (count + 2));
    expect(Math.abs((change.moved - change.needless) * (count + 1) - 1)).toBeLessThan(0.1);
  });

  it('of one host is all its own', () => {
    const ring = buildRing([{ key: 'only:6379', weight: 5 }]);
    expect(ring).toMatchObject({ size: 1024, minHashesPerHost: 1024, maxHashesPerHost: 1024 });
    expect(new Set(ring.hosts)).toEqual(new Set([0]));
  });

  it('of no host has one entry, which nobody serves', () => {
    const ring = buildRing([]);
    expect(ring).toMatchObject({ size: 0, minHashesPerHost: 0, maxHashesPerHost: 0 });
    for (const hash of [0n, 1n, LAST]) expect(hostAt(ring, hash)).toBe(NO_HOST);
  });

  it.runIf(FULL)(
    'can have the most entries that Envoy allows',
    () => {
      const ring = buildRing(servers(4), { minimumRingSize: RING_SIZE_MAX });
      expect(ring).toMatchObject({ size: RING_SIZE_MAX, minHashesPerHost: RING_SIZE_MAX / 4 });
      let ordered = true;
      for (let i = 1; i < ring.size && ordered; i++) {
        const [a, b] = [ring.hashesHi[i - 1], ring.hashesHi[i]];
        ordered = a < b || (a === b && ring.hashesLo[i - 1] <= ring.hashesLo[i]);
      }
      expect(ordered).toBe(true);
    },
    LARGE_MS,
  );

  it('can lie in memory that threads share', () => {
    const shared = buildRing(servers(3), { shared: true });
    for (const column of [shared.hashesHi, shared.hashesLo, shared.hosts]) {
      expect(column.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    expect(entries(shared)).toEqual(entries(buildRing(servers(3))));
  });
});

describe('a Ketama ring is refused', () => {
  it.each<[RingOptions, RegExp]>([
    [{ minimumRingSize: 20, maximumRingSize: 10 }, /minimum_ring_size \(20\) > maximum_ring_size \(10\)/],
    [{ maximumRingSize: 1000 }, /minimum_ring_size \(1024\) > maximum_ring_size \(1000\)/],
    [{ minimumRingSize: 0 }, /ring size 0 /],
    [{ minimumRingSize: 1.5 }, /ring size 1.5 /],
    [{ maximumRingSize: RING_SIZE_MAX + 1 }, /ring size 8388609 /],
    [{ minimumRingSize: Number.NaN }, /ring size NaN /],
  ])('with %j', (options, message) => {
    expect(() => buildRing(servers(2), options)).toThrow(RangeError);
    expect(() => buildRing(servers(2), options)).toThrow(message);
  });

  it('with hosts out of bounds', () => {
    expect(() => buildRing([{ key: '' }])).toThrow(/without a key/);
    expect(() => buildRing([{ key: 'a', weight: 0 }])).toThrow(/weight 0 /);
  });
});

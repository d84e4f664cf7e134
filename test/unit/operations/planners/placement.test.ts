import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Place, type PlacedMaster, placeReplicas } from '../../../../src/operations/planners/placement.js';

const place = (id: string, host: number, zone?: number): Place => ({
  id,
  host: `h${host}`,
  ...(zone === undefined ? {} : { zone: `z${zone}` }),
});

interface Case {
  readonly masters: PlacedMaster[];
  readonly nodes: Place[];
}

/** Hosts are in one zone each, as in the world. */
const cases = (most: { masters: number; nodes: number; hosts: number }): fc.Arbitrary<Case> =>
  fc
    .record({
      masters: fc.array(fc.tuple(fc.nat(most.hosts - 1), fc.array(fc.nat(most.hosts - 1), { maxLength: 2 })), {
        minLength: 1,
        maxLength: most.masters,
      }),
      nodes: fc.array(fc.nat(most.hosts - 1), { maxLength: most.nodes }),
      zones: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ masters, nodes, zones }) => ({
      masters: masters.map(([host, replicas], m) => ({
        ...place(`m${m}`, host, host % zones),
        replicas: replicas.map((at, r) => place(`m${m}r${r}`, at, at % zones)),
      })),
      nodes: nodes.map((host, n) => place(`n${n}`, host, host % zones)),
    }));

interface Badness {
  readonly counts: number[];
  readonly host: number;
  readonly zone: number;
}

function badness({ masters, nodes }: Case, chosen: ReadonlyMap<string, string>): Badness {
  const own = (node: Place) => masters.find(({ id }) => id === chosen.get(node.id)) as PlacedMaster;
  return {
    counts: masters
      .map(({ id, replicas }) => replicas.length + nodes.filter((node) => chosen.get(node.id) === id).length)
      .sort((left, right) => left - right),
    host: nodes.filter((node) => own(node).host === node.host).length,
    zone: nodes.filter((node) => own(node).host === node.host || own(node).zone === node.zone).length,
  };
}

function* everyChoice({ masters, nodes }: Case): Generator<Map<string, string>> {
  const total = masters.length ** nodes.length;
  for (let number = 0; number < total; number++) {
    let rest = number;
    yield new Map(
      nodes.map(({ id }) => {
        const master = masters[rest % masters.length] as PlacedMaster;
        rest = Math.floor(rest / masters.length);
        return [id, master.id];
      }),
    );
  }
}

describe('additional replicas', () => {
  it('go where there are fewest, and as few as possible share their master’s host, compared with every arrangement', () => {
    fc.assert(
      fc.property(cases({ masters: 4, nodes: 5, hosts: 4 }), (given) => {
        const chosen = placeReplicas(given.masters, given.nodes);
        expect([...chosen.keys()].sort()).toEqual(given.nodes.map(({ id }) => id).sort());
        const mine = badness(given, chosen);
        for (const other of everyChoice(given)) {
          const theirs = badness(given, other);
          if (theirs.counts.join() !== mine.counts.join()) continue;
          expect(mine.host).toBeLessThanOrEqual(theirs.host);
          // An arrangement without any conflict is always found.
          if (theirs.zone === 0) expect(mine.zone).toBe(0);
        }
        // As even as it can be: the one with fewest could not be given a replica of the one with most.
        const got = given.masters.filter(({ id }) => [...chosen.values()].includes(id));
        const size = ({ id, replicas }: PlacedMaster) =>
          replicas.length + [...chosen.values()].filter((each) => each === id).length;
        const least = Math.min(...given.masters.map(size));
        for (const master of got) expect(size(master)).toBeLessThanOrEqual(least + 1);
        expect([...placeReplicas(given.masters, given.nodes)]).toEqual([...chosen]);
      }),
      { numRuns: 400 },
    );
  });

  it('of one master are on different hosts where that costs nothing else', () => {
    const masters = [place('m0', 0), place('m1', 1)].map((master) => ({ ...master, replicas: [] }));
    const nodes = [place('n0', 2), place('n1', 2), place('n2', 3), place('n3', 3)];
    const chosen = placeReplicas(masters, nodes);
    for (const { id } of masters) {
      const hosts = nodes.filter((node) => chosen.get(node.id) === id).map(({ host }) => host);
      expect(new Set(hosts).size).toBe(2);
    }
  });

  it('are placed within a second for a thousand masters', () => {
    const masters = Array.from({ length: 1_000 }, (_, n) => ({ ...place(`m${n}`, n % 250, n % 3), replicas: [] }));
    const nodes = Array.from({ length: 1_000 }, (_, n) => place(`n${n}`, n % 250, n % 3));
    const started = performance.now();
    const chosen = placeReplicas(masters, nodes);
    expect(performance.now() - started).toBeLessThan(1_000);
    const host = new Map([...masters, ...nodes].map((each) => [each.id, each.host]));
    expect([...chosen].filter(([node, master]) => host.get(node) === host.get(master))).toEqual([]);
  });
});

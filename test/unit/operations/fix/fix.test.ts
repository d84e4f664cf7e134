import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { ForgeError } from '../../../../src/errors.js';
import { findViolations } from '../../../../src/operations/guards/index.js';
import type { RunningJob } from '../../../../src/operations/health/slot-jobs.js';
import { planLines } from '../../../../src/operations/plan.js';
import { planFix } from '../../../../src/operations/planners/fix.js';
import type { SlotKeys } from '../../../../src/operations/planners/fix-facts.js';
import { disorderOf } from '../../../../src/operations/verify.js';
import { type DescribedNode, idOf, rawNode, snapshotOf, THREE } from '../support.js';

const at = (n: number) => `10.0.0.${n}:6379`;
/** `{ 1: { 7: 3 } }`: node 1 has three keys of slot 7. */
const keysOf = (counts: Record<number, Record<number, number>> = {}): SlotKeys =>
  new Map(
    Object.entries(counts).map(([n, slots]) => [
      idOf(Number(n)),
      new Map(Object.entries(slots).map(([slot, count]) => [Number(slot), count])),
    ]),
  );
const to = (slot: number, n: number) => `[${slot}->-${idOf(n)}]`;
const from = (slot: number, n: number) => `[${slot}-<-${idOf(n)}]`;
/** Adds to what these nodes say of their slots; a node without a colon says something else instead. */
const table = (changes: Record<number, Partial<DescribedNode> | string>, nodes = THREE) =>
  nodes.map((node) => {
    const change = changes[node.n];
    if (change === undefined) return node;
    return typeof change === 'string' ? { ...node, slots: `${node.slots} ${change}` } : { ...node, ...change };
  });
const linesOf = (snapshot: ClusterSnapshot, keys = keysOf(), force: string[] = []) =>
  planLines(planFix(snapshot, keys, { force })).filter((line) => !line.startsWith('Wait'));
const refusalOf = (snapshot: ClusterSnapshot, keys = keysOf()): ForgeError => {
  try {
    planFix(snapshot, keys);
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

const finish = (slot: number, a: number, b: number) => `Finish moving 1 slots (${slot}) from ${at(a)} to ${at(b)}`;
const keep = (slot: number, n: number) => `Close 1 slots (${slot}) at ${at(n)}, which keeps them`;
const home = (slot: number, n: number, owner: number) =>
  `Close 1 slots (${slot}) at ${at(n)}; keys that it has of them go to ${at(owner)}`;
const assign = (slots: string, n: number) => expect.stringContaining(`${at(n)} the owner of ${slots}`);
const UNOWNED = { 1: { slots: '0-6 8-5460' } };

describe('a repair is planned', () => {
  it.each<[string, ClusterSnapshot, SlotKeys, unknown[]]>([
    ['with nothing to do for a cluster in order', snapshotOf(), keysOf(), []],
    [
      'to finish what is open on both sides',
      snapshotOf(table({ 1: to(7, 2), 2: from(7, 1) })),
      keysOf({ 1: { 7: 1 }, 2: { 7: 9 } }),
      [finish(7, 1, 2)],
    ],
    [
      'to finish what is open at its owner, when the other holds keys',
      snapshotOf(table({ 1: to(7, 2) })),
      keysOf({ 2: { 7: 1 } }),
      [finish(7, 1, 2)],
    ],
    [
      'to close what is open at its owner alone',
      snapshotOf(table({ 1: to(7, 2) })),
      keysOf({ 1: { 7: 5 } }),
      [keep(7, 1)],
    ],
    ['to close what is open towards an unknown node', snapshotOf(table({ 1: to(7, 9) })), keysOf(), [keep(7, 1)]],
    [
      'to finish with the master that a target now follows',
      snapshotOf([...table({ 1: to(7, 4) }), { n: 4, replicaOf: 3 }]),
      keysOf({ 3: { 7: 2 } }),
      [finish(7, 1, 3)],
    ],
    [
      'to send keys home that are elsewhere',
      snapshotOf(table({ 2: from(7, 1) })),
      keysOf({ 2: { 7: 2 } }),
      [home(7, 2, 1)],
    ],
    [
      'to send keys of a third home after the move is finished',
      snapshotOf(table({ 1: to(7, 2), 2: from(7, 1), 3: from(7, 1) })),
      keysOf({ 3: { 7: 1 } }),
      [finish(7, 1, 2), home(7, 3, 2)],
    ],
    [
      'to keep a slot before keys come home to it',
      snapshotOf(table({ 1: to(7, 2), 3: from(7, 1) })),
      keysOf({ 3: { 7: 1 } }),
      [keep(7, 1), home(7, 3, 1)],
    ],
    [
      'to give what nobody has to who holds its keys',
      snapshotOf(table(UNOWNED)),
      keysOf({ 3: { 7: 1 } }),
      [assign('1 slots (7)', 3)],
    ],
    [
      'to give it to who holds most of them, and send the others there',
      snapshotOf(table(UNOWNED)),
      keysOf({ 2: { 7: 1 }, 3: { 7: 2 } }),
      [assign('1 slots (7)', 3), home(7, 2, 3)],
    ],
    [
      'the same each time where two hold as many',
      snapshotOf(table(UNOWNED)),
      keysOf({ 3: { 7: 2 }, 2: { 7: 2 } }),
      [assign('1 slots (7)', 2), home(7, 3, 2)],
    ],
    [
      'to share out what nobody has and holds, to serving masters, as evenly as can be',
      snapshotOf([{ n: 1, slots: '100-5460' }, { n: 2, slots: '5511-10922' }, THREE[2] as DescribedNode, { n: 4 }]),
      keysOf(),
      [assign('101 slots (0-99,5461)', 1), assign('49 slots (5462-5510)', 2)],
    ],
  ])('%s', (_, snapshot, keys, lines) => {
    expect(linesOf(snapshot, keys)).toEqual(lines);
  });

  it('after an owner is found, and only then, keys are moved', () => {
    const { steps } = planFix(snapshotOf(table(UNOWNED)), keysOf({ 2: { 7: 1 }, 3: { 7: 2 } }));
    expect(steps.map(({ id, after }) => [id, after])).toEqual([
      ['assign-1', []],
      ['serve', ['assign-1']],
      ['close-1', ['serve']],
      ['agree', ['assign-1', 'close-1']],
    ]);
  });

  it('to make an owner heard whom a node does not believe, and a node known that serves slots', () => {
    const raws = THREE.map((node) => rawNode(node, THREE));
    const third = {
      ...rawNode(THREE[2] as DescribedNode, table({ 1: { slots: '1-5460' }, 2: { slots: '0 5461-10922' } })),
    };
    const reports = [...raws.slice(0, 2), third].map((raw) => parseReport(raw));
    expect(linesOf(new ClusterSnapshot({ reports }))).toEqual([assign('1 slots (0)', 1)]);
    const unheard = { ...third, nodes: raws[2]?.nodes.split('\n').slice(1).join('\n') ?? '' };
    const lonely = new ClusterSnapshot({ reports: [...raws.slice(0, 2), unheard].map((raw) => parseReport(raw)) });
    expect(planLines(planFix(lonely, keysOf()))).toEqual(['Wait until all nodes agree']);
  });

  it('with keys that nobody sees left where they are, and told of, unless they are to go home', () => {
    const keys = keysOf({ 1: { 7: 1, 5461: 1 }, 2: { 7: 2, 8: 1, 5461: 3 } });
    const plan = planFix(snapshotOf(), keys);
    expect(plan).toMatchObject({ steps: [], title: 'All slots are in order' });
    expect(plan.notes).toEqual([
      `${at(1)} holds keys of 1 slots of others (5461), which nobody sees; --strays sends them to the owners`,
      `${at(2)} holds keys of 2 slots of others (7-8), which nobody sees; --strays sends them to the owners`,
    ]);
    const home = planFix(snapshotOf(), keys, { strays: true });
    expect(planLines(home)).toEqual([
      `Close 1 slots (5461) at ${at(1)}; keys that it has of them go to ${at(2)}`,
      `Close 2 slots (7-8) at ${at(2)}; keys that it has of them go to ${at(1)}`,
      'Wait until all nodes agree',
    ]);
    expect(home.notes).toEqual([]);
  });

  it('with the marks that Valkey gives to replicas as those of their master', () => {
    const replica = { n: 4, replicaOf: 2, slots: from(7, 1), info: { master_link_status: 'up' } };
    expect(linesOf(snapshotOf([...table({ 1: to(7, 2), 2: from(7, 1) }), replica]))).toEqual([finish(7, 1, 2)]);
    expect(linesOf(snapshotOf([...THREE, replica]))).toEqual([home(7, 2, 1)]);
  });

  it('so that no guard speaks against it but those that it is there for', () => {
    const snapshot = snapshotOf(table({ 1: to(7, 2), 2: { slots: '5461-10921' } }));
    const effects = findViolations(snapshot, planFix(snapshot, keysOf())).map(({ effect }) => effect);
    expect(effects).toEqual(['tolerated', 'tolerated']);
  });
});

describe('a repair is refused', () => {
  it.each<[string, string, ClusterSnapshot, SlotKeys, RegExp]>([
    [
      'a target that may hold keys is silent',
      'open-slots',
      snapshotOf(table({ 1: to(7, 2) }), { silent: [2] }),
      keysOf(),
      /slot 7 is open towards 10\.0\.0\.2:6379, which does not answer/,
    ],
    [
      'the owner is silent',
      'nodes-down',
      snapshotOf(table({ 2: from(7, 1) }), { silent: [1] }),
      keysOf(),
      /without its owner 10\.0\.0\.1:6379, which does not answer/,
    ],
    [
      'two claim the slot',
      'disagreement',
      contested(),
      keysOf(),
      /slot 7 is claimed by 10\.0\.0\.1:6379 and 10\.0\.0\.2:6379/,
    ],
    [
      'keys must move and the cluster is down',
      'nodes-down',
      snapshotOf(table({ 1: { slots: `0-5460`, state: 'fail' }, 2: from(7, 1) }), { silent: [3] }),
      keysOf({ 2: { 7: 1 } }),
      /keys cannot be moved while the cluster is down, because 10\.0\.0\.3:6379/,
    ],
    [
      'only some know a node without slots',
      'disagreement',
      halfKnown(),
      keysOf(),
      /10\.0\.0\.4:6379 \(0+4\) is not known to 10\.0\.0\.1:6379$/,
    ],
  ])('when %s', (_, guard, snapshot, keys, words) => {
    const refusal = refusalOf(snapshot, keys);
    expect(refusal).toMatchObject({
      kind: 'refused',
      exitCode: 5,
      message: expect.stringMatching(new RegExp(words, 'm')),
    });
    expect(refusal.next.at(-1)).toBe(`Or leave that as it is and repair the rest: --force ${guard}`);
    expect(refusal.next.length).toBeGreaterThan(1);
    expect(planFix(snapshot, keys, { force: [guard] }).notes.join()).toMatch(/left as it is: /);
  });

  it('and the rest repaired when that is told', () => {
    const snapshot = snapshotOf(table({ 1: `${to(7, 2)} ${to(8, 3)}` }), { silent: [2] });
    expect(linesOf(snapshot, keysOf(), ['open-slots'])).toEqual([keep(8, 1)]);
  });

  it('never silently: slots of a silent master stay its own', () => {
    const plan = planFix(snapshotOf(THREE, { silent: [2] }), keysOf());
    expect(plan).toMatchObject({ steps: [], title: 'No slot needs a repair; a master is missing' });
    expect(plan.notes).toEqual([expect.stringContaining(`${at(2)} does not answer: nobody serves its 5462 slots`)]);
  });
});

describe('a master that is gone for good', () => {
  const dead = table({ 2: { flags: 'master,fail' } });
  const gone = (snapshot: ClusterSnapshot, keys = keysOf()) => planFix(snapshot, keys, { abandon: [idOf(2)] });

  it('loses its slots to who holds keys of them, and to the others as evenly as can be', () => {
    const snapshot = snapshotOf(table({ 3: from(5461, 2) }, dead), { silent: [2] });
    const plan = gone(snapshot, keysOf({ 3: { 5461: 4 } }));
    expect(planLines(plan)).toEqual([
      assign('2731 slots (5462-8192)', 1),
      assign('2731 slots (5461,8193-10922)', 3),
      keep(5461, 3),
      'Wait until all nodes agree',
    ]);
    expect(plan.notes).toEqual(['the keys of 10.0.0.2:6379 are lost; if it comes back, it empties itself']);
    expect(plan.request).toEqual({ leave: [], abandon: [idOf(2)], strays: false });
  });

  it.each<[string, ClusterSnapshot, RegExp]>([
    ['answers', snapshotOf(dead), /it answers/],
    ['is not held for dead by the cluster', snapshotOf(THREE, { silent: [2] }), /does not hold it for dead/],
    [
      'has a replica',
      snapshotOf([...dead, { n: 4, replicaOf: 2 }], { silent: [2] }),
      /its replica 10\.0\.0\.4:6379 has its keys/,
    ],
    ['is none', snapshotOf([THREE[0] as DescribedNode]), /it is no master of this cluster/],
  ])('is not given up when it %s', (_, snapshot, words) => {
    expect(() => gone(snapshot)).toThrow(words);
  });
});

describe('any mess', () => {
  const mark = fc.record({
    slot: fc.integer({ min: 0, max: 12 }),
    node: fc.integer({ min: 1, max: 4 }),
    peer: fc.integer({ min: 1, max: 5 }),
  });
  const mess = fc.record({
    leaving: fc.array(mark, { maxLength: 6 }),
    coming: fc.array(mark, { maxLength: 6 }),
    unowned: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 4 }),
    keys: fc.array(
      fc.record({
        slot: fc.integer({ min: 0, max: 12 }),
        node: fc.integer({ min: 1, max: 4 }),
        count: fc.integer({ min: 1, max: 9 }),
      }),
      { maxLength: 8 },
    ),
  });

  it('is planned the same each time; each slot gets one owner, and every mark and key of another is dealt with', () => {
    fc.assert(
      fc.property(mess, ({ leaving, coming, unowned, keys }) => {
        const free = new Set(unowned);
        const own = Array.from({ length: 13 }, (_, slot) => slot).filter((slot) => !free.has(slot));
        const words = (n: number) => [
          ...leaving
            .filter(({ node, peer, slot }) => node === n && peer !== n && own.includes(slot))
            .map(({ slot, peer }) => to(slot, peer)),
          ...coming
            .filter(({ node, peer }) => node === n && n !== 1 && peer !== n)
            .map(({ slot, peer }) => from(slot, peer)),
        ];
        const nodes = [
          { n: 1, slots: [...own, '13-4095', ...words(1)].join(' ') },
          ...[2, 3, 4].map((n) => ({ n, slots: [`${(n - 1) * 4096}-${n * 4096 - 1}`, ...words(n)].join(' ') })),
        ];
        const counts: Record<number, Record<number, number>> = {};
        for (const { node, slot, count } of keys) counts[node] = { ...counts[node], [slot]: count };
        const snapshot = snapshotOf(nodes);
        const plan = planFix(snapshot, keysOf(counts));
        expect(planFix(snapshotOf(nodes.toReversed()), keysOf(counts)).steps).toEqual(plan.steps);
        const questioned = new Set([...unowned, ...snapshot.openSlots.map(({ slot }) => slot)]);
        const has = ({ ranges }: { ranges: readonly { start: number; end: number }[] }, slot: number) =>
          ranges.some(({ start, end }) => start <= slot && slot <= end);
        for (const slot of questioned) {
          const touching = plan.steps
            .map(({ action }) => action)
            .filter((action) => 'ranges' in action && has(action, slot));
          const assigned = touching.flatMap((action) => (action.kind === 'assign-slots' ? [action.node.id] : []));
          expect(assigned).toHaveLength(free.has(slot) ? 1 : 0);
          const finished = touching.flatMap((action) => (action.kind === 'finish-slot' ? [action.target.id] : []));
          expect(finished.length).toBeLessThanOrEqual(1);
          const owner = finished[0] ?? assigned[0] ?? idOf(1);
          const dealtWith = new Set(
            touching.flatMap((action) => {
              if (action.kind === 'finish-slot') return [action.source.id, action.target.id];
              if (action.kind !== 'set-slot-stable') return [];
              expect(action.owner.id).toBe(owner);
              return [action.node.id];
            }),
          );
          const marked = snapshot.openSlots.filter((open) => open.slot === slot).map(({ nodeId }) => nodeId);
          const holding = Object.keys(counts).filter((n) => (counts[Number(n)]?.[slot] ?? 0) > 0);
          for (const id of [...marked, ...holding.map((n) => idOf(Number(n))).filter((id) => id !== owner)]) {
            expect(dealtWith).toContain(id);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** The first two both say that slot 7 is theirs. */
function contested(): ClusterSnapshot {
  const reports = THREE.map((node) => rawNode(node, THREE)).map((raw, index) =>
    parseReport(index === 1 ? { ...raw, nodes: raw.nodes.replace(' 5461-10922', ' 7 5461-10922') } : raw),
  );
  const [first] = reports;
  expect(first).toBeDefined();
  const open = parseReport(rawNode(THREE[2] as DescribedNode, table({ 3: from(7, 1) })));
  return new ClusterSnapshot({ reports: [...reports.slice(0, 2), open] });
}

/** The first does not know the fourth. */
function halfKnown(): ClusterSnapshot {
  const all = [...THREE, { n: 4 }];
  return new ClusterSnapshot({
    reports: all.map((node) => parseReport(rawNode(node, node.n === 1 ? THREE : all))),
  });
}

describe('jobs of the servers', () => {
  const id = 'c0ffee';
  const jobOf = (changes: Partial<RunningJob> = {}): RunningJob => ({
    id,
    slots: [{ start: 0, end: 99 }],
    slotCount: 100,
    sourceId: idOf(1),
    targetId: idOf(2),
    source: at(1),
    target: at(2),
    state: 'failed',
    message: 'Connection timeout',
    failing: true,
    cancel: { node: at(2), command: `CLUSTER MIGRATION CANCEL ID ${id}` },
    ...changes,
  });
  const well = jobOf({ id: 'beef', state: 'snapshot', message: '', failing: false });

  it('that fail again and again are cancelled, before anything else', () => {
    const snapshot = snapshotOf(table({ 1: to(7, 2), 2: from(7, 1) }));
    const plan = planFix(snapshot, keysOf({ 1: { 7: 1 } }), { jobs: [well, jobOf()] });
    expect(planLines(plan).slice(0, 2)).toEqual([
      `Cancel the job of ${at(2)} that fails to fetch 100 slots (0-99)`,
      finish(7, 1, 2),
    ]);
    expect(plan.steps.slice(0, 2)).toMatchObject([{ id: 'cancel-1', action: { job: id } }, { after: ['cancel-1'] }]);
    expect(planFix(snapshotOf(), keysOf(), { jobs: [jobOf()] }).title).toBe('Cancel 1 job of the servers');
  });

  it('that go well are let go on, and those that the operator leaves are left', () => {
    expect(planFix(snapshotOf(), keysOf(), { jobs: [well] }).steps).toEqual([]);
    expect(planFix(snapshotOf(), keysOf(), { jobs: [jobOf()], force: ['open-slots'] }).steps).toEqual([]);
  });

  it('that fail refuse other changes with the word that ends them; the repair is there for them', () => {
    const snapshot = snapshotOf();
    const plan = planFix(snapshot, keysOf(), { jobs: [jobOf()] });
    expect(findViolations(snapshot, plan, [], [jobOf()])).toEqual([]);
    const [violation] = findViolations(snapshot, { ...plan, steps: [], tolerates: [] }, [], [jobOf()]);
    expect(violation?.reasons[0]).toContain('(failed; it failed: Connection timeout); to end it, forge cluster fix');
    expect(violation?.effect).toBe('refuses');
  });

  it('are looked for when an operation is done: all by most, those that fail by a repair', () => {
    const snapshot = snapshotOf();
    const repair = planFix(snapshot, keysOf(), { jobs: [jobOf()] });
    expect(disorderOf(snapshot, repair, [well])).toEqual([]);
    expect(disorderOf(snapshot, repair, [jobOf()])).toHaveLength(1);
    expect(disorderOf(snapshot, { ...repair, tolerates: [] }, [well])).toHaveLength(1);
    expect(disorderOf(snapshot, { ...repair, tolerates: [], forced: ['open-slots'] }, [well])).toEqual([]);
  });
});

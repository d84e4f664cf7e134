import { describe, expect, it } from 'vitest';
import { joinSuspects } from '../../../../src/cluster/init/explain.js';
import { agreedTopology, hasShapeOf } from '../../../../src/cluster/init/finished.js';
import { planInit } from '../../../../src/cluster/init/plan.js';
import {
  hasReached,
  STAGES,
  stalePairs,
  targetOf,
  unattached,
  unknownPairs,
  unsettled,
  unsynced,
} from '../../../../src/cluster/init/target.js';
import type { NodeView } from '../../../../src/cluster/node-view.js';
import { idOf, line, member } from './members.js';

const numbers = [1, 2, 3, 4, 5, 6];
const plan = planInit(
  numbers.map((number) => ({ label: String(number), host: 'one' })),
  1,
);
const target = targetOf(plan, (label) => idOf(Number(label)));

/** Masters 1 to 3 with replicas 4 to 6. */
const FORMED: Record<number, string> = {
  1: line(1, 'master', undefined, '0-5460'),
  2: line(2, 'master', undefined, '5461-10922'),
  3: line(3, 'master', undefined, '10923-16383'),
  4: line(4, 'slave', 1),
  5: line(5, 'slave', 2),
  6: line(6, 'slave', 3),
};

function viewOf(
  number: number,
  changed: Record<number, string | undefined> = {},
  more: Partial<NodeView> = {},
): NodeView {
  const lines = Object.entries({ ...FORMED, ...changed }).flatMap(([key, text]) =>
    text === undefined ? [] : [Number(key) === number ? text.replace(/ (master|slave) /, ' myself,$1 ') : text],
  );
  const replication = {
    role: number > 3 ? ('replica' as const) : ('master' as const),
    synced: number > 3,
    onlineReplicas: number > 3 ? 0 : 1,
  };
  return { ...member(number, { table: lines }).view, replication, ...more };
}

const viewsWith = (changed: Record<number, NodeView | undefined> = {}) =>
  new Map(
    numbers.flatMap((number): [string, NodeView][] => {
      const view = number in changed ? changed[number] : viewOf(number);
      return view === undefined ? [] : [[idOf(number), view]];
    }),
  );

const reached = (views: ReturnType<typeof viewsWith>) => STAGES.filter((stage) => hasReached(stage, target, views));
const pairs = (gaps: ReturnType<typeof unknownPairs>) =>
  gaps.map(({ viewer, subject }) => viewer.label + subject.label);

describe('the stages of forming a cluster', () => {
  it('are all reached when every node sees everything as planned', () => {
    expect(reached(viewsWith())).toEqual([...STAGES]);
  });

  it('need the view of every node', () => {
    expect(reached(viewsWith({ 6: undefined }))).toEqual([]);
  });

  it('begin when everybody knows everybody and is connected', () => {
    const lost = viewOf(2, { 5: undefined });
    const cut = viewOf(3, { 1: line(1, 'master', undefined, '0-5460', 'disconnected') });
    const views = viewsWith({ 2: lost, 3: cut });
    expect(pairs(unknownPairs(target, views))).toEqual(['25', '31']);
    expect(reached(views)).toEqual([]);
  });

  it('go on when every replica calls itself one', () => {
    const views = viewsWith({ 4: viewOf(4, { 4: line(4, 'master', undefined) }) });
    expect(unattached(target, views).map(({ label }) => label)).toEqual(['4']);
    expect(reached(views)).toEqual(['joined']);
  });

  it('go on when everybody knows every role and slot', () => {
    const views = viewsWith({
      1: viewOf(1, { 4: line(4, 'master', undefined) }),
      5: viewOf(5, { 3: line(3, 'master', undefined) }),
    });
    expect(pairs(stalePairs(target, views))).toEqual(['14', '53']);
    expect(reached(views)).toEqual(['joined', 'attached']);
  });

  it('go on when everybody says that all is well, and no two masters have the same epoch', () => {
    const cluster = { ...viewOf(2).cluster, state: 'fail' };
    const sameEpoch = viewOf(3, { 2: line(1, 'master', undefined, '5461-10922').replaceAll(idOf(1), idOf(2)) });
    const shaking = viewOf(5, { 9: line(9, 'handshake', undefined, '', 'disconnected') });
    const views = viewsWith({ 2: viewOf(2, {}, { cluster }), 3: sameEpoch, 5: shaking });
    expect(unsettled(target, views).map(({ label }) => label)).toEqual(['2', '3', '5']);
    expect(reached(views)).toEqual(['joined', 'attached', 'known']);
  });

  it('end when every replica is in sync and every master streams to all of its replicas', () => {
    const views = viewsWith({
      1: viewOf(1, {}, { replication: { role: 'master', synced: false, onlineReplicas: 0 } }),
      6: viewOf(6, {}, { replication: { role: 'replica', synced: false, onlineReplicas: 0 } }),
    });
    expect(unsynced(target, views).map(({ label }) => label)).toEqual(['1', '6']);
    expect(reached(views)).toEqual(['joined', 'attached', 'known', 'agreed']);
  });
});

describe('the suspects of a join that does not end', () => {
  it('are those whom the others do not know, although they know the others', () => {
    const views = viewsWith(
      Object.fromEntries(
        numbers.filter((number) => number !== 3).map((number) => [number, viewOf(number, { 3: undefined })]),
      ),
    );
    expect(joinSuspects(target, views).map(({ label }) => label)).toEqual(['3']);
  });

  it('are nobody when only a single pair does not find together', () => {
    const views = viewsWith({ 1: viewOf(1, { 6: undefined }), 6: viewOf(6, { 1: undefined }) });
    expect(joinSuspects(target, views)).toEqual([]);
  });
});

describe('a finished cluster', () => {
  const membersWith = (changed: Record<number, NodeView> = {}) =>
    numbers.map((number) => ({ ...member(number), view: changed[number] ?? viewOf(number) }));

  it('is known by its shape, whoever leads', () => {
    const topology = agreedTopology(membersWith());
    expect(topology && hasShapeOf(topology, plan)).toBe(true);
    const failedOver = { 1: line(1, 'slave', 4), 4: line(4, 'master', undefined, '0-5460') };
    const swapped = numbers.map((number) => {
      const view = viewOf(number, failedOver);
      const role = view.topology.myself?.role ?? 'master';
      return {
        ...member(number),
        view: { ...view, replication: { role, synced: role === 'replica', onlineReplicas: 1 } },
      };
    });
    const after = agreedTopology(swapped);
    expect(after && hasShapeOf(after, plan)).toBe(true);
  });

  it('is not one while a node disagrees, a replica is not linked, or the state is not ok', () => {
    const down = { role: 'replica' as const, synced: false, onlineReplicas: 0 };
    expect(agreedTopology(membersWith({ 2: viewOf(2, { 5: line(5, 'slave', 1) }) }))).toBeUndefined();
    expect(agreedTopology(membersWith({ 5: viewOf(5, {}, { replication: down }) }))).toBeUndefined();
    const cluster = { ...viewOf(1).cluster, state: 'fail' };
    expect(agreedTopology(membersWith({ 1: viewOf(1, {}, { cluster }) }))).toBeUndefined();
  });

  it('has another shape with other numbers of replicas', () => {
    const seven = planInit(
      numbers.map((number) => ({ label: String(number), host: 'one' })),
      0,
    );
    const topology = agreedTopology(membersWith());
    expect(topology && hasShapeOf(topology, seven)).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../../src/operations/fingerprint.js';
import { createPlan, formatPlan, parsePlan, planId, planLines, sameRequest } from '../../../src/operations/plan.js';
import { idOf, snapshotOf, THREE } from './support.js';

const ref = (n: number) => ({ id: idOf(n), address: `10.0.0.${n}:6379` });
const move = (start: number, end: number) => ({
  kind: 'migrate-slots' as const,
  source: ref(1),
  target: ref(2),
  ranges: [{ start, end }],
});
const draft = {
  operation: 'cluster rebalance',
  request: { by: 'slots' },
  title: 'Rebalance',
  steps: [{ action: move(0, 9) }],
};

describe('the fingerprint of a cluster', () => {
  const base = fingerprintOf(snapshotOf());

  it('is the same in whatever order the nodes answered, and whatever keys, memory and epochs are', () => {
    const busy = [...THREE]
      .reverse()
      .map((node) => ({ ...node, info: { used_memory: 9_000_000, db0: 'keys=5,expires=0' } }));
    expect(fingerprintOf(snapshotOf(busy))).toBe(base);
  });

  it.each([
    ['a slot moved', [{ n: 1, slots: '0-5459' }, { n: 2, slots: '5460-10922' }, THREE[2]!]],
    ['a slot was opened', [{ n: 1, slots: `0-5460 [7->-${idOf(2)}]` }, THREE[1]!, THREE[2]!]],
    ['a node joined', [...THREE, { n: 4, replicaOf: 1 }]],
    ['a replica has another master', [...THREE, { n: 4, replicaOf: 2 }]],
  ])('is another when %s', (_, table) => {
    expect(fingerprintOf(snapshotOf(table))).not.toBe(base);
  });

  it('tells two candidates apart', () => {
    const prints = [4, 5].map((n) => fingerprintOf(snapshotOf(THREE, { strangers: [{ n }] })));
    expect(new Set([base, ...prints]).size).toBe(3);
  });
});

describe('a plan', () => {
  it('is the same for the same cluster and request, and reads back as it was written', () => {
    const plan = createPlan(snapshotOf(), draft);
    expect(planId(createPlan(snapshotOf(), draft))).toBe(planId(plan));
    expect(parsePlan(formatPlan(plan), 'plan.json')).toEqual(plan);
    expect(planLines(plan)).toEqual(['Move 10 slots (0-9) from 10.0.0.1:6379 to 10.0.0.2:6379']);
  });

  it('puts steps one after the other unless it is told', () => {
    const steps = [{ action: move(0, 1) }, { action: move(2, 3) }, { action: move(4, 5), after: [] }];
    expect(createPlan(snapshotOf(), { ...draft, steps }).steps.map(({ id, after }) => [id, after])).toEqual([
      ['s1', []],
      ['s2', ['s1']],
      ['s3', []],
    ]);
  });

  it.each([
    [
      'a step that waits for a later one',
      [
        { id: 'a', after: ['b'], action: move(0, 1) },
        { id: 'b', after: [], action: move(2, 3) },
      ],
    ],
    [
      'two steps of one name',
      [
        { id: 'a', action: move(0, 1) },
        { id: 'a', after: [], action: move(2, 3) },
      ],
    ],
  ])('refuses %s', (_, steps) => {
    expect(() => createPlan(snapshotOf(), { ...draft, steps })).toThrow(/waits for b|appears twice/);
  });

  it.each([
    ['no JSON', '{'],
    ['another version', formatPlan({ ...createPlan(snapshotOf(), draft), version: 2 as 1 })],
    ['an unknown step', formatPlan(createPlan(snapshotOf(), draft)).replace('migrate-slots', 'delete-all')],
    ['a slot out of range', formatPlan(createPlan(snapshotOf(), draft)).replace('"end": 9', '"end": 16384')],
    ['a further field', formatPlan(createPlan(snapshotOf(), draft)).replace('"version"', '"password": "x", "version"')],
  ])('that holds %s is refused with the file’s name', (_, text) => {
    expect(() => parsePlan(text, 'my-plan.json')).toThrow(/^my-plan\.json is no plan/);
  });

  it('asks for the same thing, whatever the order of its fields', () => {
    const one = { operation: 'x', request: { a: 1, b: { c: 2, d: 3 } } };
    expect(sameRequest(one, { operation: 'x', request: { b: { d: 3, c: 2 }, a: 1 } })).toBe(true);
    expect(sameRequest(one, { operation: 'x', request: { a: 1, b: { c: 2, d: 4 } } })).toBe(false);
    expect(sameRequest(one, { ...one, operation: 'y' })).toBe(false);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { familiesOf, nameMatcher, partOf } from '../../../src/logs/families.js';
import { planRecovery, planRotation, type RotationStep } from '../../../src/logs/plan.js';

const logs = nameMatcher('*.log');
const LIMITS = { bytes: 100, count: 3 };
const family = (...names: string[]) => {
  const [found] = familiesOf(names, logs);
  if (found === undefined) throw new Error('no family');
  return found;
};
const words = (steps: readonly RotationStep[]) =>
  steps.map((step) => {
    if (step.kind === 'adopt') return `adopt ${step.part}`;
    if (step.kind === 'settle') return `settle ${step.plain}`;
    return 'from' in step ? `${step.kind} ${step.from} ${step.to}` : `${step.kind} ${step.name}`;
  });

describe('names of logs', () => {
  it('belong to the log that they were', () => {
    const found = familiesOf(
      [
        'a.log',
        'a.log.1',
        'a.log.2.gz',
        'a.log.10.gz',
        'b.log',
        'c.log.1',
        'a.log.x',
        'a.log.01',
        'a.log.old',
        'notes.txt',
      ],
      logs,
    );
    expect(found.map(({ base, rotated }) => [base, ...rotated.map(({ name }) => name)])).toEqual([
      ['a.log', 'a.log.1', 'a.log.2.gz', 'a.log.10.gz'],
      ['b.log'],
    ]);
  });

  it('fit a pattern as a shell has it, whatever else they hold', () => {
    expect(nameMatcher('redis-?.log')('redis-1.log')).toBe(true);
    expect(nameMatcher('redis-?.log')('redis-12.log')).toBe(false);
    expect(nameMatcher('a+(b).log')('a+(b).log')).toBe(true);
    expect(nameMatcher('a+(b).log')('aab.log')).toBe(false);
    expect(nameMatcher('*')('a\nb')).toBe(true);
    expect(nameMatcher('**********x')('a'.repeat(10_000))).toBe(false);
  });
});

describe('a rotation', () => {
  it('begins with the oldest, and ends with what is to be compressed', () => {
    const plan = planRotation(family('a.log', 'a.log.1', 'a.log.2.gz', 'a.log.3.gz'), { bytes: 100, ageMs: 0 }, LIMITS);
    expect(words(plan)).toEqual([
      'remove a.log.3.gz',
      'rename a.log.2.gz a.log.3.gz',
      'rename a.log.1 a.log.2',
      'cut a.log a.log.1',
      'compress a.log.2 a.log.2.gz',
      'compress a.log.1 a.log.1.gz',
    ]);
  });

  it('moves none that need not move', () => {
    const plan = planRotation(family('a.log', 'a.log.1.gz', 'a.log.3.gz'), { bytes: 100, ageMs: 0 }, LIMITS);
    expect(words(plan)).toEqual(['rename a.log.1.gz a.log.2.gz', 'cut a.log a.log.1', 'compress a.log.1 a.log.1.gz']);
  });

  it('is due by size, or by age when something was written', () => {
    const kinds = (bytes: number, ageMs: number) =>
      planRotation(family('a.log'), { bytes, ageMs }, { ...LIMITS, ageMs: 1_000 }).flatMap((step) =>
        step.kind === 'cut' ? [step.reason] : [],
      );
    expect(kinds(99, 999)).toEqual([]);
    expect(kinds(100, 0)).toEqual(['size']);
    expect(kinds(1, 1_000)).toEqual(['age']);
    expect(kinds(0, 1_000_000)).toEqual([]);
    // A clock that was put back.
    expect(kinds(1, -5_000)).toEqual([]);
  });

  it('removes what is beyond the count also when nothing is due', () => {
    const plan = planRotation(family('a.log', 'a.log.3.gz', 'a.log.4.gz', 'a.log.99'), { bytes: 1, ageMs: 0 }, LIMITS);
    expect(words(plan)).toEqual(['remove a.log.99', 'remove a.log.4.gz']);
  });

  it('puts right what a killed run has left', () => {
    const torn = [partOf('a.log.1.gz'), partOf('a.log.1')];
    expect(words(planRecovery(family('a.log', 'a.log.2', 'a.log.2.gz', ...torn)))).toEqual([
      `adopt ${partOf('a.log.1')}`,
      `discard ${partOf('a.log.1.gz')}`,
      'settle a.log.2',
    ]);
    expect(planRecovery(family('a.log', 'a.log.1', 'a.log.2.gz'))).toEqual([]);
  });

  it('never writes over a file, keeps the order of the logs, and keeps no more than the count', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 10 });
    const one = fc.tuple(numbers, fc.integer({ min: 1, max: 8 }), fc.boolean(), fc.infiniteStream(fc.boolean()));
    fc.assert(
      fc.property(one, ([taken, count, due, packed]) => {
        const names = taken.map((number) => `a.log.${number}${packed.next().value ? '.gz' : ''}`);
        const files = new Map([
          ['a.log', 0],
          ...names.map((name): [string, number] => [name, Number(/\d+/.exec(name)?.[0])]),
        ]);
        const before = [...files.values()].sort((left, right) => left - right);
        for (const step of planRotation(
          family(...files.keys()),
          { bytes: due ? 100 : 1, ageMs: 0 },
          { bytes: 100, count },
        )) {
          if (step.kind === 'remove') files.delete(step.name);
          if (!('from' in step)) continue;
          expect(files.has(step.to)).toBe(false);
          files.set(step.to, files.get(step.from) as number);
          files.delete(step.from);
          if (step.kind === 'cut') files.set(step.from, -1);
        }
        const after = [...files].filter(([name]) => name !== 'a.log');
        const inOrder = after.sort(([left], [right]) => Number(/\d+/.exec(left)?.[0]) - Number(/\d+/.exec(right)?.[0]));
        const ages = inOrder.map(([, age]) => age);
        expect(ages).toEqual([...ages].sort((left, right) => left - right));
        // What is gone is older than all that stayed.
        const gone = before.filter((age) => age !== 0 && !ages.includes(age));
        for (const age of gone) expect(age).toBeGreaterThan(Math.max(0, ...ages));
        expect(after.length).toBeLessThanOrEqual(count);
        expect(files.has('a.log')).toBe(true);
      }),
    );
  });
});

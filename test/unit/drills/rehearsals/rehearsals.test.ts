import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keySlot } from '../../../../src/cluster/key-slot.js';
import type { WorkloadReport } from '../../../../src/drills/checking-workload.js';
import type { DrillReport } from '../../../../src/drills/drill.js';
import { sudden } from '../../../../src/drills/rehearsals/bounds.js';
import { CLIENTS_MIN, workloadFor } from '../../../../src/drills/rehearsals/drill-workload.js';
import { requireAble } from '../../../../src/drills/rehearsals/reach/reach.js';
import { afterPutBack, withLines } from '../../../../src/drills/rehearsals/rehearsal.js';
import { keyIn } from '../../../../src/drills/rehearsals/same-cluster.js';
import { atMost, judge } from '../../../../src/drills/verdict.js';
import { ForgeError } from '../../../../src/errors.js';

const NODE = { id: 'a', address: '10.0.0.1:6379', host: '10.0.0.1', port: 6379 };

describe('clients', () => {
  it('are as many as were asked for, with one of each kind at least', () => {
    fc.assert(
      fc.property(fc.integer({ min: CLIENTS_MIN, max: 1_000 }), (clients) => {
        const counts = Object.values(workloadFor(clients));
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(clients);
        expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});

describe('a key', () => {
  it('is found for every part of the slots, however small', () => {
    for (const slots of [[{ start: 0, end: 5_460 }], [{ start: 16_383, end: 16_383 }]]) {
      const slot = keySlot(Buffer.from(keyIn(slots, 'look:')));
      expect(slots.some(({ start, end }) => start <= slot && slot <= end)).toBe(true);
    }
  });
});

describe('bounds of what is sudden', () => {
  it('excuse losses only where nobody waits for replicas', () => {
    expect(sudden(2_000, 0)).toEqual({ longestPauseMs: 4_000, pauseBeyondMs: 300 });
    expect(sudden(15_000, 1)).toEqual({ longestPauseMs: 17_000, pauseBeyondMs: 300, losses: 0 });
  });
});

describe('what a rehearsal finds itself', () => {
  const report = { verdict: { passed: true, lines: [atMost('errors', 0, 0)] } } as unknown as DrillReport;

  it('is part of the verdict', () => {
    expect(withLines(report, [])).toBe(report);
    expect(withLines(report, [atMost('faults', 0, 0)]).verdict).toMatchObject({ passed: true, lines: [{}, {}] });
    expect(withLines(report, [atMost('faults', 1, 0)]).verdict.passed).toBe(false);
    const failed = { ...report, verdict: { ...report.verdict, passed: false } };
    expect(withLines(failed, [atMost('faults', 0, 0)]).verdict.passed).toBe(false);
  });
});

describe('what is told when everything is put back', () => {
  const error = new ForgeError('timeout', 'It took too long.', {
    host: '10.0.0.1:6379',
    next: ['Go on: forge resume 1, or the same command again.', 'Or go back: forge rollback 1', 'Look at it.'],
  });

  it('is what went wrong, without what need not be done any more', () => {
    expect(afterPutBack(error, false)).toMatchObject({
      kind: 'timeout',
      message: 'It took too long. Everything is put back.',
      host: '10.0.0.1:6379',
      next: ['Look at it.'],
    });
  });

  it('is that alone when the operator has ended it; a fault of the program stays one', () => {
    expect(afterPutBack(error, true)).toMatchObject({
      message: expect.stringContaining('ended before its time'),
      next: [],
    });
    const fault = new TypeError('x');
    expect(afterPutBack(fault, true)).toBe(fault);
  });
});

describe('listeners that were cut off', () => {
  const seen = { operations: 1_000, errors: { subscription: 3, upstream: 1 }, longestPause: { ms: 1 }, losses: 0 };
  const about = { ...seen, wrong: 0, repeats: 0, unchecked: 0 } as unknown as WorkloadReport;
  const failing = (bounds: Parameters<typeof judge>[1]) =>
    judge(about, bounds).lines.flatMap(({ what, value, holds }) => (holds ? [] : [[what, value]]));

  it('are errors, unless they are judged apart', () => {
    expect(failing({ errors: 0 })).toEqual([['errors', 4]]);
    expect(failing({ errors: 0, subscriptions: 3 })).toEqual([['errors', 1]]);
    expect(failing({ errors: 1, subscriptions: 2 })).toEqual([['listeners cut off', 3]]);
  });
});

describe('a node that forge cannot reach', () => {
  it('is refused with what can be done instead', () => {
    const words = 'forge has neither started nor deployed it';
    expect(() => requireAble({ words }, 'kill', NODE)).toThrow(expect.objectContaining({ kind: 'refused' }));
    expect(() => requireAble({ words }, 'hang', NODE)).toThrow('forge cannot stop 10.0.0.1:6379');
    expect(() => requireAble({ words, kill: async () => undefined }, 'kill', NODE)).not.toThrow();
  });
});

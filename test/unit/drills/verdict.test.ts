/** What must be there after everything ended at once, and what may be lost. */
import { describe, expect, it } from 'vitest';
import type { WorkloadReport } from '../../../src/drills/checking-workload.js';
import { judge, ON_THE_WAY_MS, OPERATIONS_MIN } from '../../../src/drills/verdict.js';

const report = (changes: Partial<WorkloadReport>): WorkloadReport => ({
  endpoint: 'x',
  durationMs: 1,
  operations: OPERATIONS_MIN,
  errors: {},
  errorExamples: {},
  findings: {},
  examples: [],
  wrong: 0,
  losses: 0,
  late: 0,
  repeats: 0,
  storedLosses: 0,
  lossTimes: [],
  missTimes: [],
  unchecked: 0,
  longestPause: { client: '', ms: 0, untilMs: 0 },
  seconds: [],
  latency: { p50: 0, p99: 0, p999: 0, max: 0 },
  ownPauseMs: 0,
  ...changes,
});

describe('losses of what was stored', () => {
  it('are bounded apart from messages', () => {
    const bounds = { storedLosses: 0 };
    expect(judge(report({ losses: 3, storedLosses: 0 }), bounds).passed).toBe(true);
    const { passed, lines } = judge(report({ losses: 3, storedLosses: 1 }), bounds);
    expect(passed).toBe(false);
    expect(lines.filter(({ holds }) => !holds)).toEqual([
      expect.objectContaining({ what: 'lost of what was stored', value: 1, bound: 0 }),
    ]);
    expect(judge(report({ losses: 3, storedLosses: 0 }), { ...bounds, losses: 0 }).passed).toBe(false);
  });
});

describe('the verdict of a cut', () => {
  const CUT_MS = 5_000;
  const lostAt = (...lossTimes: number[]) => {
    const losses = { losses: lossTimes.length, storedLosses: lossTimes.length, lossTimes };
    return judge(report(losses), { keptAfterMs: 1_000 }, undefined, [CUT_MS]);
  };

  it('excuses what was acknowledged shortly before it, and what was on its way', () => {
    expect(lostAt().passed).toBe(true);
    expect(lostAt(4_001, 4_999, CUT_MS + ON_THE_WAY_MS - 1).passed).toBe(true);
  });

  it('excuses nothing before and after that', () => {
    for (const time of [3_000, 4_000, CUT_MS + ON_THE_WAY_MS]) {
      const { passed, lines } = lostAt(time, 4_500);
      expect(passed).toBe(false);
      expect(lines.filter(({ holds }) => !holds)).toEqual([
        expect.objectContaining({
          what: 'lost, and not acknowledged in the last 1000 ms before the cut',
          value: 1,
          bound: 0,
        }),
      ]);
    }
  });

  it('excuses nothing of which the time is not known, and messages of channels', () => {
    const bounds = { keptAfterMs: 1_000 };
    expect(judge(report({ losses: 1, storedLosses: 1 }), bounds, undefined, [CUT_MS]).passed).toBe(false);
    expect(judge(report({ losses: 1 }), bounds, undefined, [CUT_MS]).passed).toBe(true);
    expect(judge(report({ losses: 1, storedLosses: 1, lossTimes: [4_500] }), bounds).passed).toBe(false);
  });
});

describe('the verdict of messages that came late', () => {
  it('allows them where losses are allowed', () => {
    const late = report({ late: 2 });
    expect(judge(late, {}).passed).toBe(true);
    const { passed, lines } = judge(late, { losses: 0 });
    expect(passed).toBe(false);
    expect(lines.filter(({ holds }) => !holds)).toEqual([
      { what: 'messages heard after later ones', value: 2, unit: '', bound: 0, holds: false },
    ]);
  });
});

describe('the verdict of messages that were heard again', () => {
  it('allows them only where that is said', () => {
    const again = report({ repeats: 2 });
    const { passed, lines } = judge(again, {});
    expect(passed).toBe(false);
    expect(lines.filter(({ holds }) => !holds)).toEqual([
      { what: 'messages heard again', value: 2, unit: '', bound: 0, holds: false },
    ]);
    expect(judge(again, { repeats: 2 }).passed).toBe(true);
    expect(judge(again, { repeats: 1 }).passed).toBe(false);
  });
});

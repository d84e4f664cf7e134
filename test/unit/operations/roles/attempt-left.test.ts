import { describe, expect, it } from 'vitest';
import { attemptLeftMs } from '../../../../src/operations/steps/failover.js';

describe('how long a server may still try the failover that a killed run has asked for', () => {
  it.each([
    ['the rest of an attempt', { sentMonotonicMs: 10_000 }, 12_000, 3_500],
    ['nothing, when the attempt is over', { sentMonotonicMs: 10_000 }, 15_500, 0],
    ['nothing, long afterwards', { sentMonotonicMs: 10_000 }, 1_000_000, 0],
    ['a whole attempt, when it was asked for just now', { sentMonotonicMs: 10_000 }, 10_000, 5_500],
    ['a whole attempt, when the machine was started anew', { sentMonotonicMs: 10_000 }, 400, 5_500],
    ['a whole attempt, by a note of another version', { sentAt: 1_700_000_000_000 }, 10_000, 5_500],
  ])('is %s', (_, note, nowMs, left) => {
    expect(attemptLeftMs(note, nowMs)).toBe(left);
  });
});

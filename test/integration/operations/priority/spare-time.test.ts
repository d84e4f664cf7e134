import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { atLowPriority } from '../../../../src/operations/priority/low-priority.js';
import { leaveSpareTime, takeOnlySpareTime } from '../../../../src/operations/priority/spare-time.js';
import { poll } from '../../../support/redis.js';

/** man 7 sched */
const USUAL = 0;
const IDLE = 5;
const BUSY_MS = 30_000;

/** The scheduling policy of this process's main thread (man 5 proc: the 41st field of its stat). */
function policy(): number {
  const text = readFileSync(`/proc/${process.pid}/stat`, 'utf8');
  return Number(text.slice(text.lastIndexOf(') ') + 2).split(' ')[38]);
}

/** Takes it until it has it: on a busy machine it is taken out again before it can look. */
const takeAndSee = () =>
  poll('spare time', BUSY_MS, async () => {
    await Promise.all([takeOnlySpareTime(), takeOnlySpareTime()]);
    if (policy() === IDLE) return true;
    await leaveSpareTime();
    return false;
  });

// Going up again is root's right; what tests the servers' own rights runs as root in CI.
describe.skipIf(process.platform !== 'linux' || (process.getuid?.() !== 0 && !process.env['CI']))('spare time', () => {
  afterEach(leaveSpareTime);

  it('is all that is taken, until it is left', async () => {
    expect(policy()).toBe(USUAL);
    await takeAndSee();
    await leaveSpareTime();
    expect(policy()).toBe(USUAL);
    await leaveSpareTime();
  });

  it('ends with the work', async () => {
    await atLowPriority(async () => {
      await takeAndSee();
    });
    expect(policy()).toBe(USUAL);
  });

  it('is not insisted on where there is too little of it', async () => {
    await takeOnlySpareTime();
    // What gets no turn: its timers do not run. Another thread sees that, and takes it out.
    const end = performance.now() + 5_000;
    while (policy() === IDLE && performance.now() < end);
    expect(policy()).toBe(USUAL);
    await leaveSpareTime();
    await takeAndSee();
    await sleep(100);
  });

  it('is not taken where there is no way to take it', async () => {
    const before = process.env['PATH'];
    process.env['PATH'] = '/nonexistent';
    try {
      await takeOnlySpareTime();
      expect(policy()).toBe(USUAL);
    } finally {
      process.env['PATH'] = before;
    }
  });
});

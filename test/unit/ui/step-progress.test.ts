import { describe, expect, it } from 'vitest';
import { Output } from '../../../src/ui/output.js';
import { progressText, StepProgress } from '../../../src/ui/step-progress.js';

describe('the progress of an operation', () => {
  it('is one line per step, at most one a second in between, and warnings at once', () => {
    let now = 0;
    const lines: string[] = [];
    const stderr = { write: (text: string) => lines.push(text.trimEnd()) };
    const progress = new StepProgress(new Output({ stderr, environment: { NO_COLOR: '1' } }), 2, () => now);
    const moved = (slotsDone: number) => ({ type: 'progress', slotsDone, slotsTotal: 9, keys: 5, bytes: 1_048_576 });
    progress.step('a', 'Move', 'started');
    for (let slot = 1; slot <= 8; slot++) {
      progress.event('a', moved(slot));
      now += 300;
    }
    progress.event('a', { type: 'warning', text: 'a big key' });
    progress.event('a', moved(9));
    progress.step('a', 'Move', 'done');
    progress.step('b', 'Wait', 'skipped');
    expect(lines).toEqual([
      '→ [0/2] Move',
      '  Move: 1 of 9 slots, 5 keys, 1.0 MiB',
      '  Move: 5 of 9 slots, 5 keys, 1.0 MiB',
      'Warning: Move: a big key',
      '  Move: 9 of 9 slots, 5 keys, 1.0 MiB',
      '✔ [1/2] Move',
      '· [2/2] Wait (was so already)',
    ]);
  });

  it('tells the time left when it is known', () => {
    expect(progressText({ type: 'progress', slotsDone: 1, slotsTotal: 2, keys: 3, bytes: 0, secondsLeft: 1.2 })).toBe(
      '1 of 2 slots, 3 keys, 0.0 MiB, 2 s left',
    );
  });
});

import { once } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { InterruptibleCommand } from '../../src/interruptible-command.js';
import { MoveControl } from '../../src/operations/move/control.js';
import { ROOT } from '../support/repository.js';

/** How many signals arrive while the cluster is looked at, and after slots could move. */
const sent = { before: 0, after: 0 };

class Sample extends InterruptibleCommand {
  async run(): Promise<object> {
    await this.parse(Sample);
    await signals(sent.before);
    const move = this.pausable(new MoveControl());
    const { paused } = move;
    await signals(sent.after);
    return { paused, afterwards: move.paused };
  }
}

async function signals(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const heard = once(process, 'SIGUSR2');
    process.kill(process.pid, 'SIGUSR2');
    await heard;
  }
}

afterEach(() => vi.restoreAllMocks());

it.each([
  { before: 1, after: 0, paused: true, afterwards: true },
  { before: 2, after: 0, paused: false, afterwards: false },
  { before: 1, after: 1, paused: true, afterwards: false },
  { before: 0, after: 1, paused: false, afterwards: true },
])(
  'a pause is heard from the start: $before signals before slots move, then $after',
  async ({ before, after, ...end }) => {
    Object.assign(sent, { before, after });
    let said = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += text;
      return true;
    });
    expect(await Sample.run([], ROOT)).toEqual(end);
    expect(said).toContain(`kill -USR2 ${process.pid}`);
    expect(process.listenerCount('SIGUSR2')).toBe(0);
  },
);

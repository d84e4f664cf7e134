import { afterEach, describe, expect, it, vi } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { Output } from '../../../src/ui/output.js';
import { runTasks, type Task } from '../../../src/ui/tasks.js';
import { capture } from './capture.js';

interface Trace {
  steps: string[];
}

const tasks: Task<Trace>[] = [
  { title: 'one', run: (trace) => void trace.steps.push('one') },
  { title: 'skipped', skip: () => 'not needed', run: (trace) => void trace.steps.push('skipped') },
  {
    title: 'two',
    tasks: [
      { title: 'a', run: (trace) => void trace.steps.push('a') },
      { title: 'b', run: (trace) => void trace.steps.push('b') },
    ],
    concurrent: true,
  },
];

afterEach(() => vi.restoreAllMocks());

/** Runs with standard error, where progress goes, caught. */
async function runShown(
  steps: Task<Trace>[],
  output: Output,
): Promise<{ shown: string; trace: Trace; error?: unknown }> {
  let shown = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    shown += String(text);
    return true;
  });
  const trace: Trace = { steps: [] };
  try {
    await runTasks(steps, { output, context: trace });
    return { shown, trace };
  } catch (error) {
    return { shown, trace, error };
  }
}

describe('tasks', () => {
  it.each([{ json: true }, { quiet: true }])('run without a word with %o', async (options) => {
    const { shown, trace } = await runShown(tasks, new Output({ ...options, stderr: capture() }));
    expect(trace.steps).toEqual(['one', 'a', 'b']);
    expect(shown).toBe('');
  });

  it('are one line each without a terminal, on standard error', async () => {
    const stdout = vi.spyOn(process.stdout, 'write');
    const { shown, trace } = await runShown(tasks, new Output({ stderr: capture() }));
    expect(trace.steps).toEqual(['one', 'a', 'b']);
    expect(shown).toContain('✔ one\n');
    expect(shown).toContain('not needed');
    expect(stdout).not.toHaveBeenCalled();
  });

  it('stop at the first failure and throw it as it is', async () => {
    const failure = new ForgeError('timeout', 'too slow');
    const failing: Task<Trace>[] = [
      {
        title: 'fails',
        run: () => {
          throw failure;
        },
      },
      ...tasks,
    ];
    for (const output of [new Output({ json: true }), new Output({ stderr: capture() })]) {
      const { error, trace } = await runShown(failing, output);
      expect(error).toBe(failure);
      expect(trace.steps).toEqual([]);
    }
  });

  it('do not begin another step after an interruption', async () => {
    const controller = new AbortController();
    const reason = new ForgeError('interrupted', 'stop');
    const steps: Task<Trace>[] = [{ title: 'interrupts', run: () => controller.abort(reason) }, ...tasks];
    const context: Trace = { steps: [] };
    await expect(
      runTasks(steps, { output: new Output({ json: true }), context, signal: controller.signal }),
    ).rejects.toBe(reason);
    expect(context.steps).toEqual([]);
  });
});

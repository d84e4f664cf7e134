/**
 * Progress of a command that works in steps: drawn on a terminal, one line per step without one, nothing with --json
 * or --quiet. Always on standard error. listr2 is loaded here and only when a command has steps to show.
 */
import type { Output } from './output.js';

/** What a running step may say about itself. */
export interface TaskReporter {
  /** Replaces the step's title. */
  title(text: string): void;
  /** Shows what the step is doing at the moment, below its title. */
  note(text: string): void;
}

/** One step. Either `run`, or `tasks` to be run in order (or at once with `concurrent`). */
export interface Task<Context> {
  title: string;
  /** Does the step; what it throws ends the whole list and is thrown by `runTasks` as it is. */
  run?: (context: Context, report: TaskReporter) => void | Promise<void>;
  tasks?: Task<Context>[];
  concurrent?: boolean;
  /** True when the list goes on after this step failed; whoever made the step keeps its error. */
  keepGoing?: boolean;
  /** A reason to skip the step, decided when its turn comes; false to run it. */
  skip?: (context: Context) => string | false;
}

export interface RunTasksOptions<Context> {
  output: Output;
  /** Passed to every step; the steps put their results there. */
  context: Context;
  /** Checked before every step. */
  signal?: AbortSignal;
}

/** Runs the steps in order and returns the context. Throws what a step throws. */
export async function runTasks<Context>(
  tasks: readonly Task<Context>[],
  options: RunTasksOptions<Context>,
): Promise<Context> {
  const { output, context, signal } = options;
  if (output.json || output.quiet) {
    await runSilently(tasks, context, signal);
    return context;
  }
  const { drawTasks } = await import('./tasks-listr.js');
  await drawTasks(tasks, options);
  return context;
}

const SILENT: TaskReporter = { title() {}, note() {} };

async function runSilently<Context>(tasks: readonly Task<Context>[], context: Context, signal?: AbortSignal) {
  for (const task of tasks) await runStep(task, context, signal);
}

async function runStep<Context>(task: Task<Context>, context: Context, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (task.skip?.(context)) return;
  try {
    await task.run?.(context, SILENT);
  } catch (error) {
    if (task.keepGoing !== true) throw error;
  }
  if (task.concurrent) await Promise.all((task.tasks ?? []).map((child) => runStep(child, context, signal)));
  else await runSilently(task.tasks ?? [], context, signal);
}

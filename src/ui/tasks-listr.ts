/** Draws steps with listr2. Loaded by tasks.ts only when there is something to draw. */
import { DefaultRenderer, Listr, ListrLogger, type ListrTask, ProcessOutput, SimpleRenderer } from 'listr2';
import type { RunTasksOptions, Task } from './tasks.js';

/** listr2 looks at standard output to decide whether it may draw; progress is on standard error here. */
class TerminalRenderer extends DefaultRenderer {
  static override nonTTY = true;
}

function toListrTask<Context>(task: Task<Context>, signal?: AbortSignal): ListrTask<Context> {
  return {
    title: task.title,
    exitOnError: task.keepGoing !== true,
    skip: (context) => task.skip?.(context) ?? false,
    task: async (context, self) => {
      signal?.throwIfAborted();
      await task.run?.(context, {
        title: (text) => {
          self.title = text;
        },
        note: (text) => {
          self.output = text;
        },
      });
      if (task.tasks === undefined) return undefined;
      const children = task.tasks.map((child) => toListrTask(child, signal));
      return self.newListr(children, { concurrent: task.concurrent ?? false });
    },
  };
}

export async function drawTasks<Context>(tasks: readonly Task<Context>[], options: RunTasksOptions<Context>) {
  const { output, context, signal } = options;
  // Both of listr2's streams lead to standard error: standard output is for data.
  const logger = new ListrLogger({
    useIcons: true,
    processOutput: new ProcessOutput(process.stderr, process.stderr, { leaveEmptyLine: false }),
  });
  const listr = new Listr<Context, typeof TerminalRenderer | typeof SimpleRenderer>(
    tasks.map((task) => toListrTask(task, signal)) as never,
    {
      renderer: output.interactive ? TerminalRenderer : SimpleRenderer,
      // Errors are printed once, by the base command.
      rendererOptions: { logger, showErrorMessage: false, collapseSubtasks: false } as never,
      exitOnError: true,
      // The base command owns the signals; listr2 would exit at once and skip the clean-up.
      registerSignalListeners: false,
    },
  );
  await listr.run(context);
}

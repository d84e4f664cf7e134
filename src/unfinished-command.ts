/** What `forge resume` and `forge rollback` share: which operation, what is known of it, the question, and the run. */
import { Args } from '@oclif/core';
import { dryRunFlag, yesFlag } from './base-command.js';
import { changeFlags } from './change-command.js';
import type { ClusterFlagValues } from './config/cluster-flags.js';
import { parseDuration } from './config/duration.js';
import { moveFlags, readMove } from './config/move-flags.js';
import { ForgeError } from './errors.js';
import { InterruptibleCommand } from './interruptible-command.js';
import { operationPaths } from './operations/home.js';
import type { OperationState } from './operations/journal/entry.js';
import { listOperations, readOperation } from './operations/journal/journal.js';
import { MoveControl } from './operations/move/control.js';
import { planLines } from './operations/plan.js';
import { takeOnlySpareTime } from './operations/priority/spare-time.js';
import { type RunResult, resumeOperation, rollbackOperation } from './operations/run.js';
import { describeUnfinished, isAtWork, progressOf, type UnfinishedOperation } from './operations/unfinished.js';
import { StepProgress } from './ui/step-progress.js';
import { renderTable } from './ui/table.js';

const TIMEOUT_MIN_MS = 1_000;
const TIMEOUT_MAX_MS = 3_600_000;
const SECOND_MS = 1_000;
/** Longer plans are cut on the screen; --json has all of it. */
const LINES_SHOWN_MAX = 40;

export const unfinishedArgs = {
  operation: Args.string({ description: 'The operation, as it was told; without it, all unfinished ones are listed.' }),
};

export const unfinishedFlags = {
  ...yesFlag,
  ...dryRunFlag,
  timeout: changeFlags.timeout,
  parallel: changeFlags.parallel,
  ...moveFlags,
};

type UnfinishedFlagValues = ClusterFlagValues &
  Parameters<typeof readMove>[0] & {
    readonly 'dry-run': boolean;
    readonly timeout: string;
    readonly parallel: number;
  };

export interface UnfinishedList {
  readonly unfinished: readonly (UnfinishedOperation & {
    /** A process of this machine does it at this moment. */
    readonly atWork: boolean;
  })[];
}

export type TakenUp =
  | UnfinishedList
  | RunResult
  | { readonly status: 'planned'; readonly operation: UnfinishedOperation };

export abstract class UnfinishedCommand extends InterruptibleCommand {
  /** Finishes the operation, or undoes it; lists all that are unfinished when none is named. */
  protected async takeUp(
    course: 'resume' | 'rollback',
    operationId: string | undefined,
    flags: UnfinishedFlagValues,
  ): Promise<TakenUp> {
    const paths = operationPaths();
    if (operationId === undefined) return this.#list(await listOperations(paths.journals));
    const waitMs = parseDuration(flags.timeout, { minMs: TIMEOUT_MIN_MS, maxMs: TIMEOUT_MAX_MS });
    const state = await readOperation(paths.journals, operationId);
    if (state === undefined) throw new ForgeError('refused', `${operationId} never began: nothing was changed.`);
    const operation = describeUnfinished(state);
    this.#show(course, state, operation);
    // The nodes of the operation lead to its cluster, whatever folder this is called in.
    const fallback = { addresses: state.plan.nodes.map(({ address }) => address), source: 'the operation' };
    return this.withSession(
      flags,
      async (session) => {
        if (flags['dry-run']) {
          this.output.message('Dry run: nothing was changed.');
          return { status: 'planned', operation };
        }
        await this.confirm(course === 'resume' ? 'Finish it?' : 'Undo it?');
        const progress = new StepProgress(
          this.output,
          course === 'resume' ? state.plan.steps.length : state.begun.size,
        );
        const titles = new Map(state.plan.steps.map(({ id }, index) => [id, planLines(state.plan)[index] ?? id]));
        const run = course === 'resume' ? resumeOperation : rollbackOperation;
        const result = await run(
          {
            session,
            paths,
            waitMs,
            parallel: flags.parallel,
            giveWay: takeOnlySpareTime,
            move: this.pausable(new MoveControl(readMove(flags))),
            signal: this.signal,
            observer: {
              ...InterruptibleCommand.watch,
              step: (step, moment) => progress.step(step.id, titles.get(step.id) ?? step.id, moment),
              event: (step, event) => progress.event(step.id, event),
            },
          },
          operationId,
        );
        progress.end();
        const done = course === 'resume' ? 'Done' : 'Undone';
        this.output.data(`${done} and verified in ${((result.elapsedMs ?? 0) / SECOND_MS).toFixed(2)} s.`);
        return result;
      },
      { fallback },
    );
  }

  async #list(states: readonly OperationState[]): Promise<UnfinishedList> {
    const open = states.filter(({ result }) => result === undefined);
    const unfinished = await Promise.all(
      open.map(async (state) => ({ ...describeUnfinished(state), atWork: await isAtWork(state) })),
    );
    const { output } = this;
    if (unfinished.length === 0) {
      output.data('No operation that was begun on this machine is unfinished.');
      return { unfinished };
    }
    const rows = unfinished.map((each) => [
      each.operationId,
      `${each.operator.user}@${each.operator.host}`,
      stateOf(each),
      progressOf(each),
      each.title,
    ]);
    output.data(renderTable(['OPERATION', 'WHO', 'STATE', 'PROGRESS', 'WHAT'], rows));
    const first = unfinished.find(({ atWork }) => !atWork);
    if (first === undefined) return { unfinished };
    output.message('');
    if (first.direction === 'forward') output.message(`Finish it: ${this.program} resume ${first.operationId}`);
    output.message(`Undo it:   ${this.program} rollback ${first.operationId}`);
    return { unfinished };
  }

  #show(course: 'resume' | 'rollback', state: OperationState, operation: UnfinishedOperation): void {
    const { output } = this;
    const { operator, startedAt, title } = operation;
    output.data(`${title}: ${operator.user}@${operator.host}, ${startedAt}; ${progressOf(operation)}`);
    const marks = { started: '→', done: '✔', 'undo-started': '↩', undone: '↩' } as const;
    const lines = planLines(state.plan).map((line, index) => {
      const step = state.steps.get(state.plan.steps[index]?.id ?? '');
      return `  ${step === undefined ? '·' : marks[step]} ${line}`;
    });
    for (const line of lines.slice(0, LINES_SHOWN_MAX)) output.data(line);
    if (lines.length > LINES_SHOWN_MAX) output.data(`  … and ${lines.length - LINES_SHOWN_MAX} more`);
    if (operation.failure !== undefined) output.message(`It ended with: ${operation.failure.message}`);
    if (course === 'rollback') output.message('Everything that was begun is undone, the last first.');
  }
}

function stateOf({ direction, atWork }: UnfinishedList['unfinished'][number]): string {
  if (direction === 'back') return atWork ? 'being undone now' : 'undone in part';
  return atWork ? 'at work' : 'unfinished';
}

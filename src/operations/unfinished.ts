/** An operation's journal in the words that an operator needs before finishing or undoing it. */
import os from 'node:os';
import { startedAtMs } from '../runtime/process/identity.js';
import { irreversible } from './executor.js';
import type { OperationState, Operator } from './journal/entry.js';

export interface UnfinishedOperation {
  readonly operationId: string;
  /** `scale add`. */
  readonly operation: string;
  readonly title: string;
  readonly operator: Operator;
  readonly startedAt: string;
  /** `back`: a rollback was begun, and only that can be finished. */
  readonly direction: 'forward' | 'back';
  readonly steps: { readonly total: number; readonly done: number; readonly begun: number; readonly undone: number };
  /** How its last run ended; undefined when it was killed, or is at work. */
  readonly failure?: { readonly kind: string; readonly message: string };
  /** Steps that cannot be undone: with any, it can only be finished. */
  readonly irreversible: readonly string[];
}

export function describeUnfinished(state: OperationState): UnfinishedOperation {
  const { operationId, plan, operator, startedAt, direction, steps, failure } = state;
  const count = (wanted: (step: string | undefined) => boolean) =>
    plan.steps.filter(({ id }) => wanted(steps.get(id))).length;
  return {
    operationId,
    operation: plan.operation,
    title: plan.title,
    operator,
    startedAt,
    direction,
    steps: {
      total: plan.steps.length,
      done: count((step) => step === 'done'),
      begun: count((step) => step === 'started' || step === 'undo-started'),
      undone: count((step) => step === 'undone'),
    },
    ...(failure === undefined ? {} : { failure }),
    irreversible: irreversible({ state }).map(({ id }) => id),
  };
}

/** A process's start is known to about two seconds, and clocks are set. */
const START_SLACK_MS = 5_000;

/**
 * Whether the process that began it, or took it up last, is still there, and has not given up; of another host nothing is
 * known. One that started later has only got its number.
 */
export async function isAtWork({ failure, lastRun }: Pick<OperationState, 'failure' | 'lastRun'>): Promise<boolean> {
  const { operator, startedAt } = lastRun;
  if (failure !== undefined || operator.host !== os.hostname() || operator.pid === process.pid) return false;
  const started = await startedAtMs(operator.pid);
  return started !== undefined && started <= Date.parse(startedAt) + START_SLACK_MS;
}

/** `3 of 8 steps are done, 1 is begun`. */
export function progressOf({ direction, steps }: UnfinishedOperation): string {
  const { total, done, begun, undone } = steps;
  const back = direction === 'back' ? `, ${undone} undone` : '';
  return `${done} of ${total} steps done${begun > 0 ? `, ${begun} begun` : ''}${back}`;
}

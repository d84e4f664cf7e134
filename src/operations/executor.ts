/**
 * Does the steps of a plan, or undoes them: the only place that calls a step's `apply` and `undo`. Before and after each
 * it writes the journal; what the journal says is done is not done again, and what was begun is looked at first.
 */
import { ForgeError } from '../errors.js';
import type { OperationState } from './journal/entry.js';
import type { Journal } from './journal/journal.js';
import type { PlanStep } from './plan.js';
import type { StepContext, StepEvent } from './step.js';
import { handlerOf } from './steps/index.js';

/** Steps that run at once, when not told. */
export const PARALLEL_DEFAULT = 4;
export const PARALLEL_MAX = 64;
/** Steps that share one node. */
const SHARERS_MAX = 4;

export interface ExecutionObserver {
  /** A step begins, goes on, or is done. `skipped`: the journal, or the cluster, says that it was done before. */
  step?(step: PlanStep, state: 'started' | 'done' | 'skipped' | 'undo-started' | 'undone' | 'failed'): void;
  event?(step: PlanStep, event: StepEvent): void;
}

export type ContextOf = (
  step: PlanStep,
  own: Pick<StepContext, 'report' | 'remember' | 'remembered' | 'signal'>,
) => StepContext;

export interface ExecuteOptions {
  readonly journal: Journal;
  readonly contextOf: ContextOf;
  /** At most 64. */
  readonly parallel?: number;
  readonly observer?: ExecutionObserver;
  readonly signal: AbortSignal;
}

interface Needs {
  readonly nodes: readonly string[];
  readonly shares: readonly string[];
}

/** Does all steps that are not done. Throws what the first failing step throws, when those beside it have stopped. */
export async function execute(options: ExecuteOptions): Promise<void> {
  await new Schedule(options.journal.state, options).run();
}

/** Starts steps in the order of the plan as soon as all that they wait for are done and their nodes are free. */
class Schedule {
  readonly #options: ExecuteOptions;
  readonly #limit: number;
  /** Indexes of steps that wait for nothing any more, ascending. */
  readonly #ready: number[] = [];
  readonly #waitsFor: number[];
  readonly #followers: number[][];
  readonly #steps: readonly PlanStep[];
  readonly #busy = new Set<string>();
  readonly #sharers = new Map<string, number>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #states: OperationState['steps'];
  readonly #notes: OperationState['notes'];
  #failure: { error: unknown } | undefined;

  constructor({ plan, steps, notes }: OperationState, options: ExecuteOptions) {
    this.#options = options;
    this.#limit = Math.min(PARALLEL_MAX, Math.max(1, options.parallel ?? PARALLEL_DEFAULT));
    this.#steps = plan.steps;
    this.#states = steps;
    this.#notes = notes;
    const indexOf = new Map(plan.steps.map(({ id }, index) => [id, index]));
    this.#waitsFor = plan.steps.map(({ after }) => after.length);
    this.#followers = plan.steps.map(() => []);
    for (const [index, { after }] of plan.steps.entries()) {
      for (const id of after) this.#followers[indexOf.get(id) as number]?.push(index);
      if (after.length === 0) this.#ready.push(index);
    }
  }

  async run(): Promise<void> {
    for (;;) {
      this.#startReady();
      if (this.#running.size === 0) break;
      await Promise.race(this.#running);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#options.signal.throwIfAborted();
  }

  #startReady(): void {
    while (this.#failure === undefined && !this.#options.signal.aborted && this.#running.size < this.#limit) {
      const best = this.#nextReady();
      if (best === undefined) return;
      this.#ready.splice(best.place, 1);
      this.#start(best.index, best.step, best.needs);
    }
  }

  /** The first of those that share a node with the fewest others, so that no node has to wait for steps of its own. */
  #nextReady() {
    let best: { place: number; index: number; step: PlanStep; needs: Needs; sharers: number } | undefined;
    for (const [place, index] of this.#ready.entries()) {
      const step = this.#steps[index] as PlanStep;
      const handler = handlerOf(step.action);
      const needs = { nodes: handler.nodes(step.action), shares: handler.shares?.(step.action) ?? [] };
      const sharers = this.#sharersWith(needs);
      if (sharers !== undefined && sharers < (best?.sharers ?? SHARERS_MAX))
        best = { place, index, step, needs, sharers };
      if (best?.sharers === 0) break;
    }
    return best;
  }

  /** How many steps it would share a node with; undefined while a node is not free. */
  #sharersWith({ nodes, shares }: Needs): number | undefined {
    const sharersOf = (id: string) => this.#sharers.get(id) ?? 0;
    if (nodes.some((id) => this.#busy.has(id) || sharersOf(id) > 0)) return undefined;
    if (shares.some((id) => this.#busy.has(id))) return undefined;
    return Math.max(0, ...shares.map(sharersOf));
  }

  #share(ids: readonly string[], change: 1 | -1): void {
    for (const id of ids) this.#sharers.set(id, (this.#sharers.get(id) ?? 0) + change);
  }

  #start(index: number, step: PlanStep, { nodes, shares }: Needs): void {
    for (const id of nodes) this.#busy.add(id);
    this.#share(shares, 1);
    const signal = AbortSignal.any([this.#options.signal, this.#stop.signal]);
    const running = this.#doStep(step, signal)
      .then(() => {
        for (const follower of this.#followers[index] ?? []) {
          this.#waitsFor[follower] = (this.#waitsFor[follower] as number) - 1;
          if (this.#waitsFor[follower] === 0) insertSorted(this.#ready, follower);
        }
      })
      .catch((error: unknown) => {
        this.#options.observer?.step?.(step, 'failed');
        this.#failure ??= { error };
        // The others finish what they have in hand, as they do on Ctrl-C.
        this.#stop.abort(new ForgeError('partial', 'Another step failed.'));
      })
      .finally(() => {
        for (const id of nodes) this.#busy.delete(id);
        this.#share(shares, -1);
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #doStep(step: PlanStep, signal: AbortSignal): Promise<void> {
    const { journal, observer } = this.#options;
    if (this.#states.get(step.id) === 'done') {
      observer?.step?.(step, 'skipped');
      return;
    }
    const handler = handlerOf(step.action);
    const context = contextFor(this.#options, step, this.#notes, signal);
    if (await handler.isDone(context, step.action)) {
      await journal.append({ type: 'step', step: step.id, state: 'done' });
      observer?.step?.(step, 'skipped');
      return;
    }
    await journal.append({ type: 'step', step: step.id, state: 'started' });
    observer?.step?.(step, 'started');
    await handler.apply(context, step.action);
    await journal.append({ type: 'step', step: step.id, state: 'done' });
    observer?.step?.(step, 'done');
  }
}

function insertSorted(list: number[], value: number): void {
  let place = list.length;
  while (place > 0 && (list[place - 1] as number) > value) place--;
  list.splice(place, 0, value);
}

function contextFor(
  { journal, contextOf, observer }: ExecuteOptions,
  step: PlanStep,
  notes: OperationState['notes'],
  signal: AbortSignal,
): StepContext {
  return contextOf(step, {
    signal,
    report: (event) => observer?.event?.(step, event),
    remember: (data) => journal.append({ type: 'note', step: step.id, data: data as Record<string, never> }),
    remembered: notes.get(step.id) ?? [],
  });
}

/** Steps that were begun and cannot be undone; none, and a rollback may begin. */
export function irreversible(journal: Pick<Journal, 'state'>): PlanStep[] {
  const { plan, begun, steps } = journal.state;
  return plan.steps.filter(
    ({ id, action }) => begun.has(id) && steps.get(id) !== 'undone' && handlerOf(action).undo === undefined,
  );
}

/** Undoes everything that was begun, the last first, one after the other. */
export async function unwind(options: ExecuteOptions): Promise<void> {
  const { journal, observer, signal } = options;
  const { plan, begun, steps, notes } = journal.state;
  for (const step of plan.steps.toReversed()) {
    if (!begun.has(step.id) || steps.get(step.id) === 'undone') continue;
    signal.throwIfAborted();
    const handler = handlerOf(step.action);
    await journal.append({ type: 'step', step: step.id, state: 'undo-started' });
    observer?.step?.(step, 'undo-started');
    await handler.undo?.(contextFor(options, step, notes, signal), step.action);
    await journal.append({ type: 'step', step: step.id, state: 'undone' });
    observer?.step?.(step, 'undone');
  }
}

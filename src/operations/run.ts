/**
 * Plan → confirm → apply → verify, for every command that changes a cluster. Knows no terminal: it shows and asks through
 * what it is given.
 */
import { pause } from '../cluster/bounded.js';
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import { ForgeError } from '../errors.js';
import { appendAudit } from './audit.js';
import { type ExecutionObserver, execute, irreversible, unwind } from './executor.js';
import { fingerprintOf } from './fingerprint.js';
import { disagreement } from './guards/health.js';
import { findViolations, throwViolations, type Violation } from './guards/index.js';
import { slotJobs } from './health/slot-jobs.js';
import type { OperationPaths } from './home.js';
import type { OperationState } from './journal/entry.js';
import { Journal, type JournalWatch, pruneJournals, unfinishedOperations } from './journal/journal.js';
import { ClusterLock } from './lock/lock.js';
import { MoveControl } from './move/control.js';
import { type Plan, planId, sameRequest } from './plan.js';
import { atLowPriority } from './priority/low-priority.js';
import type { ClusterSession } from './session.js';
import type { Mutate, MutateAll, StepContext } from './step.js';
import { isAtWork } from './unfinished.js';
import { disorderly, disorderOf } from './verify.js';

/** Bound of each wait inside a step, when not told. */
export const WAIT_MS = 30_000;
const VERIFY_LOOK_MS = 100;
const ENDED_BY_SIGNAL = new Set<string>(['interrupted', 'terminated', 'hung-up']);

export interface Mutation {
  readonly node: string;
  readonly command: readonly string[];
}

export interface RunObserver extends ExecutionObserver {
  /** Told every command that changes a node, before it is sent; what it throws ends the work there. */
  mutation?(mutation: Mutation): void | Promise<void>;
  /** Told every line of the journal. */
  journal?: JournalWatch;
}

export interface RunSettings {
  readonly session: ClusterSession;
  readonly paths: OperationPaths;
  readonly waitMs?: number;
  /** How work beside clients makes way for them; at the usual priority of `atLowPriority` without it. */
  readonly giveWay?: () => Promise<void>;
  readonly parallel?: number;
  readonly move?: MoveControl;
  readonly observer?: RunObserver;
  readonly signal?: AbortSignal;
}

export interface RunPlanOptions extends RunSettings {
  /** The plan for the cluster as it is; or the one that was saved. */
  readonly plan: Plan;
  /** Guards that are overridden. */
  readonly force?: readonly string[];
  readonly dryRun?: boolean;
  /** Shows the plan, and what speaks against it. Called once, before anything is asked or refused. */
  readonly show?: (plan: Plan, violations: readonly Violation[], begun: OperationState | undefined) => void;
  /** Returns when the operator agrees; throws when not. */
  readonly confirm: (plan: Plan) => Promise<unknown>;
}

export interface RunResult {
  /** `unchanged`: there was nothing to do. `planned`: a dry run. */
  readonly status: 'planned' | 'unchanged' | 'done' | 'rolled-back';
  readonly plan: Plan;
  readonly planId: string;
  readonly operationId?: string;
  /** An interrupted operation was finished. */
  readonly resumed: boolean;
  readonly violations: readonly Violation[];
  readonly elapsedMs?: number;
}

/**
 * Carries a plan out. Asked for the same thing as an operation that was interrupted, it goes on with that.
 * @throws ForgeError `refused` (guards, another operation is unfinished, the topology has changed, not confirmed),
 *   `locked`, or what a step throws; once something was begun, `next` says how to go on and how to go back
 */
export async function runPlan(options: RunPlanOptions): Promise<RunResult> {
  const { session, paths } = options;
  const [begun] = await unfinishedOperations(paths.journals, session.memberIds);
  if (begun !== undefined) {
    if (!sameRequest(begun.plan, options.plan) || begun.direction === 'back') throw await otherUnfinished(begun);
    return goOn(options, begun);
  }
  const plan: Plan = {
    ...options.plan,
    forced: [...new Set([...options.plan.forced, ...(options.force ?? [])])].sort(),
  };
  const violations = findViolations(session.snapshot, plan, [], await slotJobs(session, session.snapshot));
  options.show?.(plan, violations, undefined);
  const common = { plan, planId: planId(plan), resumed: false, violations };
  requireFingerprint(plan, session.snapshot);
  if (plan.steps.length === 0) return { status: 'unchanged', ...common };
  throwViolations(violations);
  if (options.dryRun) return { status: 'planned', ...common };
  await options.confirm(plan);
  return underLock(options, plan, async (lock) => {
    // Between the plan and the yes of the operator, minutes may have passed.
    const now = await (plan.tolerates.includes(disagreement.name) ? session.look() : session.lookAgreed());
    requireFingerprint(plan, now);
    throwViolations(findViolations(now, plan, [], await slotJobs(session, now)));
    const journal = await Journal.create(paths.journals, {
      plan,
      operator: session.operator,
      watch: options.observer?.journal,
    });
    return carryOut(options, lock, journal, 'begin', common);
  });
}

async function goOn(options: RunPlanOptions, begun: OperationState): Promise<RunResult> {
  const { plan } = begun;
  options.show?.(plan, [], begun);
  const common = { plan, planId: planId(plan), resumed: true, violations: [] };
  if (options.dryRun) return { status: 'planned', ...common };
  await options.confirm(plan);
  return resumeOperation(options, begun.operationId);
}

/**
 * Finishes an operation that was interrupted.
 * @throws ForgeError like `runPlan`; `refused` when a rollback of it was begun
 */
export async function resumeOperation(options: RunSettings, operationId: string): Promise<RunResult> {
  const { paths, observer } = options;
  const journal = await openUnfinished(options, operationId);
  try {
    const { plan, direction } = journal.state;
    if (direction === 'back') throw await otherUnfinished(journal.state);
    return await underLock(options, plan, (lock) =>
      carryOut(options, lock, journal, 'resume', { plan, planId: planId(plan), resumed: true, violations: [] }),
    );
  } finally {
    await journal.close().catch(() => undefined);
  }

  async function openUnfinished(settings: RunSettings, id: string): Promise<Journal> {
    const opened = await Journal.open(paths.journals, id, observer?.journal);
    return requireUnfinished(opened, settings);
  }
}

/**
 * Undoes an operation that was interrupted: everything that it began, the last first.
 * @throws ForgeError `refused` when a step of it cannot be undone
 */
export async function rollbackOperation(options: RunSettings, operationId: string): Promise<RunResult> {
  const journal = await requireUnfinished(
    await Journal.open(options.paths.journals, operationId, options.observer?.journal),
    options,
  );
  try {
    const { plan } = journal.state;
    const stuck = irreversible(journal);
    if (stuck.length > 0) {
      throw new ForgeError('refused', `${operationId} cannot be undone: ${stuck.map(({ id }) => id).join(', ')}.`, {
        next: `Finish it instead: forge resume ${operationId}`,
      });
    }
    return await underLock(options, plan, (lock) =>
      carryOut(options, lock, journal, 'rollback', { plan, planId: planId(plan), resumed: true, violations: [] }),
    );
  } finally {
    await journal.close().catch(() => undefined);
  }
}

async function requireUnfinished(journal: Journal, { session }: RunSettings): Promise<Journal> {
  const { result, plan, operationId } = journal.state;
  const ids = new Set(session.memberIds);
  const ours = plan.nodes.some(({ id }) => ids.has(id));
  if (result === undefined && ours) return journal;
  await journal.close();
  if (!ours) {
    throw new ForgeError('refused', `${operationId} is an operation on another cluster than ${session.cluster}.`, {
      next: 'Name a node of that cluster with --seed.',
    });
  }
  throw new ForgeError('refused', `${operationId} is finished: ${result}.`);
}

/** Why nothing else may be begun: it must be finished or undone first. */
export async function otherUnfinished(state: OperationState): Promise<ForgeError> {
  const { operationId, plan, direction, operator, startedAt, lastRun } = state;
  const back = direction === 'back';
  if (await isAtWork(state)) {
    return new ForgeError(
      'locked',
      `${lastRun.operator.user}@${lastRun.operator.host} (process ${lastRun.operator.pid}) is at work since ${lastRun.startedAt}: ${plan.title}.`,
      {
        next: [
          'Wait until it is done; forge lock status tells more.',
          `Does that process do something else by now: forge resume ${operationId}, or forge rollback ${operationId}`,
        ],
        details: { operationId, operation: plan.operation, direction },
      },
    );
  }
  return new ForgeError(
    'refused',
    `An operation of ${operator.user}@${operator.host} of ${startedAt} is unfinished: ${plan.title}.`,
    {
      next: [
        ...(back ? [] : [`Finish it: forge resume ${operationId}`]),
        `${back ? 'Its rollback was begun; finish that' : 'Or undo it'}: forge rollback ${operationId}`,
      ],
      details: { operationId, operation: plan.operation, direction },
    },
  );
}

function requireFingerprint(plan: Plan, snapshot: ClusterSnapshot): void {
  if (plan.fingerprint === fingerprintOf(snapshot)) return;
  throw new ForgeError('refused', 'The cluster has changed since the plan was made.', {
    next: 'Make the plan anew: run the command again, without --plan.',
  });
}

async function underLock<Result>(
  options: RunSettings,
  plan: Plan,
  work: (lock: ClusterLock) => Promise<Result>,
): Promise<Result> {
  const { session, signal } = options;
  const owner = {
    ...session.operator,
    token: session.token,
    operation: plan.operation,
    startedAt: new Date().toISOString(),
  };
  const lock = await ClusterLock.acquire({ pool: session.pool, nodeIds: session.memberIds, owner, signal });
  try {
    return await work(lock);
  } finally {
    await lock.release();
  }
}

type Course = 'begin' | 'resume' | 'rollback';

async function carryOut(
  options: RunSettings,
  lock: ClusterLock,
  journal: Journal,
  course: Course,
  common: Pick<RunResult, 'plan' | 'planId' | 'resumed' | 'violations'>,
): Promise<RunResult> {
  const { session, paths } = options;
  const { plan } = common;
  const started = performance.now();
  const audited = {
    operationId: journal.operationId,
    operation: plan.operation,
    title: plan.title,
    operator: session.operator,
    cluster: session.cluster,
    ...(session.name === undefined ? {} : { name: session.name }),
    planId: common.planId,
  };
  const elapsedMs = () => Math.round(performance.now() - started);
  try {
    await appendAudit(paths.audit, { event: course, ...audited, steps: plan.steps.length, forced: plan.forced });
    await work(options, lock, journal, course);
    const result = course === 'rollback' ? 'rolled-back' : 'done';
    await journal.append({ type: 'end', result });
    await appendAudit(paths.audit, { event: 'end', ...audited, result, elapsedMs: elapsedMs() });
    await pruneJournals(paths.journals).catch(() => undefined);
    return { status: result, ...common, operationId: journal.operationId, elapsedMs: elapsedMs() };
  } catch (error) {
    const failure = resumable(error, journal.operationId, course);
    if (failure instanceof ForgeError) {
      const { kind, message } = failure;
      // The first failure is the one to tell, also where the disk is full and no more can be written.
      await journal.append({ type: 'failed', kind, message }).catch(() => undefined);
      const end = { event: 'end' as const, ...audited, result: 'unfinished', error: { kind, message } };
      await appendAudit(paths.audit, { ...end, elapsedMs: elapsedMs() }).catch(() => undefined);
    }
    throw failure;
  } finally {
    await journal.close().catch(() => undefined);
  }
}

async function work(options: RunSettings, lock: ClusterLock, journal: Journal, course: Course): Promise<void> {
  const { session, observer, parallel } = options;
  if (course !== 'begin') {
    const direction = course === 'rollback' ? 'back' : 'forward';
    await journal.append({ type: 'taken-up', direction, operator: session.operator });
  }
  for (const { id, address } of journal.state.plan.nodes) session.pool.learn(id, [hostPortOf(address)]);
  const signal = options.signal === undefined ? lock.signal : AbortSignal.any([options.signal, lock.signal]);
  const move = options.move ?? new MoveControl();
  const contextOf = (_: unknown, own: Pick<StepContext, 'report' | 'remember' | 'remembered' | 'signal'>) => {
    const requireLeave = async () => {
      own.signal.throwIfAborted();
      await lock.requireHeld();
    };
    const mutate: Mutate = async (nodeId, ...command) => {
      // The connection first: one that is reopened after the lock was lost must not slip through.
      const connection = await session.pool.get(nodeId);
      await requireLeave();
      await observer?.mutation?.({ node: connection.label, command: command.map(String) });
      const [name = '', ...rest] = command;
      return connection.call(String(name), ...rest);
    };
    const mutateAll: MutateAll = async (nodeId, commands, { connection, finishing = false } = {}) => {
      const taken = connection ?? (await session.pool.get(nodeId));
      await (finishing ? lock.requireHeld() : requireLeave());
      if (observer?.mutation !== undefined) {
        for (const command of commands) await observer.mutation({ node: taken.label, command: command.map(String) });
      }
      return taken.callAll(commands);
    };
    const waitMs = options.waitMs ?? WAIT_MS;
    const look = () => session.look();
    const giveWay = options.giveWay ?? (() => Promise.resolve());
    return { ...own, pool: session.pool, mutate, mutateAll, requireLeave, look, waitMs, move, giveWay };
  };
  const execution = { journal, contextOf, parallel, observer, signal };
  await atLowPriority(() => (course === 'rollback' ? unwind(execution) : execute(execution)));
  await verify(options, journal.state.plan, signal, { rolledBack: course === 'rollback' });
}

/** What was done last is still on its way through the cluster: so the nodes have a bounded time to agree on it. */
async function verify(
  { session, waitMs = WAIT_MS }: RunSettings,
  plan: Plan,
  signal: AbortSignal,
  how: { readonly rolledBack: boolean },
): Promise<void> {
  const end = performance.now() + waitMs;
  for (;;) {
    const snapshot = await session.look();
    const reasons = disorderOf(snapshot, plan, await slotJobs(session, snapshot), how);
    if (reasons.length === 0) return;
    if (performance.now() > end) throw disorderly(snapshot, reasons);
    await pause(VERIFY_LOOK_MS, signal);
  }
}

function hostPortOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** Whatever ends the work, the operator is told how to go on and how to go back. */
function resumable(error: unknown, operationId: string, course: Course): unknown {
  if (!(error instanceof ForgeError)) return error;
  const interrupted = ENDED_BY_SIGNAL.has(error.kind);
  const next =
    course === 'rollback'
      ? [`Go on undoing: forge rollback ${operationId}`]
      : [`Go on: forge resume ${operationId}, or the same command again.`, `Or go back: forge rollback ${operationId}`];
  return new ForgeError(error.kind, interrupted ? 'The operation is finished only in part.' : error.message, {
    host: error.host,
    next: [...error.next, ...next],
    details: { ...error.details, operationId },
    cause: error,
  });
}

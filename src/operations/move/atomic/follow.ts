/** Looks at one job until it has ended, or ends it: bounded, whatever the nodes do. */
import { pause } from '../../../cluster/bounded.js';
import { countSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { causeOf } from './explain.js';
import type { SlotJob } from './job.js';
import type { Jobs } from './jobs.js';

/** Between two looks: a tenth of the time that has passed, so that short jobs are short and long ones cost little. */
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 250;
const LOOK_SHARE = 0.1;
/** How often the node at the other end is asked whether it lives. */
const OTHER_LOOK_MS = 1_000;
/** Interrupted, a job that is nearly done may end; then it is cancelled. */
export const FINISH_MS = 3_000;
/** How long a cancelled job may take to say so. */
const CANCEL_MS = 3_000;
/** A job that is slower than this is not worth waiting for: something is wrong. */
const BYTES_PER_SECOND_MIN = 1024 * 1024;
/** Redis begins a failed job anew every second, for ever. */
const RETRIES_MAX = 3;
const SECOND_MS = 1_000;

export interface JobEnd {
  /** As it was seen last; undefined when the node does not know it any more (it was restarted). */
  readonly job: SlotJob | undefined;
  /** Why it was cancelled from here. */
  readonly gaveUp?: unknown;
}

/**
 * @param bytes what the job moves, about
 * @throws ForgeError `unreachable` when the node that was told does not answer for `waitMs`; the signal's reason when the
 *   lock was lost, with the job left to whoever has it now
 */
export async function follow(
  context: StepContext,
  jobs: Jobs,
  told: NodeRef,
  job: SlotJob,
  bytes: number,
): Promise<JobEnd> {
  const started = performance.now();
  const other = told.id === jobs.move.source.id ? jobs.move.target : jobs.move.source;
  const latestMs = context.waitMs + (bytes / BYTES_PER_SECOND_MIN) * SECOND_MS;
  const since = { pulse: started, told: started, other: started, otherAsked: started };
  let last = job;
  let interruptedAt: number | undefined;
  for (;;) {
    if (context.signal.aborted) {
      if (isLockLost(context.signal)) throw context.signal.reason;
      interruptedAt ??= performance.now();
    }
    const current = await jobs.find(told.id, job.id).catch(expected);
    const now = performance.now();
    if (current === undefined) return { job: undefined };
    if (current instanceof ForgeError) {
      if (interruptedAt !== undefined && now - interruptedAt > FINISH_MS) throw context.signal.reason;
      if (now - since.told > context.waitMs) throw silent(told, job, current);
    } else {
      since.told = now;
      if (current.phase !== 'running') return { job: current };
      if (current.pulse !== last.pulse) since.pulse = now;
      last = current;
      if (interruptedAt === undefined && now - since.otherAsked > OTHER_LOOK_MS) {
        since.otherAsked = now;
        const heard = await jobs.list(other.id).catch(expected);
        if (!(heard instanceof ForgeError)) since.other = performance.now();
      }
      const gaveUp = reasonToEnd(current, { now, started, latestMs, since, interruptedAt, context, other });
      if (gaveUp !== undefined) return { job: await end(context, jobs, told, current), gaveUp };
    }
    await pause(Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, (now - started) * LOOK_SHARE)));
  }
}

interface Course {
  readonly now: number;
  readonly started: number;
  readonly latestMs: number;
  readonly since: { readonly pulse: number; readonly other: number };
  readonly interruptedAt: number | undefined;
  readonly context: StepContext;
  readonly other: NodeRef;
}

function reasonToEnd(job: SlotJob, course: Course): unknown {
  const { now, started, latestMs, since, interruptedAt, context, other } = course;
  if (interruptedAt !== undefined) {
    return now - interruptedAt > FINISH_MS ? context.signal.reason : undefined;
  }
  if (job.state === 'failed' && (job.retries >= RETRIES_MAX || !causeOf(job.message).again)) {
    return new ForgeError('refused', job.message, { details: { server: job.message } });
  }
  if (now - since.other > context.waitMs) {
    return new ForgeError('unreachable', `${other.address} has not answered for ${context.waitMs} ms.`, {
      host: other.address,
      next: 'Check that it runs and is not overloaded, then run the same command again.',
    });
  }
  const stillMs = now - since.pulse;
  if (now - started > latestMs || (jobHasPulse(job) && stillMs > context.waitMs)) {
    return new ForgeError(
      'timeout',
      `The job that moves ${countSlots(job.slots)} slots does not get on: ${job.state} for ${Math.round(stillMs)} ms.`,
      {
        host: other.address,
        next: 'Check the load and the logs of both nodes, then run the same command again; --timeout waits longer.',
      },
    );
  }
  return undefined;
}

/** Whether the server tells, in every state, when it last heard from the other end. */
function jobHasPulse({ direction }: SlotJob): boolean {
  return direction === 'export';
}

async function end(context: StepContext, jobs: Jobs, told: NodeRef, job: SlotJob): Promise<SlotJob | undefined> {
  const until = performance.now() + CANCEL_MS;
  let cancelled: boolean | ForgeError = false;
  for (;;) {
    if (cancelled !== true) cancelled = await jobs.cancel(told.id, job).catch(expected);
    const current = await jobs.find(told.id, job.id).catch(expected);
    if (current === undefined) return undefined;
    if (!(current instanceof ForgeError) && current.phase !== 'running') return current;
    if (performance.now() > until) throw runsOn(told, job, context.signal);
    await pause(LOOK_MAX_MS);
  }
}

function runsOn(told: NodeRef, { id, slots }: SlotJob, signal: AbortSignal): ForgeError {
  const interrupted = signal.reason instanceof ForgeError ? signal.reason.kind : undefined;
  return new ForgeError(
    interrupted ?? 'partial',
    `${told.address} still moves ${countSlots(slots)} slots by itself (job ${id}), and was not to be stopped from here.`,
    { host: told.address, next: 'Run the same command again: it waits for the job and goes on.' },
  );
}

function silent(told: NodeRef, { id }: SlotJob, cause: ForgeError): ForgeError {
  return new ForgeError('unreachable', `${told.address} does not answer while it moves slots (job ${id}).`, {
    host: told.address,
    next: [
      'Until the job has ended there, the slots are where they were; nothing is left open.',
      'When the node is back, or its replica has taken over, run the same command again.',
    ],
    cause,
  });
}

export function isLockLost(signal: AbortSignal): boolean {
  return signal.reason instanceof ForgeError && signal.reason.kind === 'locked';
}

/** Failures of nodes are answers here; everything else is a fault of the program. */
export function expected(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error;
  throw error;
}

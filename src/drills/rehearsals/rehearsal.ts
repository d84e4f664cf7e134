/** A rehearsal: what is done to a cluster on purpose, under clients that check everything, and how it is put back. */
import { pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import type { WorkloadOptions } from '../checking-workload.js';
import { type DrillEvent, type DrillReport, runDrill, type Tell } from '../drill.js';
import type { Endpoint } from '../link/link.js';
import type { Bounds, Line } from '../verdict.js';

export interface Rehearsal {
  /** Words for operators: `planned failover of every master`. */
  readonly name: string;
  /** What will be done, in its order. */
  readonly does: readonly string[];
  /** What clients may see of it. */
  readonly clients: string;
  /** How it is undone, should it be left in the middle. */
  readonly undo: string;
  /** What it must show when nobody asks for something else. */
  readonly bounds: Bounds;
  disturb(tell: Tell, signal: AbortSignal): Promise<void>;
  /** Resolves when the cluster is as it should be. @throws ForgeError `timeout` */
  recover(signal: AbortSignal): Promise<void>;
  /**
   * Puts everything back, as far as it is not: after Ctrl-C, or when something has failed. It tells what it does.
   * @param signal aborted when it has taken too long
   */
  restore(tell: Tell, signal: AbortSignal): Promise<void>;
  /** What it has found itself, besides the clients. */
  lines?(): readonly Line[];
}

export interface RehearseOptions {
  readonly endpoint: Endpoint;
  readonly beside?: Endpoint;
  readonly workload: WorkloadOptions;
  /** In place of the rehearsal's own. */
  readonly bounds?: Bounds;
  /** How long clients are watched before anything happens, and after it, milliseconds. */
  readonly calmMs: number;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: DrillEvent) => void;
  /** Told what there is of the report when the rehearsal has failed, or was ended. */
  readonly onFailure?: (report: DrillReport) => void;
}

/** How long putting back may take: a slot that moves, a node that loads its data. */
export const RESTORE_MS = 90_000;
/** Clients that were there at the moment of a failure have this long to see that all is well again. */
const AFTER_RESTORE_MS = 500;

/**
 * Runs it. Whatever ends it before its time, the cluster is put back before the clients look at everything once more.
 * @throws what the rehearsal throws, after `restore`
 */
export async function rehearse(rehearsal: Rehearsal, options: RehearseOptions): Promise<DrillReport> {
  const { endpoint, beside, workload, calmMs, signal, onEvent, onFailure } = options;
  let begun = false;
  let tellLater: Tell = () => undefined;
  const restored = async (error: unknown): Promise<never> => {
    tellLater(signal.aborted ? 'ended before its time: putting everything back' : 'failed: putting everything back');
    await putBack(rehearsal, tellLater, error);
    tellLater('everything is put back');
    await pause(AFTER_RESTORE_MS);
    throw afterPutBack(error, signal.aborted);
  };
  const report = await runDrill({
    name: rehearsal.name,
    endpoint,
    ...(beside === undefined ? {} : { beside }),
    workload,
    disturb: async (tell, within) => {
      begun = true;
      tellLater = tell;
      await rehearsal.disturb(tell, within).catch(restored);
    },
    recover: (within) => rehearsal.recover(within).catch(restored),
    bounds: { ...rehearsal.bounds, ...options.bounds },
    calmMs,
    signal,
    ...(onEvent === undefined ? {} : { onEvent }),
    // Before anything has happened there is nothing to tell.
    onFailure: (failed) => begun && onFailure?.(failed),
  });
  return withLines(report, rehearsal.lines?.() ?? []);
}

/** What an operation said of how to go on, or back, holds no longer. Pure. */
export function afterPutBack(error: unknown, ended: boolean): unknown {
  if (!(error instanceof ForgeError)) return error;
  const { kind, message, host, next, details } = error;
  if (ended) {
    return new ForgeError(kind, 'The drill was ended before its time, and everything is put back.', { cause: error });
  }
  return new ForgeError(kind, `${message} Everything is put back.`, {
    host,
    next: next.filter((line) => !/\bforge (resume|rollback)\b/.test(line)),
    details,
    cause: error,
  });
}

/** @throws ForgeError when it cannot be put back, with why that was to be done */
async function putBack(rehearsal: Rehearsal, tell: Tell, why: unknown): Promise<void> {
  const limit = new AbortController();
  const late = new ForgeError('timeout', `It takes longer than ${RESTORE_MS / 1_000} s.`);
  const timer = setTimeout(() => limit.abort(late), RESTORE_MS);
  try {
    await rehearsal.restore(tell, limit.signal);
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    const first =
      why instanceof ForgeError && why.kind !== 'interrupted' && why.kind !== 'terminated' ? why : undefined;
    const words = `Not everything could be put back: ${error.message}`;
    throw new ForgeError(error.kind, first === undefined ? words : `${first.message} ${words}`, {
      host: error.host,
      next: [
        ...error.next,
        'Look at the cluster: forge cluster check. What an operation has left in the middle: forge resume.',
      ],
      cause: why,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** The verdict with what the rehearsal itself has found. Pure. */
export function withLines(report: DrillReport, more: readonly Line[]): DrillReport {
  if (more.length === 0) return report;
  const lines = [...report.verdict.lines, ...more];
  return { ...report, verdict: { passed: report.verdict.passed && more.every(({ holds }) => holds), lines } };
}

/** Runs the steps of a smoke test: bounded, to the end where that makes sense, and never without cleaning up. */

import { formatDuration } from '../config/duration.js';
import { ForgeError } from '../errors.js';
import type { SmokeClient } from './client.js';
import { SmokeKeys } from './keys.js';
import { SMOKE_STEPS } from './steps/index.js';
import {
  DEFAULT_TIMEOUT_MS,
  type SmokeContext,
  type SmokeOptions,
  type SmokeReport,
  type SmokeStep,
  type StepResult,
} from './types.js';

/** The share of the whole time that is kept for cleaning up, and its bound. */
const CLEAN_UP_SHARE = 0.2;
const CLEAN_UP_MAX_MS = 2_000;
/** Keys outlive the longest possible run by this much, then go away by themselves. */
const TTL_MARGIN_S = 30;

/** After one of these the next steps would only fail in the same way. */
const ENDING_KINDS = new Set<string>(['unreachable', 'timeout', 'interrupted', 'terminated', 'unexpected']);

/** One step as somebody sees it who shows the progress. */
export interface RunnableStep {
  title: string;
  /** Runs the step and keeps its result. @throws ForgeError when it fails */
  run: () => Promise<StepResult>;
  /** Why the step is not run, decided when its turn comes. */
  skip: () => string | false;
}

/** One run. Its steps are to be run in order, whether or not one before failed; then `report` tells. */
export class SmokeRun {
  readonly steps: readonly RunnableStep[];
  readonly #context: SmokeContext;
  readonly #results: StepResult[] = [];
  readonly #startedAt = new Date();
  readonly #started = performance.now();
  readonly #deadline = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #cleanUpMs: number;
  #ending: string | undefined;

  constructor(options: SmokeOptions) {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#cleanUpMs = Math.min(CLEAN_UP_MAX_MS, timeoutMs * CLEAN_UP_SHARE);
    this.#timer = setTimeout(() => this.#deadline.abort(overdue(options, timeoutMs)), timeoutMs - this.#cleanUpMs);
    const signals = [this.#deadline.signal, ...(options.signal === undefined ? [] : [options.signal])];
    this.#context = {
      options,
      target: { host: options.host, port: options.port },
      keys: new SmokeKeys(Math.ceil(timeoutMs / 1_000) + TTL_MARGIN_S),
      signal: AbortSignal.any(signals),
    };
    this.steps = [
      ...SMOKE_STEPS.map((step) => ({
        title: step.title,
        run: () => this.#runStep(step),
        skip: () => this.#skipStep(step),
      })),
      { title: 'Clean up', run: () => this.#cleanUp(), skip: () => this.#skipCleanUp() },
    ];
  }

  /** What was found so far. Ends the run: connections are closed. */
  finish(): SmokeReport {
    clearTimeout(this.#timer);
    this.#context.client?.close();
    return {
      target: this.#context.target,
      passed: this.#results.every(({ status }) => status !== 'failed'),
      startedAt: this.#startedAt.toISOString(),
      durationMs: Math.round(performance.now() - this.#started),
      steps: this.#results,
    };
  }

  #skipStep(step: SmokeStep): string | false {
    const reason = this.#ending ?? step.skip?.(this.#context) ?? false;
    if (reason !== false) this.#results.push(skipped(step.name, step.title, reason));
    return reason;
  }

  async #runStep(step: SmokeStep): Promise<StepResult> {
    const context = this.#context as SmokeContext & { client: SmokeClient };
    return await this.#record(step.name, step.title, () => orAborted(step.run(context), context.signal));
  }

  #skipCleanUp(): string | false {
    const reason = this.#context.keys.written.length === 0 ? 'nothing was written' : false;
    if (reason !== false) this.#results.push(skipped('clean-up', 'Clean up', reason));
    return reason;
  }

  async #cleanUp(): Promise<StepResult> {
    const { client, keys } = this.#context;
    client?.halt();
    const { written, ttlS } = keys;
    const bound = AbortSignal.timeout(this.#cleanUpMs);
    return await this.#record('clean-up', 'Clean up', async () => {
      try {
        // What failed before may leave keys that expire by themselves; all others are deleted here.
        const replies = written.map(({ slot, name }) => client?.remove(slot, name));
        await orAborted(Promise.all(replies), bound);
      } catch (cause) {
        const kind = cause instanceof ForgeError ? cause.kind : 'timeout';
        const why = cause instanceof ForgeError ? cause.message : `not within ${this.#cleanUpMs} ms`;
        throw new ForgeError(kind, `The test's keys were not all deleted: ${why}`, {
          next: `Nothing to do: they expire within ${ttlS} seconds.`,
          cause,
        });
      }
      return { summary: `${written.length} keys deleted`, data: { keys: written.length } };
    });
  }

  async #record(name: string, title: string, work: () => Promise<Pick<StepResult, 'summary' | 'data'>>) {
    const started = performance.now();
    const done = (rest: Pick<StepResult, 'status' | 'summary' | 'data' | 'error'>): StepResult => {
      const result = { name, title, durationMs: Math.round(performance.now() - started), ...rest };
      this.#results.push(result);
      return result;
    };
    try {
      return done({ status: 'passed', ...(await work()) });
    } catch (thrown) {
      const error = asForgeError(thrown);
      if (name === 'connect' || name === 'cluster' || ENDING_KINDS.has(error.kind)) {
        this.#ending ??= `not run: "${title}" failed`;
      }
      done({ status: 'failed', summary: error.message, data: error.details, error });
      throw error;
    }
  }
}

/** Runs all steps without showing them. Never throws for what it finds: the report tells. */
export async function runSmokeTest(options: SmokeOptions): Promise<SmokeReport> {
  const run = new SmokeRun(options);
  for (const step of run.steps) {
    if (step.skip() === false) await step.run().catch(() => {});
  }
  return run.finish();
}

/** The failure to exit with: the first step's that failed; undefined when all passed. */
export function smokeFailure(report: SmokeReport): ForgeError | undefined {
  const failed = report.steps.filter(({ status }) => status === 'failed');
  const first = failed[0];
  if (first?.error === undefined) return undefined;
  const { kind, host, next, message } = first.error;
  const more = failed.length > 1 ? ` (${failed.length - 1} more failed)` : '';
  return new ForgeError(kind, `Smoke test: "${first.title}" failed${more}: ${message}`, {
    host: host ?? `${report.target.host}:${report.target.port}`,
    next,
    cause: first.error,
    details: { report },
  });
}

function skipped(name: string, title: string, reason: string): StepResult {
  return { name, title, status: 'skipped', durationMs: 0, summary: reason };
}

function overdue({ host, port }: SmokeOptions, timeoutMs: number): ForgeError {
  return new ForgeError('timeout', `It did not finish within ${formatDuration(timeoutMs)}.`, {
    host: `${host}:${port}`,
    next: 'Check whether a server hangs, or give it more time with --timeout.',
  });
}

/** The work's result, or the signal's reason as soon as it is aborted; the work is then left to end by itself. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function asForgeError(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ForgeError('unexpected', `Unexpected failure: ${message}`, { cause: error });
}

/** One rehearsal: clients at work, something happens to the cluster, and what they lived through is judged. */
import { pause } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import { Workload, type WorkloadOptions, type WorkloadReport } from './checking-workload.js';
import type { Endpoint } from './link/link.js';
import { type Bounds, judge, type Verdict } from './verdict.js';

/** Before something happens, and after it: what is usual. */
export const CALM_MS = 2_000;
/** A drill that is not over by then has failed. */
export const DRILL_MS = 10 * 60_000;

export interface DrillEvent {
  /** Milliseconds from the beginning of the workload on. */
  readonly atMs: number;
  readonly text: string;
  /** At this moment everything ended that had not yet reached a disk. */
  readonly cut?: true;
}

/** @param kind `cut` for the moment at which everything ended that had not yet reached a disk */
export type Tell = (text: string, kind?: 'cut') => void;

export interface DrillOptions {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** A client that knows the cluster itself, at the same work at the same time. */
  readonly beside?: Endpoint;
  readonly workload?: WorkloadOptions;
  /** What happens; it tells each step at the moment of it. */
  readonly disturb: (tell: Tell, signal: AbortSignal) => Promise<void>;
  /** Resolves when the cluster is whole again; what clients do until then counts. */
  readonly recover?: (signal: AbortSignal) => Promise<void>;
  readonly bounds: Bounds;
  readonly calmMs?: number;
  readonly signal: AbortSignal;
  /** Told each event at the moment of it. */
  readonly onEvent?: (event: DrillEvent) => void;
  /** Told what clients lived through when `disturb` or `recover` has failed, before that is thrown. */
  readonly onFailure?: (report: DrillReport) => void;
}

export interface DrillReport {
  readonly name: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly events: readonly DrillEvent[];
  readonly clients: WorkloadReport;
  readonly beside?: WorkloadReport;
  readonly verdict: Verdict;
}

/** @throws what `disturb` and `recover` throw, after the clients were ended; ForgeError `timeout` */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { name, endpoint, workload = {}, bounds, calmMs = CALM_MS } = options;
  const startedAt = new Date().toISOString();
  const late = new ForgeError('timeout', `The drill ${name} is not over after ${DRILL_MS / 60_000} minutes.`, {
    next: 'Look at the cluster: forge cluster check.',
  });
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(late), DRILL_MS);
  const signal = AbortSignal.any([options.signal, limit.signal]);
  const events: DrillEvent[] = [];
  const clients = await Workload.start(endpoint, workload);
  // Order of messages cannot be expected of it.
  const beside = options.beside && (await Workload.start(options.beside, { ...workload, channels: 0 }));
  const tell: Tell = (text, kind) => {
    const atMs = performance.now() - clients.startedMs;
    const event: DrillEvent = { atMs, text, ...(kind === 'cut' ? { cut: true } : {}) };
    events.push(event);
    options.onEvent?.(event);
  };
  let failure: { error: unknown } | undefined;
  try {
    await Promise.all([clients.warm(signal), beside?.warm(signal)]);
    await pause(calmMs, signal);
    clients.countPauses();
    beside?.countPauses();
    await options.disturb(tell, signal);
    await options.recover?.(signal);
    tell('whole again');
    await pause(calmMs, signal);
  } catch (error) {
    failure = { error };
  } finally {
    clearTimeout(timer);
  }
  const [report, other] = await Promise.all([clients.stop(), beside?.stop()]);
  const cuts = events.filter(({ cut }) => cut).map(({ atMs }) => atMs);
  const verdict = judge(report, bounds, other, cuts);
  const whole = {
    name,
    startedAt,
    events,
    clients: report,
    ...(other === undefined ? {} : { beside: other }),
    verdict,
  };
  if (failure === undefined) return whole;
  options.onFailure?.({ ...whole, verdict: { ...verdict, passed: false } });
  throw failure.error;
}

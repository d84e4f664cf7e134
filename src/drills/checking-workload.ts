/**
 * The checking workload: clients that do what applications do, each in a way that lets it know what the answer must be.
 * What was acknowledged is looked for, again at the end, one by one.
 */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pause } from '../cluster/bounded.js';
import { type Finding, type FindingKind, Findings } from './check/findings.js';
import type { Endpoint } from './link/link.js';
import { Meter, type Pause, type Second } from './meter.js';
import { DrillClient } from './probe/client.js';
import { ChannelProbe, QueueProbe } from './probe/listeners.js';
import type { Probe, ProbeOptions } from './probe/probe.js';
import { ReaderProbe } from './probe/readers.js';
import { CounterProbe, LogProbe, PairProbe, RegisterProbe } from './probe/writers.js';

export interface WorkloadOptions {
  /** So many of each. */
  readonly registers?: number;
  readonly counters?: number;
  readonly logs?: number;
  readonly pairs?: number;
  readonly channels?: number;
  readonly queues?: number;
  readonly readers?: number;
  /** Commands that a reader sends at once. */
  readonly pipeline?: number;
  /** Between two commands of one client, milliseconds; 0 loads the machine as far as it goes. */
  readonly pauseMs?: number;
  /** Writes are acknowledged when so many replicas have them. */
  readonly replicas?: number;
}

export const CLIENTS_MAX = 1_000;
const DEFAULTS = {
  registers: 8,
  counters: 8,
  logs: 4,
  pairs: 4,
  channels: 4,
  queues: 4,
  readers: 4,
  pipeline: 10,
  pauseMs: 5,
  replicas: 0,
} as const;
const DELETED_AT_ONCE = 100;
/** A busy machine needs seconds to connect a crowd of clients that know the cluster. */
const WARM_MS = 15_000;
const WARM_POLL_MS = 20;

export interface WorkloadReport {
  readonly endpoint: string;
  readonly durationMs: number;
  readonly operations: number;
  /** By kind. */
  readonly errors: Readonly<Record<string, number>>;
  readonly errorExamples: Readonly<Record<string, string>>;
  readonly findings: Readonly<Partial<Record<FindingKind, number>>>;
  readonly examples: readonly Finding[];
  readonly wrong: number;
  readonly losses: number;
  /** Messages that were heard after later ones. */
  readonly late: number;
  /** Messages that were heard again, after later ones. */
  readonly repeats: number;
  /** Of what was stored: without messages. */
  readonly storedLosses: number;
  /** When what is lost of what was stored had been acknowledged, where that is known, milliseconds from the beginning on. */
  readonly lossTimes: readonly number[];
  /** When messages that were missed had been answered, in the same way. */
  readonly missTimes: readonly number[];
  /** Keys that could not be looked at once more. */
  readonly unchecked: number;
  readonly longestPause: Pause;
  readonly seconds: readonly Second[];
  /** Milliseconds, of all. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  /** The longest time in which this process itself stood still, milliseconds: what is no longer proves nothing. */
  readonly ownPauseMs: number;
}

export class Workload {
  readonly #endpoint: Endpoint;
  readonly #probes: Probe[];
  readonly #running: Promise<void>[];
  readonly #meter: Meter;
  readonly #findings: Findings;
  readonly #startedMs: number;
  readonly #delay = monitorEventLoopDelay({ resolution: 1 });

  private constructor(
    endpoint: Endpoint,
    { probes, meter, findings }: { probes: Probe[]; meter: Meter; findings: Findings },
  ) {
    this.#endpoint = endpoint;
    this.#probes = probes;
    this.#meter = meter;
    this.#findings = findings;
    this.#startedMs = performance.now();
    this.#delay.enable();
    this.#running = probes.map((probe) => probe.run());
  }

  /** Returns once what readers read is written, and all clients are at work. */
  static async start(endpoint: Endpoint, options: WorkloadOptions = {}): Promise<Workload> {
    const settings = { ...DEFAULTS, ...options };
    const { registers, counters, logs, pairs, channels, queues, readers, pipeline, pauseMs, replicas } = settings;
    if (registers + counters + logs + pairs + channels + queues + readers > CLIENTS_MAX) {
      throw new RangeError(`more than ${CLIENTS_MAX} clients`);
    }
    const findings = new Findings();
    const prefix = `forge-drill:${randomBytes(4).toString('hex')}:`;
    const preparing = new Meter(performance.now());
    const about = (meter: Meter, index: number): ProbeOptions => {
      return { endpoint, meter, findings, prefix, index, pauseMs, replicas };
    };
    const writer = Array.from({ length: readers }, (_, index) => new ReaderProbe(about(preparing, index), pipeline));
    await Promise.all(writer.map((probe) => probe.prepare()));
    for (const probe of writer) probe.close();
    const meter = new Meter(performance.now());
    const many = (count: number, make: (options: ProbeOptions) => Probe) =>
      Array.from({ length: count }, (_, index) => make(about(meter, index)));
    const probes = [
      ...many(registers, (each) => new RegisterProbe(each)),
      ...many(counters, (each) => new CounterProbe(each)),
      ...many(logs, (each) => new LogProbe(each)),
      ...many(pairs, (each) => new PairProbe(each)),
      ...many(channels, (each) => new ChannelProbe(each)),
      ...many(queues, (each) => new QueueProbe(each)),
      ...many(readers, (each) => new ReaderProbe(each, pipeline)),
    ];
    return new Workload(endpoint, { probes, meter, findings });
  }

  /** Waits until every client has been served once, for WARM_MS at most: what is wrong shows later. */
  async warm(signal: AbortSignal): Promise<void> {
    const until = performance.now() + WARM_MS;
    while (this.#meter.newcomers > 0 && performance.now() < until) await pause(WARM_POLL_MS, signal);
  }

  /** Pauses, of clients and of this process, count from now on. */
  countPauses(): void {
    this.#meter.forgetPauses(performance.now());
    this.#delay.reset();
  }

  get operations(): number {
    return this.#meter.operations;
  }

  /** By the clock of `performance.now()`. */
  get startedMs(): number {
    return this.#startedMs;
  }

  /** Ends all clients, looks at everything once more, and takes away what was written. */
  async stop(): Promise<WorkloadReport> {
    const stopped = performance.now();
    for (const probe of this.#probes) probe.stop();
    await Promise.all(this.#running);
    const seconds = this.#meter.seconds();
    const total = this.#meter.total();
    const about = {
      endpoint: this.#endpoint.label,
      durationMs: stopped - this.#startedMs,
      operations: this.#meter.operations,
      errors: this.#meter.errors,
      errorExamples: this.#meter.errorExamples,
      longestPause: this.#meter.longestPause(performance.now()),
      ownPauseMs: this.#delay.max / 1e6,
    };
    this.#delay.disable();
    await Promise.all(this.#probes.map((probe) => probe.settle()));
    for (const probe of this.#probes) probe.close();
    await this.#cleanUp();
    const at = (part: number) => total.percentile(part) / 1_000;
    return {
      ...about,
      findings: this.#findings.counts,
      examples: this.#findings.examples,
      wrong: this.#findings.wrong,
      losses: this.#findings.losses,
      late: this.#findings.late,
      repeats: this.#findings.repeats,
      storedLosses: this.#findings.storedLosses,
      lossTimes: this.#findings.lossTimes.map((time) => time - this.#startedMs),
      missTimes: this.#findings.missTimes.map((time) => time - this.#startedMs),
      unchecked: this.#probes.reduce((sum, { unchecked }) => sum + unchecked, 0),
      seconds,
      latency: { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: total.max / 1_000 },
    };
  }

  async #cleanUp(): Promise<void> {
    const meter = new Meter(performance.now());
    const client = new DrillClient('cleaner', { endpoint: this.#endpoint, meter, findings: this.#findings });
    const keys = this.#probes.flatMap((probe) => probe.keys);
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
      await client.do(keys.slice(at, at + DELETED_AT_ONCE).map((key) => ['UNLINK', key]));
    }
    client.close();
  }
}

import { Ledger, ledgerBytes } from '../engine/admission/ledger.js';
import { DEPARTED } from '../engine/core/departed.js';
import { DEFAULT_WORKER_LIMITS, type Limits } from '../engine/core/limits.js';
import type { HostFailures } from '../engine/core/runtime.js';
import type { WorkerSettings } from '../engine/core/settings.js';
import { Counter } from '../engine/stats.js';
import type { Recorded } from '../engine/trace/settings.js';
import { ListenError } from './addresses.js';
import { DEATHS_MAX, DEATHS_WINDOW_MS, Deaths } from './deaths.js';
import type { DrainTimes } from './draining.js';
import type { Logger } from './logger.js';
import {
  type AdoptMessage,
  type AskedMessage,
  type ClusterMessage,
  type ClusterStart,
  type CommandsMessage,
  type FromWorker,
  type LaneReport,
  type ListenerTls,
  type LogLevel,
  NOWHERE,
  type ToWorker,
  type WorkerAddress,
  type WorkerStart,
} from './messages.js';
import { WorkerRelay } from './relay.js';
import { sharedMemory } from './shared-memory.js';
import { closeOrphans } from './sockets/orphans.js';
import { resetGauges } from './statistics.js';

/** A worker answers a question about its state within this time, or is left out. */
const REPORT_TIMEOUT_MS = 500;
/** A worker says that it listens within this time. */
const START_TIMEOUT_MS = 10_000;

export { ListenError };

/** What the workers serve by; another one after a reload. */
export interface Serving {
  readonly settings: Omit<WorkerSettings, 'worker' | 'workers'>;
  /** Bounds that are not the default ones. */
  readonly limits: Partial<Limits>;
  readonly clusters: readonly ClusterStart[];
  readonly tls: ListenerTls;
  readonly logLevel: LogLevel;
}

export interface WorkersOptions {
  readonly count: number;
  readonly serving: Serving;
  /** Where one worker accepts clients; asked for each. */
  addresses(): readonly WorkerAddress[];
  /** Bytes of one worker's statistics. */
  readonly statsBytes: number;
  readonly logger: Logger;
  onRefresh(cluster: number): void;
  /** Hosts of a cluster have failed; for outlier detection. */
  /** A worker has recorded commands. */
  onRecorded(batch: Recorded): void;
  onHostsFailed(cluster: number, hosts: readonly HostFailures[]): void;
  /** What a worker that comes in place of another must be told beyond what it serves by. */
  history(): Iterable<ClusterMessage | CommandsMessage>;
  /** So many workers have ended by themselves that the process should, too. */
  onHopeless(reason: string): void;
}

/** The threads that serve clients. */
export class Workers {
  /** The workers' statistics, each in memory that it shares. */
  readonly stats: readonly SharedArrayBuffer[];
  readonly deaths = new Deaths();
  /** What the workers count together. */
  readonly ledger: Ledger;
  private readonly ledgerMemory: SharedArrayBuffer;
  private serving: Serving;
  /** By their numbers; one that has died and is not replaced yet is missing. */
  private readonly workers: (Worker | undefined)[] = [];
  private readonly relay = new WorkerRelay(this.workers);
  private readonly reports = new Map<number, (lanes: readonly LaneReport[]) => void>();
  private nextReport = 0;
  private readonly drained = new Set<number>();
  /** Workers whose connections are the system's own. */
  private readonly adopting = new Set<number>();
  private onDrained: (() => void) | null = null;
  private readonly closed = new Set<number>();
  private onClosed: (() => void) | null = null;

  constructor(private readonly options: WorkersOptions) {
    this.serving = options.serving;
    this.ledgerMemory = sharedMemory(ledgerBytes(options.count));
    this.ledger = new Ledger(this.ledgerMemory, options.count);
    this.stats = Array.from({ length: options.count }, () => sharedMemory(options.statsBytes));
  }

  get count(): number {
    return this.options.count;
  }

  /** Starts all workers; rejects when one cannot listen. */
  async start(): Promise<void> {
    const started: Promise<void>[] = [];
    for (let i = 0; i < this.options.count; i++) started.push(this.startOne(i));
    await Promise.all(started);
  }

  /** Has all workers serve by something else from their next event on. */
  configure(serving: Serving): void {
    this.serving = serving;
    this.workers.forEach((worker, index) => {
      worker?.postMessage({ type: 'configure', ...this.servingOf(index) });
    });
  }

  setLogLevel(logLevel: LogLevel): void {
    this.configure({ ...this.serving, logLevel });
  }

  private servingOf(index: number) {
    const { settings, limits, clusters, tls, logLevel } = this.serving;
    return {
      settings: {
        ...settings,
        worker: index,
        workers: this.options.count,
        shared: { memory: this.ledgerMemory, nowMs: performance.now() },
      },
      limits: { ...DEFAULT_WORKER_LIMITS, ...limits },
      clusters,
      tls,
      logLevel,
    };
  }

  private startOne(index: number): Promise<void> {
    const { options } = this;
    const worker = new Worker(new URL('./worker.ts', import.meta.url).href);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`worker ${index} did not start`));
        worker.terminate();
      }, START_TIMEOUT_MS);
      let reason = '';
      let descriptor = -1;
      worker.onmessage = (event: MessageEvent<FromWorker>) => {
        const message = event.data;
        switch (message.type) {
          case 'loaded': {
            const stats = new Float64Array(this.stats[index] as SharedArrayBuffer);
            const start: WorkerStart = {
              type: 'start',
              ...this.servingOf(index),
              addresses: options.addresses(),
              stats: this.stats,
              firstClient: stats[Counter.downstream_cx_total] as number,
            };
            worker.postMessage(start);
            // What is broadcast from here on comes after the start.
            this.workers[index] = worker;
            for (const told of options.history()) worker.postMessage(told);
            break;
          }
          case 'listening':
            clearTimeout(timer);
            descriptor = message.descriptor;
            if (descriptor >= 0) this.adopting.add(index);
            resolve();
            break;
          case 'listen-failed':
            clearTimeout(timer);
            reject(new ListenError(message.reason, message.inUse));
            break;
          default:
            this.hear(index, message);
        }
      };
      worker.onerror = (event) => {
        reason = event.message;
      };
      worker.addEventListener('close', () => {
        closeOrphans(descriptor);
        clearTimeout(timer);
        const started = this.workers[index] === worker;
        reject(new Error(reason === '' ? `worker ${index} ended` : reason));
        if (started) this.died(index, reason);
      });
    });
  }

  /** A worker has ended by itself, and its clients' connections with it: another one takes its place. */
  private died(index: number, said: string): void {
    const { logger } = this.options;
    this.workers[index] = undefined;
    resetGauges(this.stats[index] as SharedArrayBuffer, this.serving.clusters);
    this.ledger.clear(index);
    const reason = lastLine(said);
    this.broadcast({ type: 'asked', kind: DEPARTED, payload: index });
    this.drainedBy(index);
    this.closedBy(index);
    // What accepts nobody any more is not made anew.
    if (this.onDrained !== null || this.onClosed !== null) return;
    const delayMs = this.deaths.note(performance.now());
    if (delayMs === null) {
      logger.error(`worker ${index} ended`, { reason });
      this.options.onHopeless(`workers ended more than ${DEATHS_MAX} times in ${DEATHS_WINDOW_MS / 1000} s: ${reason}`);
      return;
    }
    logger.error(`worker ${index} ended; its clients were disconnected, another one takes its place`, { reason });
    setTimeout(() => {
      this.startOne(index).then(
        () => logger.info(`worker ${index} listens again`),
        (error: Error) => {
          logger.error(`worker ${index} cannot be replaced`, { reason: error.message });
          if (this.workers[index] === undefined) this.died(index, error.message);
        },
      );
    }, delayMs);
  }

  private hear(worker: number, message: FromWorker): void {
    switch (message.type) {
      case 'refresh':
        this.options.onRefresh(message.cluster);
        break;
      case 'hosts-failed':
        this.options.onHostsFailed(message.cluster, message.hosts);
        break;
      case 'recorded':
        this.options.onRecorded(message.batch);
        this.workers[worker]?.postMessage({ type: 'recorded-taken' });
        break;
      case 'log':
        this.options.logger.log(message.level, message.message, message.fields);
        break;
      case 'report':
        this.reports.get(message.id)?.(message.lanes);
        break;
      case 'ask':
        this.relay.ask(worker, message.id, message.kind, message.payload);
        break;
      case 'answer':
        this.relay.answered(message.id, message.answer);
        break;
      case 'accepts-nobody':
        this.closedBy(worker);
        break;
      case 'drained':
        this.drainedBy(worker);
    }
  }

  send(message: ClusterMessage | CommandsMessage | AskedMessage): void {
    this.broadcast(message);
  }

  private broadcast(message: ToWorker): void {
    for (const worker of this.workers) worker?.postMessage(message);
  }

  private drainedBy(worker: number): void {
    this.drained.add(worker);
    if (this.drained.size >= this.options.count) this.onDrained?.();
  }

  /** Puts a question to all workers (`Relay`). */
  ask(kind: string, payload: unknown = null): Promise<unknown[]> {
    return this.relay.question(kind, payload);
  }

  /** The upstream connections of all workers. */
  async lanes(): Promise<LaneReport[]> {
    const alive = this.workers.filter((worker) => worker !== undefined);
    const reports = alive.map(
      (worker) =>
        new Promise<readonly LaneReport[]>((resolve) => {
          const id = this.nextReport++;
          const timer = setTimeout(() => done([]), REPORT_TIMEOUT_MS);
          const done = (lanes: readonly LaneReport[]) => {
            clearTimeout(timer);
            this.reports.delete(id);
            resolve(lanes);
          };
          this.reports.set(id, done);
          worker.postMessage({ type: 'report', id });
        }),
    );
    return (await Promise.all(reports)).flat();
  }

  /** Resolves when all workers have dealt with what they were told before; a slow one is waited for `REPORT_TIMEOUT_MS`. */
  async settled(): Promise<void> {
    await this.lanes();
  }

  /** False once they have been told to accept nobody any more. */
  get accepting(): boolean {
    return this.onClosed === null;
  }

  /** Has all workers close their listening sockets; clients that are there stay. */
  stopAccepting(): Promise<void> {
    return new Promise((resolve) => {
      this.onClosed = resolve;
      this.workers.forEach((worker, index) => {
        if (worker === undefined) this.closedBy(index);
      });
      this.broadcast({ type: 'stop-accepting' });
    });
  }

  /** Has them accept clients again. @param addresses those of one worker; null: it goes on as it is there */
  accept(addresses: () => readonly (WorkerAddress | null)[]): void {
    this.onClosed = null;
    this.closed.clear();
    const { tls } = this.serving;
    for (const worker of this.workers) worker?.postMessage({ type: 'accept', addresses: addresses(), tls });
  }

  private closedBy(worker: number): void {
    this.closed.add(worker);
    if (this.closed.size >= this.options.count) this.onClosed?.();
  }

  /** False: no worker can go on with connections of another process. */
  get adopts(): boolean {
    return this.adopting.size === this.options.count;
  }

  /** Has them take up the clients that another process passes on. @param share descriptors for one worker; null: no more */
  adopt(share: ((worker: number) => Omit<AdoptMessage, 'type'>) | null): void {
    for (const [i, worker] of this.workers.entries()) {
      worker?.postMessage({ type: 'adopt', ...(share === null ? { fd: null, heirs: -1 } : share(i)) });
    }
  }

  /** Lets clients finish what is on its way; resolves when all have left (true) or the time is over. @param places where they are taken up */
  drain(times: DrainTimes, timeoutMs: number, places = NOWHERE): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.onDrained = () => {
        clearTimeout(timer);
        resolve(true);
      };
      this.drained.clear();
      this.workers.forEach((worker, index) => {
        if (worker === undefined) this.drainedBy(index);
      });
      this.broadcast({ type: 'drain', times, places });
    });
  }
}

/** What an error says; its text may be the program's, with the error itself near the end. */
function lastLine(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.find((line) => /^\w*(error|exception)\b/i.test(line)) ?? lines[0] ?? '';
}

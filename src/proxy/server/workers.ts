import { DEFAULT_WORKER_LIMITS, type Limits } from '../engine/core/limits.js';
import type { WorkerSettings } from '../engine/core/settings.js';
import type { Logger } from './logger.js';
import type {
  AskedMessage,
  ClusterMessage,
  ClusterStart,
  CommandsMessage,
  FromWorker,
  LaneReport,
  LogLevel,
  ToWorker,
  WorkerStart,
} from './messages.js';
import { WorkerRelay } from './relay.js';

/** A worker answers a question about its state within this time, or is left out. */
const REPORT_TIMEOUT_MS = 500;
/** A worker says that it listens within this time. */
const START_TIMEOUT_MS = 10_000;

export interface WorkersOptions {
  readonly count: number;
  readonly settings: Omit<WorkerSettings, 'worker' | 'workers'>;
  /** Bounds that are not the default ones. */
  readonly limits: Partial<Limits>;
  readonly listen: { host: string; port: number };
  readonly clusters: readonly ClusterStart[];
  /** Bytes of one worker's statistics. */
  readonly statsBytes: number;
  readonly logLevel: LogLevel;
  readonly logger: Logger;
  onRefresh(cluster: number): void;
  /** A worker ended by itself. */
  onDeath(worker: number, reason: string): void;
}

/** The threads that serve clients. */
export class Workers {
  /** The workers' statistics, each in memory that it shares. */
  readonly stats: readonly SharedArrayBuffer[];
  private readonly workers: Worker[] = [];
  private readonly relay = new WorkerRelay(this.workers);
  private readonly reports = new Map<number, (lanes: readonly LaneReport[]) => void>();
  private nextReport = 0;
  private drained = 0;
  private onDrained: (() => void) | null = null;

  constructor(private readonly options: WorkersOptions) {
    this.stats = Array.from({ length: options.count }, () => new SharedArrayBuffer(options.statsBytes));
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

  private startOne(index: number): Promise<void> {
    const { options } = this;
    const worker = new Worker(new URL('./worker.ts', import.meta.url).href);
    this.workers[index] = worker;
    const start: WorkerStart = {
      type: 'start',
      settings: { ...options.settings, worker: index, workers: options.count },
      limits: { ...DEFAULT_WORKER_LIMITS, ...options.limits },
      listen: options.listen,
      clusters: options.clusters,
      stats: this.stats,
      logLevel: options.logLevel,
    };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`worker ${index} did not start`)), START_TIMEOUT_MS);
      worker.onmessage = (event: MessageEvent<FromWorker>) => {
        const message = event.data;
        switch (message.type) {
          case 'loaded':
            worker.postMessage(start);
            break;
          case 'listening':
            clearTimeout(timer);
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
        clearTimeout(timer);
        const reason = event.message;
        reject(new Error(reason));
        options.onDeath(index, reason);
      };
    });
  }

  private hear(worker: number, message: FromWorker): void {
    switch (message.type) {
      case 'refresh':
        this.options.onRefresh(message.cluster);
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
      case 'drained':
        this.drained++;
        if (this.drained >= this.workers.length) this.onDrained?.();
    }
  }

  send(message: ClusterMessage | CommandsMessage | AskedMessage): void {
    this.broadcast(message);
  }

  private broadcast(message: ToWorker): void {
    for (const worker of this.workers) worker.postMessage(message);
  }

  /** The upstream connections of all workers. */
  async lanes(): Promise<LaneReport[]> {
    const reports = this.workers.map(
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

  /** Lets clients finish what is on its way; resolves when all have left or the time is over. */
  drain(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.onDrained = () => {
        clearTimeout(timer);
        resolve(true);
      };
      this.drained = 0;
      this.broadcast({ type: 'drain' });
    });
  }
}

/** The listening address cannot be used. */
export class ListenError extends Error {
  constructor(
    message: string,
    readonly inUse: boolean,
  ) {
    super(message);
  }
}

import { type Reply, ReplyError } from '../../engine/resp/decode.js';

/** Why a check failed. */
export type CheckFailure = 'timeout' | 'network' | 'reply';

export interface CheckSettings {
  readonly timeout: number;
  readonly interval: number;
  readonly interval_jitter: number;
  readonly unhealthy_threshold: number;
  readonly healthy_threshold: number;
  readonly redis_health_check?: { readonly key?: string | undefined } | undefined;
}

/** What checks are counted in, for one cluster. */
export interface CheckCounts {
  attempt: number;
  success: number;
  failure: number;
  network_failure: number;
}

/** A connection that takes one command at a time; `command` rejects after its time-out. */
export interface Checked {
  readonly closed: boolean;
  command(args: readonly string[], timeoutMs: number): Promise<Reply>;
  close(): void;
}

export interface HostCheckOptions {
  readonly settings: CheckSettings;
  readonly counts: CheckCounts;
  connect(timeoutMs: number): Promise<Checked>;
  /** The verdict has changed, or a check has succeeded. */
  told(): void;
  now(): number;
}

/** A timer that fires so much too late says that this thread was busy, not that the host did not answer. */
const LATE_MS = 50;
/** Timers may fire so much too early. */
const TIMER_MS = 2;

/** The verdict on one host, from the results of its checks. Pure. */
export class Verdict {
  unhealthy = false;
  /** It does not even answer; false again with the first answer. */
  silent = false;
  lastFailure: CheckFailure | null = null;
  private failures = 0;
  private successes = 0;

  constructor(private readonly settings: Pick<CheckSettings, 'unhealthy_threshold' | 'healthy_threshold'>) {}

  /** Takes a result (null: success); true when something has changed. */
  take(failure: CheckFailure | null): boolean {
    const before = `${this.unhealthy} ${this.silent}`;
    if (failure === null) {
      this.failures = 0;
      this.successes++;
      this.silent = false;
      if (this.successes >= this.settings.healthy_threshold) this.unhealthy = false;
    } else {
      this.successes = 0;
      this.failures++;
      if (this.failures >= this.settings.unhealthy_threshold) this.unhealthy = true;
      this.silent = this.unhealthy && failure !== 'reply';
      this.lastFailure = failure;
    }
    return before !== `${this.unhealthy} ${this.silent}`;
  }
}

/**
 * What a reply says: null that the host is well, else what is wrong. A key that a node of a Redis Cluster does not serve
 * cannot be there: `MOVED` and `ASK` are as good as "no such key", as Envoy has it.
 */
export function judge(reply: Reply, key: string | undefined): string | null {
  if (key === undefined) {
    if (reply === 'PONG') return null;
    return reply instanceof ReplyError ? reply.message : 'it did not answer PONG';
  }
  if (reply === 0) return null;
  if (reply === 1) return `it has the key ${JSON.stringify(key)}: it is being drained`;
  if (reply instanceof ReplyError) return /^(MOVED|ASK) /.test(reply.message) ? null : reply.message;
  return 'it did not answer EXISTS with 0 or 1';
}

/** Checks one host again and again over one connection, one check at a time. */
export class HostCheck {
  readonly verdict: Verdict;
  successes = 0;
  failures = 0;
  lastError = '';
  private connection: Checked | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private stopped = false;
  /** The last check did not count, because this thread was busy: the next one does. */
  private excused = false;

  constructor(private readonly options: HostCheckOptions) {
    this.verdict = new Verdict(options.settings);
    // The first checks of many hosts are spread.
    this.schedule(Math.random() * Math.min(options.settings.interval, options.settings.timeout));
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.drop();
  }

  private schedule(delayMs: number): void {
    if (!this.stopped) this.timer = setTimeout(() => void this.run(), delayMs);
  }

  private async run(): Promise<void> {
    const { settings, counts, now } = this.options;
    const startedMs = now();
    counts.attempt++;
    const key = settings.redis_health_check?.key;
    let problem: string | null;
    let failure: CheckFailure = 'reply';
    try {
      const reply = await this.ask(key === undefined ? ['PING'] : ['EXISTS', key], startedMs);
      problem = judge(reply, key);
    } catch (error) {
      problem = (error as Error).message;
      const tookMs = now() - startedMs;
      failure = tookMs + TIMER_MS >= settings.timeout ? 'timeout' : 'network';
      this.drop();
      if (!this.stopped && !this.excused && tookMs >= settings.timeout + LATE_MS) {
        this.excused = true;
        this.schedule(0);
        return;
      }
    }
    if (this.stopped) return;
    this.excused = false;
    this.take(problem, failure);
    // Checks begin an interval after one another, however long they take.
    const { interval, interval_jitter: jitter } = settings;
    this.schedule(Math.max(0, interval + Math.random() * jitter - (now() - startedMs)));
  }

  private take(problem: string | null, failure: CheckFailure): void {
    const { counts } = this.options;
    this.lastError = problem ?? '';
    if (problem === null) {
      counts.success++;
      this.successes++;
    } else {
      counts.failure++;
      this.failures++;
      if (failure !== 'reply') counts.network_failure++;
    }
    const changed = this.verdict.take(problem === null ? null : failure);
    if (changed || problem === null) this.options.told();
  }

  /** Asks over the connection that is there, or over another one: an idle one may have been closed by the host. */
  private async ask(command: readonly string[], startedMs: number): Promise<Reply> {
    const { settings, now } = this.options;
    const left = () => Math.max(1, settings.timeout - (now() - startedMs));
    if (this.connection === null || this.connection.closed) {
      this.connection = await this.options.connect(left());
      if (this.stopped) this.drop();
    }
    if (this.connection === null) throw new Error('stopped');
    return this.connection.command(command, left());
  }

  private drop(): void {
    this.connection?.close();
    this.connection = null;
  }
}

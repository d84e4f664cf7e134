/** What clients lived through, second by second. Pure but for the clock that it is given. */
import { Histogram } from './histogram.js';

/** An hour; what is later counts for the last second. */
export const SECONDS_MAX = 3_600;
export const ERROR_KINDS_MAX = 50;
/** The kind of error of a listener whose connection has ended: it subscribes anew. */
export const SUBSCRIPTION = 'subscription';

export interface Second {
  /** From the beginning on. */
  readonly second: number;
  readonly operations: number;
  readonly errors: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface Pause {
  readonly client: string;
  /** Milliseconds. */
  readonly ms: number;
  /** When it ended, milliseconds from the beginning on. */
  readonly untilMs: number;
}

interface Bucket {
  readonly histogram: Histogram;
  errors: number;
}

const MICROS = 1_000;

export class Meter {
  readonly #startedMs: number;
  readonly #seconds: Bucket[] = [];
  readonly #errors = new Map<string, number>();
  readonly #examples = new Map<string, string>();
  /** Since when each client has been trying without success, milliseconds. */
  readonly #trying = new Map<string, number>();
  /** Those that had a success. */
  readonly #served = new Set<string>();
  #longest: Pause = { client: '', ms: 0, untilMs: 0 };
  #operations = 0;

  /** @param nowMs of a clock that never goes back */
  constructor(nowMs: number) {
    this.#startedMs = nowMs;
  }

  /** A client begins a command. */
  begin(client: string, nowMs: number): void {
    if (!this.#trying.has(client)) this.#trying.set(client, nowMs);
  }

  success(client: string, startedMs: number, nowMs: number): void {
    const since = this.#trying.get(client) ?? startedMs;
    this.#trying.delete(client);
    this.#served.add(client);
    if (nowMs - since > this.#longest.ms) {
      this.#longest = { client, ms: nowMs - since, untilMs: nowMs - this.#startedMs };
    }
    this.#operations++;
    this.#bucket(nowMs).histogram.record((nowMs - startedMs) * MICROS);
  }

  /** @param kind the first word of an error reply, `timeout`, `closed`, … */
  error(kind: string, message: string, nowMs: number): void {
    const name = this.#errors.has(kind) || this.#errors.size < ERROR_KINDS_MAX ? kind : 'others';
    this.#errors.set(name, (this.#errors.get(name) ?? 0) + 1);
    if (!this.#examples.has(name)) this.#examples.set(name, message.slice(0, 200));
    this.#bucket(nowMs).errors++;
  }

  get operations(): number {
    return this.#operations;
  }

  /** Errors by kind. */
  get errors(): Record<string, number> {
    return Object.fromEntries(this.#errors);
  }

  /** One of each kind, in its words. */
  get errorExamples(): Record<string, string> {
    return Object.fromEntries(this.#examples);
  }

  /** The longest time in which a client tried, without one success. Those that still try count as well. */
  longestPause(nowMs: number): Pause {
    let longest = this.#longest;
    for (const [client, since] of this.#trying) {
      if (nowMs - since > longest.ms) longest = { client, ms: nowMs - since, untilMs: nowMs - this.#startedMs };
    }
    return longest;
  }

  /** How many clients are at their first command still. */
  get newcomers(): number {
    let count = 0;
    for (const client of this.#trying.keys()) if (!this.#served.has(client)) count++;
    return count;
  }

  /** Pauses count from now on: what a crowd needs to connect is none of what happens later. */
  forgetPauses(nowMs: number): void {
    this.#longest = { client: '', ms: 0, untilMs: 0 };
    for (const client of this.#trying.keys()) this.#trying.set(client, nowMs);
  }

  seconds(): Second[] {
    return Array.from({ length: this.#seconds.length }, (_, second) => {
      const { histogram, errors } = this.#seconds[second] ?? { histogram: undefined, errors: 0 };
      const at = (part: number) => (histogram?.percentile(part) ?? 0) / MICROS;
      return {
        second,
        operations: histogram?.count ?? 0,
        errors,
        p50: at(0.5),
        p99: at(0.99),
        p999: at(0.999),
        max: (histogram?.max ?? 0) / MICROS,
      };
    });
  }

  /** All of it. */
  total(): Histogram {
    const total = new Histogram();
    for (const bucket of this.#seconds) if (bucket !== undefined) total.add(bucket.histogram);
    return total;
  }

  #bucket(nowMs: number): Bucket {
    const second = Math.min(SECONDS_MAX - 1, Math.max(0, Math.floor((nowMs - this.#startedMs) / 1_000)));
    const known = this.#seconds[second];
    if (known !== undefined) return known;
    const bucket = { histogram: new Histogram(), errors: 0 };
    this.#seconds[second] = bucket;
    return bucket;
  }
}

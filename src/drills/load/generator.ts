/**
 * Clients that send as much as is asked for, or as much as goes. With a rate, commands go out when they are due, whatever
 * has become of those before: a server that is slow does not slow its own measurement down (no coordinated omission).
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { mapBounded, pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import { Histogram } from '../histogram.js';
import { type Endpoint, isLink, type Link } from '../link/link.js';
import type { Traffic } from './traffic.js';

export const CLIENTS_MAX = 10_000;
/** Batches of one client that are on their way; more of them wait, and their time counts from when they were due. */
const PENDING_MAX = 64;
const TICK_MS = 1;
/** What goes out later than this after it was due has waited for others: its time counts from then. */
const HELD_BACK_MS = 20;
const SECOND_MS = 1_000;
const CONNECTS_AT_ONCE = 64;
const FILL_AT_ONCE = 500;
/** Of what is on its way at once, and of what one client writes at once when keys are made. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
const FILL_BYTES_MAX = 1024 * 1024;
/** Replies to what was sent before the end are waited for so long. */
const LINGER_MS = 5_000;

export interface LoadSecond {
  /** From the beginning on, 1 for the first. */
  readonly second: number;
  /** Answered in it. */
  readonly operations: number;
  readonly errors: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export interface LoadFigures {
  /** Operations a second that were asked for; undefined for as many as go. */
  readonly target?: number;
  /** Operations a second that were answered. */
  readonly rate: number;
  readonly operations: number;
  /** By kind. */
  readonly errors: Readonly<Record<string, number>>;
  /** Replies that were none to their commands. */
  readonly wrong: number;
  /** Milliseconds. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number };
  /** The longest time in which this process stood still, milliseconds: what is no longer is no fault of the server. */
  readonly ownPauseMs: number;
  readonly seconds: readonly LoadSecond[];
}

export interface RunOptions {
  readonly durationMs: number;
  /** Operations a second, of all clients together. */
  readonly rate?: number;
  readonly signal: AbortSignal;
  readonly onSecond?: (second: LoadSecond) => void;
}

export class LoadGenerator {
  readonly #endpoint: Endpoint;
  readonly #links: Link[];
  readonly #traffic: Traffic;
  readonly #pipeline: number;

  private constructor(
    endpoint: Endpoint,
    links: Link[],
    { traffic, pipeline }: { traffic: Traffic; pipeline: number },
  ) {
    this.#endpoint = endpoint;
    this.#links = links;
    this.#traffic = traffic;
    this.#pipeline = pipeline;
  }

  /** Connects all clients. @param pipeline commands that a client sends at once @throws ForgeError `unreachable`, `denied` */
  static async open(
    endpoint: Endpoint,
    { clients, ...options }: { clients: number; traffic: Traffic; pipeline: number },
  ): Promise<LoadGenerator> {
    const found = await mapBounded(Array.from({ length: clients }), CONNECTS_AT_ONCE, () => endpoint.connect());
    const links = found.filter(isLink);
    const refusal = found.find((each) => !isLink(each));
    if (refusal === undefined) return new LoadGenerator(endpoint, links, options);
    for (const link of links) link.close();
    const { kind = '', message = '' } = isLink(refusal) ? {} : refusal;
    throw new ForgeError(kind === 'connect' ? 'unreachable' : 'denied', `${endpoint.label}: ${message}`, {
      host: endpoint.label,
      next: kind === 'connect' ? 'Check that it runs, and how many clients it admits.' : 'Check user and password.',
    });
  }

  /** Writes every key once, so that what is read is there. */
  async fill(keys: number, signal: AbortSignal): Promise<void> {
    await this.#all(keys, (number) => this.#traffic.write(number), signal);
  }

  /** Takes the keys away. */
  async clean(keys: number, signal: AbortSignal): Promise<void> {
    await this.#all(keys, (number) => ['UNLINK', this.#traffic.key(number)], signal);
  }

  async #all(keys: number, command: (number: number) => readonly string[], signal: AbortSignal): Promise<void> {
    let next = 0;
    const { bytes } = this.#traffic;
    const atOnce = Math.max(1, Math.min(FILL_AT_ONCE, Math.floor(FILL_BYTES_MAX / bytes)));
    const lanes = Math.max(1, Math.min(CONNECTS_AT_ONCE, Math.floor(WAITING_BYTES_MAX / (atOnce * bytes))));
    const lane = async (link: Link) => {
      while (next < keys) {
        signal.throwIfAborted();
        const from = next;
        next = Math.min(keys, from + atOnce);
        const outcomes = await link.send(Array.from({ length: next - from }, (_, index) => command(from + index)));
        const failed = outcomes.find((outcome) => !outcome.ok);
        if (failed === undefined || failed.ok) continue;
        throw new ForgeError('refused', `${this.#endpoint.label} refuses keys of the load: ${failed.message}`, {
          host: this.#endpoint.label,
        });
      }
    };
    await Promise.all(this.#links.slice(0, lanes).map(lane));
  }

  /** Loads the endpoint for a time. */
  async run({ durationMs, rate, signal, onSecond }: RunOptions): Promise<LoadFigures> {
    const figures = new Figures(onSecond);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const until = performance.now() + durationMs;
    const going = () => performance.now() < until && !signal.aborted && this.#links.some(({ isOpen }) => isOpen);
    if (rate === undefined) await Promise.all(this.#links.map((link) => this.#unpaced(link, figures, going)));
    else await this.#paced(rate, figures, going);
    figures.end();
    delay.disable();
    return figures.read({ ...(rate === undefined ? {} : { target: rate }), ownPauseMs: delay.max / 1e6 });
  }

  close(): void {
    for (const link of this.#links) link.close();
  }

  async #unpaced(link: Link, figures: Figures, going: () => boolean): Promise<void> {
    while (link.isOpen && going()) await this.#send(link, this.#pipeline, figures, performance.now());
  }

  async #paced(rate: number, figures: Figures, going: () => boolean): Promise<void> {
    const begun = performance.now();
    const pending = new Array<number>(this.#links.length).fill(0);
    let sent = 0;
    let turn = 0;
    let batches = 0;
    const batchesMax = Math.max(1, Math.floor(WAITING_BYTES_MAX / (this.#pipeline * this.#traffic.bytes)));
    while (going()) {
      const due = Math.floor(((performance.now() - begun) / SECOND_MS) * rate);
      while (sent < due) {
        const count = Math.min(this.#pipeline, due - sent);
        const client = batches < batchesMax ? this.#free(pending, turn) : undefined;
        // All are full: what is due goes out later, and has waited since then.
        if (client === undefined) break;
        turn = client + 1;
        // Sent so soon after it was due, it was this process's clock that was late.
        const dueMs = begun + (sent / rate) * SECOND_MS;
        const now = performance.now();
        sent += count;
        pending[client] = (pending[client] as number) + 1;
        batches++;
        const sinceMs = now - dueMs > HELD_BACK_MS ? dueMs : now;
        void this.#send(this.#links[client] as Link, count, figures, sinceMs).then(() => {
          pending[client] = (pending[client] as number) - 1;
          batches--;
        });
      }
      await pause(TICK_MS);
    }
    const end = performance.now() + LINGER_MS;
    while (batches > 0 && performance.now() < end) await pause(TICK_MS);
  }

  #free(pending: readonly number[], turn: number): number | undefined {
    for (let tried = 0; tried < pending.length; tried++) {
      const client = (turn + tried) % pending.length;
      if ((pending[client] as number) < PENDING_MAX && this.#links[client]?.isOpen) return client;
    }
    return undefined;
  }

  async #send(link: Link, count: number, figures: Figures, sinceMs: number): Promise<void> {
    const commands = Array.from({ length: count }, () => this.#traffic.next());
    const outcomes = await link.send(commands);
    const now = performance.now();
    for (const [index, outcome] of outcomes.entries()) {
      if (!outcome.ok) figures.error(outcome.kind, now);
      else if (!this.#traffic.isRight(commands[index] as readonly string[], outcome.reply)) figures.wrong++;
      else figures.answered(now - sinceMs, now);
    }
  }
}

const ERROR_KINDS_MAX = 50;

class Figures {
  wrong = 0;
  readonly #begun = performance.now();
  readonly #total = new Histogram();
  readonly #errors = new Map<string, number>();
  readonly #seconds: LoadSecond[] = [];
  readonly #onSecond: RunOptions['onSecond'];
  #current = new Histogram();
  #currentErrors = 0;
  #second = 1;
  #endedMs = 0;

  constructor(onSecond: RunOptions['onSecond']) {
    this.#onSecond = onSecond;
  }

  answered(latencyMs: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#current.record(latencyMs * 1_000);
  }

  error(kind: string, nowMs: number): void {
    this.#advance(nowMs);
    const name = this.#errors.has(kind) || this.#errors.size < ERROR_KINDS_MAX ? kind : 'others';
    this.#errors.set(name, (this.#errors.get(name) ?? 0) + 1);
    this.#currentErrors++;
  }

  end(): void {
    this.#endedMs = performance.now();
    this.#advance(this.#endedMs);
    if (this.#current.count + this.#currentErrors > 0) this.#finishSecond();
  }

  read(more: { target?: number; ownPauseMs: number }): LoadFigures {
    const at = (part: number) => this.#total.percentile(part) / 1_000;
    return {
      ...more,
      rate: (this.#total.count / (this.#endedMs - this.#begun)) * SECOND_MS,
      operations: this.#total.count,
      errors: Object.fromEntries(this.#errors),
      wrong: this.wrong,
      latency: { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: this.#total.max / 1_000 },
      seconds: this.#seconds,
    };
  }

  #advance(nowMs: number): void {
    while (nowMs - this.#begun >= this.#second * SECOND_MS) this.#finishSecond();
  }

  #finishSecond(): void {
    const at = (part: number) => this.#current.percentile(part) / 1_000;
    const second = {
      second: this.#second++,
      operations: this.#current.count,
      errors: this.#currentErrors,
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
    };
    this.#seconds.push(second);
    this.#total.add(this.#current);
    this.#current = new Histogram();
    this.#currentErrors = 0;
    this.#onSecond?.(second);
  }
}

/** What all probes of a workload share. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Findings } from '../check/findings.js';
import type { Endpoint, Link, Outcome } from '../link/link.js';
import type { Meter } from '../meter.js';
import { type Commands, DrillClient } from './client.js';

export interface ProbeOptions {
  readonly endpoint: Endpoint;
  readonly meter: Meter;
  readonly findings: Findings;
  /** Keys begin with it. */
  readonly prefix: string;
  readonly index: number;
  /** Between two commands of one client, milliseconds. */
  readonly pauseMs: number;
  /** A write is acknowledged when so many replicas have it; 0 for none. */
  readonly replicas: number;
}

/** Keys that an unanswered write has left; older ones are not looked at again. */
export const RETIRED_MAX = 1_000;
/** How long everything is looked at once more, in the end. */
export const SETTLE_MS = 30_000;
const INSIST_MS = 100;
/** How long a replica that waits for its master's stream may take to say so. */
const WAIT_MS = 1_000;

export abstract class Probe {
  protected readonly options: ProbeOptions;
  readonly #clients: DrillClient[] = [];
  #stopping = false;
  #unchecked = 0;
  #settleUntilMs = Number.POSITIVE_INFINITY;
  #generation = 0;

  constructor(options: ProbeOptions) {
    this.options = options;
  }

  /** Goes on until `stop`. */
  abstract run(): Promise<void>;
  /** Looks at everything once more, when nothing disturbs any longer. */
  abstract settle(): Promise<void>;
  /** The keys that it has made. */
  abstract readonly keys: readonly string[];

  stop(): void {
    this.#stopping = true;
    this.#settleUntilMs = performance.now() + SETTLE_MS;
  }

  /** Keys that were not looked at once more, for lack of time. */
  get unchecked(): number {
    return this.#unchecked;
  }

  /** What has not been looked at by now is not looked at any more, but counted. */
  protected skip(): boolean {
    if (this.#late) this.#unchecked++;
    return this.#late;
  }

  get #late(): boolean {
    return performance.now() > this.#settleUntilMs;
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  protected get stopping(): boolean {
    return this.#stopping;
  }

  protected client(role: string): DrillClient {
    const client = new DrillClient(`${role} ${this.options.index}`, this.options);
    this.#clients.push(client);
    return client;
  }

  /** Unlike all before; all of this probe are in one slot. */
  protected newKey(kind: string): string {
    const { prefix, index } = this.options;
    return `${prefix}{${kind}${index}}:${++this.#generation}`;
  }

  protected pause(): Promise<void> {
    return sleep(this.options.pauseMs);
  }

  /** One write, and as many replicas as are asked for: the write's outcome, not certain when these are missing. */
  protected write(client: DrillClient, command: readonly string[]): Promise<Outcome> {
    if (this.options.replicas === 0) return client.one(command);
    return this.#confirmed(client, async (link) => (await link.send([command]))[0] as Outcome);
  }

  /** The same of a transaction. */
  protected transact(client: DrillClient, commands: Commands): Promise<Outcome> {
    if (this.options.replicas === 0) return client.transaction(commands);
    return this.#confirmed(client, (link) => link.transaction(commands));
  }

  async #confirmed(client: DrillClient, write: (link: Link) => Promise<Outcome>): Promise<Outcome> {
    const { replicas } = this.options;
    const [written, waited] = await client.confirmed(write, ['WAIT', String(replicas), String(WAIT_MS)]);
    if (!written.ok) return written;
    if (waited.ok && typeof waited.reply === 'number' && waited.reply >= replicas) return written;
    const message = waited.ok ? `${waited.reply} replicas have it` : waited.message;
    return { ok: false, kind: 'wait', message, certain: false };
  }

  /** Asks until there is an answer, or the time for looking once more is over; for the end, when all should be well. */
  protected async insist(client: DrillClient, command: readonly string[]): Promise<Outcome> {
    for (;;) {
      const outcome = await client.one(command);
      if (!outcome.ok && this.#late) this.#unchecked++;
      if (outcome.ok || this.#late) return outcome;
      await sleep(INSIST_MS);
    }
  }
}

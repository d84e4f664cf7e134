/** A client of a drill: connects again when its connection breaks, and measures what it lives through. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Findings } from '../check/findings.js';
import { type Endpoint, isLink, type Link, type Outcome } from '../link/link.js';
import { type Meter, SUBSCRIPTION } from '../meter.js';

/** Between two attempts to connect. */
const AGAIN_MS = 20;

export type Commands = readonly (readonly string[])[];

export class DrillClient {
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #meter: Meter;
  readonly #findings: Findings;
  #link: Link | undefined;
  #closed = false;

  constructor(name: string, { endpoint, meter, findings }: { endpoint: Endpoint; meter: Meter; findings: Findings }) {
    this.name = name;
    this.#findings = findings;
    this.#endpoint = endpoint;
    this.#meter = meter;
  }

  /** The outcome of each; latency and errors are counted. */
  async do(commands: Commands): Promise<Outcome[]> {
    return this.#measured((link) => link.send(commands), commands.length);
  }

  async one(command: readonly string[]): Promise<Outcome> {
    const [outcome] = await this.do([command]);
    return outcome as Outcome;
  }

  async transaction(commands: Commands): Promise<Outcome> {
    const [outcome] = await this.#measured(async (link) => [await link.transaction(commands)], 1);
    return outcome as Outcome;
  }

  /**
   * A write, and when it was made, over the same connection, a command that waits for others to have it: the outcome of
   * each. Only the first one's time is latency: where there is nobody to wait for, it is served all the same.
   */
  async confirmed(write: (link: Link) => Promise<Outcome>, wait: readonly string[]): Promise<[Outcome, Outcome]> {
    let over: Link | undefined;
    const [written] = (await this.#measured(async (link) => {
      over = link;
      return [await write(link)];
    }, 1)) as [Outcome];
    if (!written.ok || over === undefined) return [written, written];
    const [waited] = (await over.send([wait])) as [Outcome];
    this.#count(waited);
    return [written, waited];
  }

  /** A command that waits by itself: its time is no latency; errors are counted. */
  async wait(command: readonly string[]): Promise<Outcome> {
    const link = await this.#connected();
    if ('ok' in link) return link;
    const [outcome] = await link.send([command]);
    this.#count(outcome as Outcome);
    return outcome as Outcome;
  }

  /** Listens until the connection breaks; @returns once it does, or nothing could be heard at all */
  async listen(channel: string, onMessage: (channel: string, text: string) => void, onReady: () => void) {
    const link = await this.#connected();
    if ('ok' in link) return;
    const outcome = await link.subscribe(channel, onMessage);
    this.#count(outcome);
    if (!outcome.ok) {
      link.close();
      return;
    }
    onReady();
    while (link.isOpen && !this.#closed) await sleep(AGAIN_MS);
    if (!this.#closed) this.#meter.error(SUBSCRIPTION, 'a listener lost its connection', performance.now());
  }

  close(): void {
    this.#judge();
    this.#closed = true;
    this.#link?.close();
    this.#link = undefined;
  }

  async #measured(work: (link: Link) => Promise<Outcome[]>, count: number): Promise<Outcome[]> {
    const asked = performance.now();
    this.#meter.begin(this.name, asked);
    const link = await this.#connected();
    if ('ok' in link) return Array.from({ length: count }, () => link);
    const outcomes = await work(link);
    const now = performance.now();
    for (const outcome of outcomes) this.#count(outcome);
    if (outcomes.every(({ ok }) => ok)) this.#meter.success(this.name, asked, now);
    return outcomes;
  }

  async #connected(): Promise<Link | Outcome> {
    if (this.#link?.isOpen) return this.#link;
    this.#judge();
    const found = await this.#endpoint.connect();
    if (isLink(found)) {
      if (this.#closed) found.close();
      this.#link = found;
      return found;
    }
    this.#count(found);
    await sleep(AGAIN_MS);
    return found;
  }

  /** A connection that ended by what no server may send: somebody else's reply, or one twice. */
  #judge(): void {
    const failure = this.#link?.failure;
    if (failure?.kind === 'protocol') this.#findings.add('foreign-reply', this.name, failure.message);
  }

  #count(outcome: Outcome): void {
    if (!outcome.ok && !this.#closed) this.#meter.error(outcome.kind, outcome.message, performance.now());
  }
}

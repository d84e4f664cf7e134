/**
 * A channel with one publisher, who numbers the messages, and one subscriber, who listens all the time. Pure.
 *
 * Nodes pass messages on to each other over one connection each: what a node took before it died or was cut off may be heard
 * after what was published later at another one. Such a message is late, once; where nothing is lost, none may be. One that
 * is heard again after later ones is repeated; twice in a row no node says it.
 */
import { type Findings, show } from './findings.js';

/** Messages that may be on their way at once; older ones that did not come are missed. */
export const WINDOW = 10_000;

export class Channel {
  readonly name: string;
  readonly #findings: Findings;
  #sent = 0;
  #last = 0;
  /** Answered and not yet heard, and when it was answered. */
  readonly #waiting = new Map<number, number>();
  /** Heard before the publisher had its answer. */
  readonly #early = new Set<number>();
  /** Published, not heard, and not owed: without an answer, or while the listener was away. */
  readonly #open = new Set<number>();
  #received = 0;

  constructor(name: string, findings: Findings) {
    this.name = name;
    this.#findings = findings;
  }

  next(): string {
    return `${this.name}=${++this.#sent}`;
  }

  get received(): number {
    return this.#received;
  }

  /** The last one was answered. */
  published(reply: unknown): void {
    if (typeof reply !== 'number') {
      this.#findings.add('foreign-reply', this.name, `PUBLISH was answered ${show(reply)}`);
    }
    if (!this.#early.delete(this.#sent)) this.#waiting.set(this.#sent, this.#findings.now());
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WINDOW && oldest !== undefined) this.#miss([oldest]);
  }

  /** Nobody knows whether the last one was published or will be: a server that hung may do so long after others. */
  unknown(): void {
    if (!this.#early.delete(this.#sent)) this.#excuse([this.#sent]);
  }

  heard(channel: string, text: string): void {
    const [name, number] = text.split('=');
    if (channel !== this.name || name !== this.name || !/^[1-9][0-9]*$/.test(number ?? '')) {
      this.#findings.add('foreign-reply', this.name, `heard ${show(text)} of ${show(channel)}`);
      return;
    }
    const value = Number(number);
    if (value > this.#sent) {
      this.#findings.add('foreign-reply', this.name, `heard ${value}, ${this.#sent} is the last that was published`);
      return;
    }
    this.#received++;
    if (this.#open.delete(value)) {
      this.#last = Math.max(this.#last, value);
      return;
    }
    if (value === this.#last) this.#findings.add('doubled', this.name, `heard ${value} twice`);
    else if (value < this.#last) {
      const kind = this.#waiting.delete(value) ? 'late-message' : 'repeated-message';
      this.#findings.add(kind, this.name, `heard ${value} after ${this.#last}`);
      return;
    }
    this.#last = Math.max(this.#last, value);
    if (!this.#waiting.delete(value)) this.#early.add(value);
    const [oldest] = this.#early;
    if (this.#early.size > WINDOW && oldest !== undefined) this.#early.delete(oldest);
  }

  /** Whether all that was answered has been heard. */
  get isComplete(): boolean {
    return this.#waiting.size === 0;
  }

  /** The subscriber's connection broke: what was published meanwhile is not promised. */
  interrupted(): void {
    this.#excuse(this.#waiting.keys());
    this.#waiting.clear();
  }

  /** Nothing more will come. */
  settle(): void {
    this.#miss([...this.#waiting.keys()]);
  }

  #excuse(values: Iterable<number>): void {
    for (const value of values) this.#open.add(value);
    for (const oldest of this.#open) {
      if (this.#open.size <= WINDOW) break;
      this.#open.delete(oldest);
    }
  }

  #miss(values: readonly number[]): void {
    if (values.length === 0) return;
    const times = values.flatMap((value) => this.#waiting.get(value) ?? []);
    for (const value of values) this.#waiting.delete(value);
    const words = values.length === 1 ? `${values[0]}` : `${values[0]} to ${values.at(-1)}`;
    this.#findings.add('missed-message', this.name, `${words} was answered, and not heard`, values.length, times);
  }
}

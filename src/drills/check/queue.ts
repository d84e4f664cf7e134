/** A list with one client that puts numbered elements in, and one that waits for them. Pure. */
import { Acknowledged } from './acknowledged.js';
import { type Findings, show } from './findings.js';

export class Queue {
  readonly key: string;
  readonly #findings: Findings;
  #sent = 0;
  #last = 0;
  /** Put in, answered, and not taken, with the time of the answer. */
  readonly #waiting = new Map<number, number>();
  /** When which were taken. */
  readonly #taken = new Acknowledged();
  readonly #early = new Set<number>();
  /** Put in without an answer. */
  readonly #open = new Set<number>();
  #popped = 0;

  constructor(key: string, findings: Findings) {
    this.key = key;
    this.#findings = findings;
  }

  next(): string {
    return `${this.key}=${++this.#sent}`;
  }

  get popped(): number {
    return this.#popped;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** How many are in it, by what was answered. */
  get length(): number {
    return this.#waiting.size;
  }

  pushed(reply: unknown): void {
    if (typeof reply !== 'number') this.#findings.add('foreign-reply', this.key, `RPUSH was answered ${show(reply)}`);
    if (!this.#early.delete(this.#sent)) this.#waiting.set(this.#sent, this.#findings.now());
  }

  /** Nobody knows whether the last one is in it. */
  unknown(): void {
    if (!this.#early.delete(this.#sent)) this.#open.add(this.#sent);
  }

  /** What BLPOP answered; null for nothing in its time. */
  taken(reply: unknown): void {
    if (reply === null) return;
    const [key, text] = Array.isArray(reply) ? reply.map((each) => String(each)) : [];
    const [name, number] = text?.split('=') ?? [];
    if (key !== this.key || name !== this.key || !/^[1-9][0-9]*$/.test(number ?? '') || Number(number) > this.#sent) {
      this.#findings.add('foreign-reply', this.key, `BLPOP was answered ${show(reply)}`);
      return;
    }
    const value = Number(number);
    this.#popped++;
    if (this.#waiting.delete(value) || this.#open.delete(value)) {
      if (value < this.#last) this.#findings.add('out-of-order', this.key, `${value} after ${this.#last}`);
    } else if (value === this.#sent && value > this.#last && !this.#early.has(value)) {
      this.#early.add(value);
    } else {
      const { times } = this.#taken.between(value, Math.min(value, this.#last));
      this.#findings.add('undone-pop', this.key, `${value} came out again`, 1, times);
    }
    if (value > this.#last) this.#taken.add(value, this.#findings.now());
    this.#last = Math.max(this.#last, value);
  }

  /**
   * The client that waits lost its connection: an element may have been taken and not have arrived. The oldest is
   * forgiven, if it does not come.
   */
  interrupted(): void {
    const [oldest] = this.#waiting.keys();
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    this.#open.add(oldest);
  }

  /** Nothing more will come out. */
  settle(): void {
    if (this.#waiting.size === 0) return;
    const [first] = this.#waiting.keys();
    const times = [...this.#waiting.values()];
    this.#findings.add('lost-item', this.key, `${first} and so on never came out`, times.length, times);
    this.#waiting.clear();
  }
}

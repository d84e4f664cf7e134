/** A counter that one client alone raises, by one each time. Pure. */
import { Acknowledged } from './acknowledged.js';
import { type Findings, show } from './findings.js';

export class Counter {
  readonly key: string;
  readonly #findings: Findings;
  readonly #acknowledged = new Acknowledged();
  #value = 0;
  #open = false;

  constructor(key: string, findings: Findings) {
    this.key = key;
    this.#findings = findings;
  }

  raised(reply: unknown): void {
    if (typeof reply !== 'number') {
      this.#findings.add('foreign-reply', this.key, `INCR was answered ${show(reply)}`);
      return;
    }
    this.#compare(reply, this.#value + 1, this.#value + 1);
    this.#value = reply;
    if (reply > 0) this.#acknowledged.add(reply, this.#findings.now());
  }

  /** Nobody knows whether it was raised: nothing more may be done to this key. */
  unknown(): void {
    this.#open = true;
  }

  /** What GET says in the end. */
  read(reply: unknown): void {
    const text = Buffer.isBuffer(reply) ? reply.toString() : reply;
    const value = text === null ? 0 : typeof text === 'string' && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
    if (value === undefined) {
      this.#findings.add('foreign-reply', this.key, `GET was answered ${show(reply)}`);
      return;
    }
    this.#compare(value, this.#value, this.#value + (this.#open ? 1 : 0));
    this.#value = value;
  }

  #compare(found: number, lowest: number, highest: number): void {
    if (found < lowest) {
      const { times } = this.#acknowledged.between(Math.max(1, this.#value - (lowest - found) + 1), this.#value);
      this.#findings.add('lost-write', this.key, `${found} instead of ${lowest}`, lowest - found, times);
    } else if (found > highest) {
      this.#findings.add('doubled', this.key, `${found} instead of ${highest}`, found - highest);
    }
  }
}

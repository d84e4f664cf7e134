/**
 * A key that one client alone writes, each time with a higher number, and reads. Every value names its key, so that a
 * value of another key is known at sight. Pure.
 */
import { Acknowledged } from './acknowledged.js';
import { type Findings, show } from './findings.js';

export class Register {
  readonly key: string;
  readonly #findings: Findings;
  #sent = 0;
  #acknowledged = 0;
  readonly #times = new Acknowledged();
  /** What was read when it was less than what was acknowledged. */
  #behind: number | undefined;
  #open = false;

  constructor(key: string, findings: Findings) {
    this.key = key;
    this.#findings = findings;
  }

  /** The value to write now; answer with `written` or `unknown`. */
  next(): string {
    return `${this.key}=${++this.#sent}`;
  }

  written(reply: unknown): void {
    if (reply !== 'OK') this.#findings.add('foreign-reply', this.key, `SET was answered ${show(reply)}`);
    this.#acknowledged = this.#sent;
    this.#times.add(this.#sent, this.#findings.now());
  }

  /** Nobody knows whether the last one was written, or will be: nothing more may be written to this key. */
  unknown(): void {
    this.#open = true;
  }

  /** @returns true when it is to be read again before anything is written: this value is too old */
  read(reply: unknown): boolean {
    const value = this.#parse(reply);
    if (value === undefined) return false;
    if (value > this.#sent) {
      this.#findings.add('foreign-reply', this.key, `${value} was read, ${this.#sent} is the last that was written`);
      return false;
    }
    if (value < this.#acknowledged) {
      this.#behind = value;
      return true;
    }
    if (this.#behind !== undefined) {
      this.#findings.add('stale-read', this.key, `${this.#behind} was read, and then ${value}`);
      this.#behind = undefined;
    }
    if (!this.#open && value !== this.#acknowledged) {
      // Refused with an error that says that it was not done.
      this.#findings.add('doubled', this.key, `${value} is there, which was refused`);
    }
    return false;
  }

  /** It stays too old however often it is read: what was acknowledged is lost. */
  settle(): void {
    if (this.#behind === undefined) return;
    const { count, times } = this.#times.between(this.#behind + 1, this.#acknowledged);
    const detail = `${this.#behind} is there, ${this.#acknowledged} was acknowledged`;
    this.#findings.add('lost-write', this.key, detail, count, times);
    this.#acknowledged = this.#behind;
    this.#behind = undefined;
  }

  #parse(reply: unknown): number | undefined {
    if (reply === null) return 0;
    const text = Buffer.isBuffer(reply) ? reply.toString() : reply;
    const [key, number] = typeof text === 'string' ? text.split('=') : [];
    if (key === this.key && number !== undefined && /^[1-9][0-9]*$/.test(number)) return Number(number);
    this.#findings.add('foreign-reply', this.key, `GET was answered ${show(reply)}`);
    return undefined;
  }
}

/** A string that one client alone appends to, a numbered token each time. Pure. */
import { type Findings, show } from './findings.js';

const DIGITS = 8;
export const TOKEN_LENGTH = DIGITS + 1;

export class Log {
  readonly key: string;
  readonly #findings: Findings;
  #sent = 0;
  #length = 0;
  /** With the time. */
  readonly #acknowledged = new Map<number, number>();
  #open: number | undefined;

  constructor(key: string, findings: Findings) {
    this.key = key;
    this.#findings = findings;
  }

  /** The token to append now; answer with `appended` or `unknown`. */
  next(): string {
    return `${String(++this.#sent).padStart(DIGITS, '0')};`;
  }

  /** How many tokens it has, by what was acknowledged. */
  get tokens(): number {
    return this.#acknowledged.size;
  }

  appended(reply: unknown): void {
    if (typeof reply !== 'number' || reply % TOKEN_LENGTH !== 0) {
      this.#findings.add('foreign-reply', this.key, `APPEND was answered ${show(reply)}`);
    } else this.#length = reply;
    this.#acknowledged.set(this.#sent, this.#findings.now());
  }

  /** Nobody knows whether it was appended: nothing more may be done to this key. */
  unknown(): void {
    this.#open = this.#sent;
  }

  /** What GET says: every token once, in order; one that is missing is lost once. */
  read(reply: unknown): void {
    const text = reply === null ? '' : Buffer.isBuffer(reply) ? reply.toString() : reply;
    if (typeof text !== 'string' || !/^(?:[0-9]{8};)*$/.test(text)) {
      this.#findings.add('foreign-reply', this.key, `GET was answered ${show(reply)}`);
      return;
    }
    const seen = new Set<number>();
    let last = 0;
    for (let at = 0; at < text.length; at += TOKEN_LENGTH) {
      const token = Number(text.slice(at, at + DIGITS));
      if (seen.has(token)) this.#findings.add('doubled', this.key, `token ${token} is there twice`);
      else if (token < last) this.#findings.add('out-of-order', this.key, `token ${token} after ${last}`);
      if (!this.#acknowledged.has(token) && token !== this.#open) {
        this.#findings.add('foreign-reply', this.key, `token ${token} was not appended`);
      }
      seen.add(token);
      last = Math.max(last, token);
    }
    for (const [token, time] of this.#acknowledged) {
      if (seen.has(token)) continue;
      this.#findings.add('lost-write', this.key, `token ${token} was acknowledged`, 1, [time]);
      this.#acknowledged.delete(token);
    }
  }

  /** Bytes by the last answer. */
  get length(): number {
    return this.#length;
  }
}

/** Two keys that are only ever raised together, in a transaction: whoever reads both sees the same number. Pure. */
import { Counter } from './counter.js';
import { type Findings, show } from './findings.js';

export class Pair {
  readonly left: string;
  readonly right: string;
  readonly #findings: Findings;
  readonly #counter: Counter;

  /** @param tag a hash tag with what follows it: `drill:{t3}:1` */
  constructor(tag: string, findings: Findings) {
    this.left = `${tag}:left`;
    this.right = `${tag}:right`;
    this.#findings = findings;
    this.#counter = new Counter(this.left, findings);
  }

  /** What EXEC answered to INCR left, INCR right. */
  raised(reply: unknown): void {
    const [left, right] = this.#both(reply, 'EXEC');
    if (left === undefined) return;
    this.#counter.raised(left);
    if (left !== right) this.#findings.add('torn', this.left, `${left} and ${right} in one transaction`);
  }

  /** Nobody knows whether it was done: nothing more may be done to these keys. */
  unknown(): void {
    this.#counter.unknown();
  }

  /** What EXEC answered to GET left, GET right. */
  read(reply: unknown): void {
    const [left, right] = this.#both(reply, 'GET');
    if (left === undefined) return;
    if (left !== right) this.#findings.add('torn', this.left, `${left} and ${right} were read`);
    this.#counter.read(String(left));
  }

  #both(reply: unknown, command: string): [number, number] | [undefined] {
    const numbers = Array.isArray(reply) ? reply.map((each) => (each === null ? 0 : Number(String(each)))) : [];
    const [left, right] = numbers;
    if (numbers.length === 2 && Number.isSafeInteger(left) && Number.isSafeInteger(right)) {
      return [left as number, right as number];
    }
    this.#findings.add('foreign-reply', this.left, `${command} was answered ${show(reply)}`);
    return [undefined];
  }
}

/** Clients that write keys of their own and read them through another connection. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter } from '../check/counter.js';
import { Log } from '../check/log.js';
import { Pair } from '../check/pair.js';
import { Register } from '../check/register.js';
import { Probe, RETIRED_MAX } from './probe.js';

/** A value that is too old is read so often before what was written after it counts as lost. */
const REREADS = 10;
const REREAD_MS = 100;
/** Of a string of tokens: then another key is begun. */
const TOKENS_MAX = 200;

/** Keys that are written one after another; a new one wherever nobody knows what became of a write. */
abstract class Writer<Checker> extends Probe {
  #current: Checker | undefined;
  readonly #retired: Checker[] = [];

  protected abstract create(): Checker;

  protected get current(): Checker {
    this.#current ??= this.create();
    return this.#current;
  }

  protected get all(): Checker[] {
    return this.#current === undefined ? this.#retired : [...this.#retired, this.#current];
  }

  protected retire(): void {
    if (this.#current === undefined) return;
    this.#retired.push(this.#current);
    if (this.#retired.length > RETIRED_MAX) this.#retired.shift();
    this.#current = undefined;
  }
}

export class RegisterProbe extends Writer<Register> {
  readonly #writer = this.client('register writer');
  readonly #reader = this.client('register reader');

  protected create(): Register {
    return new Register(this.newKey('register'), this.options.findings);
  }

  get keys(): string[] {
    return this.all.map(({ key }) => key);
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const register = this.current;
      const outcome = await this.write(this.#writer, ['SET', register.key, register.next()]);
      if (outcome.ok) register.written(outcome.reply);
      else if (!outcome.certain) {
        register.unknown();
        this.retire();
        continue;
      }
      const read = await this.#reader.one(['GET', register.key]);
      if (read.ok && register.read(read.reply)) await this.#again(register);
      await this.pause();
    }
  }

  async settle(): Promise<void> {
    for (const register of this.all) {
      if (this.skip()) continue;
      const outcome = await this.insist(this.#reader, ['GET', register.key]);
      if (outcome.ok && register.read(outcome.reply)) await this.#again(register);
    }
  }

  async #again(register: Register): Promise<void> {
    for (let attempt = 0; attempt < REREADS; attempt++) {
      await sleep(REREAD_MS);
      const outcome = await this.#reader.one(['GET', register.key]);
      if (outcome.ok && !register.read(outcome.reply)) return;
    }
    register.settle();
  }
}

export class CounterProbe extends Writer<Counter> {
  readonly #writer = this.client('counter');
  readonly #reader = this.client('counter reader');

  protected create(): Counter {
    return new Counter(this.newKey('counter'), this.options.findings);
  }

  get keys(): string[] {
    return this.all.map(({ key }) => key);
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const counter = this.current;
      const outcome = await this.write(this.#writer, ['INCR', counter.key]);
      if (outcome.ok) counter.raised(outcome.reply);
      else if (!outcome.certain) {
        counter.unknown();
        this.retire();
      }
      await this.pause();
    }
  }

  async settle(): Promise<void> {
    for (const counter of this.all) {
      if (this.skip()) continue;
      const outcome = await this.insist(this.#reader, ['GET', counter.key]);
      if (outcome.ok) counter.read(outcome.reply);
    }
  }
}

export class LogProbe extends Writer<Log> {
  readonly #writer = this.client('log');
  readonly #reader = this.client('log reader');

  protected create(): Log {
    return new Log(this.newKey('log'), this.options.findings);
  }

  get keys(): string[] {
    return this.all.map(({ key }) => key);
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const log = this.current;
      const outcome = await this.write(this.#writer, ['APPEND', log.key, log.next()]);
      if (outcome.ok) log.appended(outcome.reply);
      else if (!outcome.certain) {
        log.unknown();
        this.retire();
      }
      if (log.tokens >= TOKENS_MAX) this.retire();
      await this.pause();
    }
  }

  async settle(): Promise<void> {
    for (const log of this.all) {
      if (this.skip()) continue;
      const outcome = await this.insist(this.#reader, ['GET', log.key]);
      if (outcome.ok) log.read(outcome.reply);
    }
  }
}

export class PairProbe extends Writer<Pair> {
  readonly #writer = this.client('transaction');
  readonly #reader = this.client('transaction reader');

  protected create(): Pair {
    return new Pair(this.newKey('pair'), this.options.findings);
  }

  get keys(): string[] {
    return this.all.flatMap(({ left, right }) => [left, right]);
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const pair = this.current;
      const outcome = await this.transact(this.#writer, [
        ['INCR', pair.left],
        ['INCR', pair.right],
      ]);
      if (outcome.ok) pair.raised(outcome.reply);
      else if (!outcome.certain) {
        pair.unknown();
        this.retire();
      }
      await this.pause();
    }
  }

  async settle(): Promise<void> {
    for (const pair of this.all) {
      if (this.skip()) continue;
      for (let attempt = 0; attempt < REREADS; attempt++) {
        const outcome = await this.#reader.transaction([
          ['GET', pair.left],
          ['GET', pair.right],
        ]);
        if (outcome.ok) {
          pair.read(outcome.reply);
          break;
        }
        await sleep(REREAD_MS);
      }
    }
  }
}

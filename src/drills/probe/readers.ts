/** Clients that read what never changes, many keys at once: a reply that went to somebody else is seen at once. */
import { show } from '../check/findings.js';
import { Probe, type ProbeOptions } from './probe.js';

const KEYS = 200;

export class ReaderProbe extends Probe {
  readonly #client = this.client('reader');
  readonly #pipeline: number;
  readonly #keys = Array.from({ length: KEYS }, (_, number) => {
    const { prefix, index } = this.options;
    return `${prefix}read${index}:${number}`;
  });
  #next = 0;

  /** @param pipeline commands at once */
  constructor(options: ProbeOptions, pipeline: number) {
    super(options);
    this.#pipeline = pipeline;
  }

  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Writes what will be read, and has as many replicas as are asked for take it. */
  async prepare(): Promise<void> {
    for (const key of this.#keys) await this.insist(this.#client, ['SET', key, contentOf(key)]);
  }

  async run(): Promise<void> {
    while (!this.stopping) {
      const keys = Array.from({ length: this.#pipeline }, () => this.#keys[this.#next++ % KEYS] as string);
      await this.#read(keys);
      if (this.options.pauseMs > 0) await this.pause();
    }
  }

  async settle(): Promise<void> {
    for (let at = 0; at < KEYS; at += this.#pipeline) await this.#read(this.#keys.slice(at, at + this.#pipeline));
  }

  async #read(keys: readonly string[]): Promise<void> {
    const outcomes = await this.#client.do(keys.map((key) => ['GET', key]));
    for (const [at, outcome] of outcomes.entries()) {
      const key = keys[at] as string;
      if (!outcome.ok || outcome.reply === contentOf(key)) continue;
      const { findings } = this.options;
      if (outcome.reply === null) findings.add('lost-write', key, 'it is not there');
      else findings.add('foreign-reply', key, `GET was answered ${show(outcome.reply)}`);
    }
  }
}

const contentOf = (key: string) => `value of ${key}`;

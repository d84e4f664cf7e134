/** Clients that wait for what others send: channels and queues. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Channel } from '../check/channel.js';
import { Queue } from '../check/queue.js';
import { Probe } from './probe.js';

/** How long messages and elements that are on their way are waited for in the end. */
const ARRIVE_MS = 5_000;
const LOOK_MS = 20;
/** Seconds that BLPOP waits. */
const BLOCK_S = '1';
/** Elements in a queue at most: who puts them in waits then. */
const LENGTH_MAX = 1_000;

export class ChannelProbe extends Probe {
  readonly #publisher = this.client('publisher');
  readonly #listener = this.client('listener');
  readonly #channel = new Channel(this.newKey('channel'), this.options.findings);
  #listening = false;
  /** Changes whenever it begins to listen. */
  #session = 0;

  readonly keys = [];

  async run(): Promise<void> {
    const listening = this.#listen();
    while (!this.stopping) {
      if (this.#listening) {
        const session = this.#session;
        const outcome = await this.#publisher.one(['PUBLISH', this.#channel.name, this.#channel.next()]);
        if (!outcome.ok) this.#channel.unknown();
        // Who was away for a moment of it is not promised the message.
        else if (this.#listening && session === this.#session) this.#channel.published(outcome.reply);
      }
      await this.pause();
    }
    const until = performance.now() + ARRIVE_MS;
    while (!this.#channel.isComplete && performance.now() < until) await sleep(LOOK_MS);
    this.#listener.close();
    await listening;
  }

  async settle(): Promise<void> {
    this.#channel.settle();
  }

  async #listen(): Promise<void> {
    while (!this.stopping) {
      await this.#listener.listen(
        this.#channel.name,
        (channel, text) => this.#channel.heard(channel, text),
        () => {
          this.#session++;
          this.#listening = true;
        },
      );
      this.#listening = false;
      if (!this.stopping) this.#channel.interrupted();
    }
  }
}

export class QueueProbe extends Probe {
  readonly #producer = this.client('producer');
  readonly #consumer = this.client('consumer');
  readonly #queue = new Queue(this.newKey('queue'), this.options.findings);

  get keys(): string[] {
    return [this.#queue.key];
  }

  async run(): Promise<void> {
    const consuming = this.#consume();
    while (!this.stopping) {
      if (this.#queue.length < LENGTH_MAX) {
        const outcome = await this.write(this.#producer, ['RPUSH', this.#queue.key, this.#queue.next()]);
        if (outcome.ok) this.#queue.pushed(outcome.reply);
        else if (!outcome.certain) this.#queue.unknown();
      }
      await this.pause();
    }
    await consuming;
  }

  async settle(): Promise<void> {
    const until = performance.now() + ARRIVE_MS;
    while (!this.#queue.isEmpty && performance.now() < until) await this.#take();
    this.#queue.settle();
  }

  async #consume(): Promise<void> {
    while (!this.stopping) await this.#take();
  }

  async #take(): Promise<void> {
    const outcome = await this.#consumer.wait(['BLPOP', this.#queue.key, BLOCK_S]);
    if (outcome.ok) this.#queue.taken(outcome.reply);
    else if (!outcome.certain) this.#queue.interrupted();
    else await sleep(LOOK_MS);
  }
}

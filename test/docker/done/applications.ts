/** Applications behind the proxy while everything is changed under them: pipelines of raw clients, and a ledger kept by ioredis. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { expect } from 'vitest';
import { type Load, startLoad } from '../../support/proxy-load.js';

const CLIENTS = 8;
const PAUSE_MS = 10;
/** Keys of the ledger that are read at once at the end. */
const PAGE = 500;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions;
  readonly password: string;
}

export class Applications {
  #running = true;
  /** Entries that were acknowledged. */
  #entries = 0;
  readonly #failures: string[] = [];
  readonly #writing: Promise<void>;

  private constructor(
    readonly load: Load,
    readonly redis: Redis,
  ) {
    this.#writing = this.#write();
  }

  static async start(endpoint: Endpoint): Promise<Applications> {
    const load = await startLoad({ ...endpoint, clients: CLIENTS });
    // An application that is cut off, or told anything but OK, counts it; it does not try again behind one's back.
    const redis = new Redis({ ...endpoint, lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 });
    redis.on('error', () => {});
    await redis.connect();
    return new Applications(load, redis);
  }

  /** Every entry is a key of its own, so that one that is lost is seen however long ago it was written. */
  async #write(): Promise<void> {
    while (this.#running) {
      try {
        await this.redis.set(`ledger:${this.#entries}`, `entry ${this.#entries}`);
        this.#entries++;
      } catch (error) {
        this.#failures.push((error as Error).message);
        // One failure tells enough.
        return;
      }
      await sleep(PAUSE_MS);
    }
  }

  /** Nobody has seen an error so far, and everybody goes on. */
  async expectNoErrors(after: string): Promise<void> {
    await this.load.progress(2);
    const { errors, wrong, lost, closed } = this.load.result;
    const seen = { errors: [...errors], wrong, lost, closed, ledger: this.#failures };
    expect(seen, after).toEqual({ errors: [], wrong: [], lost: [], closed: 0, ledger: [] });
  }

  /** Ends all of them; nothing that was acknowledged is lost. @returns how much was done */
  async finish(): Promise<{ rounds: number; entries: number; slowestMs: number }> {
    await this.expectNoErrors('at the end');
    this.#running = false;
    const [{ rounds, slowestMs }] = await Promise.all([this.load.stop(), this.#writing]);
    const missing: number[] = [];
    for (let first = 0; first < this.#entries; first += PAGE) {
      const numbers = Array.from({ length: Math.min(PAGE, this.#entries - first) }, (_, index) => first + index);
      const values = await this.redis.mget(numbers.map((number) => `ledger:${number}`));
      missing.push(...numbers.filter((number, index) => values[index] !== `entry ${number}`));
    }
    this.redis.disconnect();
    expect(missing).toEqual([]);
    return { rounds, entries: this.#entries, slowestMs };
  }
}

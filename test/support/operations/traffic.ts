/**
 * Clients of a cluster that keep writing while it is changed, and keys that nobody touches meanwhile; at the end both are
 * looked for, one by one. A client is ioredis, as applications use it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import type { NodeAddress } from '../../../src/cluster/address.js';
import type { ConnectSettings } from '../../../src/cluster/node-pool.js';

const WRITERS = 4;
const KEYS_EACH = 25;
/** About 400 writes a second by four writers: enough to meet every slot on its way, and no benchmark. */
const PAUSE_MS = 10;

interface Written {
  acknowledged: number;
  sent: number;
}

export class Traffic {
  /** What clients were told that is no answer, with the moment. */
  readonly errors: string[] = [];
  readonly #keys = new Map<string, Written>();
  readonly #client: Cluster;
  readonly #running: Promise<void>[];
  #stopped = false;

  private constructor(client: Cluster) {
    this.#client = client;
    for (let index = 0; index < WRITERS * KEYS_EACH; index++) {
      this.#keys.set(`counter:${index}`, { acknowledged: 0, sent: 0 });
    }
    const names = this.names;
    this.#running = Array.from({ length: WRITERS }, (_, writer) =>
      this.#write(names.filter((__, index) => index % WRITERS === writer)),
    );
  }

  /** Returns when every key was written once. */
  static async start(seeds: readonly NodeAddress[], connect: ConnectSettings = {}): Promise<Traffic> {
    const { username, password, tls } = connect;
    const client = new Cluster([...seeds], {
      redisOptions: { username, password, tls, connectTimeout: 5_000 },
      // Without it, names are looked up first, and the certificate is compared with the address.
      ...(tls === undefined ? {} : { dnsLookup: (name, found) => found(null, name) }),
      // A slot is on its way for a moment only; one that is left open answers ASK as well.
      retryDelayOnTryAgain: 50,
    });
    // Told of each node that goes away; what counts is what commands answer.
    client.on('error', () => undefined);
    const traffic = new Traffic(client);
    while (!traffic.everyKeyWritten) await sleep(PAUSE_MS);
    return traffic;
  }

  get names(): string[] {
    return [...this.#keys.keys()];
  }

  get everyKeyWritten(): boolean {
    return [...this.#keys.values()].every(({ acknowledged }) => acknowledged > 0);
  }

  get writes(): number {
    return [...this.#keys.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** What a key's value may be: from the last that was acknowledged on. Ask before it is read. */
  lowest(name: string): number {
    return this.#keys.get(name)?.acknowledged ?? 0;
  }

  /** The last that was sent. Ask after it was read. */
  highest(name: string): number {
    return this.#keys.get(name)?.sent ?? 0;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    this.#client.disconnect();
  }

  async #write(names: readonly string[]): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const name = names[turn % names.length] as string;
      const written = this.#keys.get(name) as Written;
      const value = ++written.sent;
      try {
        await this.#client.set(name, value);
        written.acknowledged = value;
      } catch (error) {
        this.errors.push(`${new Date().toISOString()} SET ${name} ${value}: ${(error as Error).message}`);
      }
      await sleep(PAUSE_MS);
    }
  }
}

/** A client for each shard that writes and reads one key there all the time: what its keys lived through. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasSlot } from '../../../src/cluster/slots.js';
import { Findings } from '../../../src/drills/check/findings.js';
import type { Endpoint } from '../../../src/drills/link/link.js';
import { Meter } from '../../../src/drills/meter.js';
import { DrillClient } from '../../../src/drills/probe/client.js';
import { keySlot } from '../../../src/proxy/engine/hash/crc16.js';
import type { NetworkShard } from './network-stand.js';

const PAUSE_MS = 10;
const NAMES_MAX = 1_000;

export interface Lived {
  /** The longest time without an answer, milliseconds. */
  readonly pauseMs: number;
  readonly errors: number;
}

export class ShardWatch {
  readonly #watched: { readonly client: DrillClient; readonly meter: Meter; readonly shard: NetworkShard }[] = [];
  readonly #running: Promise<void>[] = [];
  #stopping = false;

  static start(endpoint: Endpoint, shards: readonly NetworkShard[]): ShardWatch {
    const watch = new ShardWatch();
    for (const shard of shards) {
      const meter = new Meter(performance.now());
      const client = new DrillClient('watch', { endpoint, meter, findings: new Findings() });
      watch.#watched.push({ client, meter, shard });
      watch.#running.push(watch.#run(client, keyOf(shard)));
    }
    return watch;
  }

  async #run(client: DrillClient, key: string): Promise<void> {
    while (!this.#stopping) {
      await client.do([
        ['SET', key, 'watched'],
        ['GET', key],
      ]);
      await sleep(PAUSE_MS);
    }
  }

  /** Ends it. */
  async stop(): Promise<Map<NetworkShard, Lived>> {
    const now = performance.now();
    this.#stopping = true;
    const lived = this.#watched.map(({ shard, meter }) => {
      const errors = Object.values(meter.errors).reduce((sum, count) => sum + count, 0);
      return [shard, { pauseMs: meter.longestPause(now).ms, errors }] as const;
    });
    await Promise.all(this.#running);
    for (const { client } of this.#watched) client.close();
    return new Map(lived);
  }
}

function keyOf({ slots }: NetworkShard): string {
  for (let number = 0; number < NAMES_MAX; number++) {
    const key = `watch:${number}`;
    if (hasSlot(slots, keySlot(Buffer.from(key), 0, key.length))) return key;
  }
  throw new Error('no name has a slot of the shard');
}

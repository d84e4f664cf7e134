import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import { masterOf } from '../core/dedicated.js';
import { type Lane, LaneState } from '../core/lane.js';
import type { Router } from '../core/router.js';
import { HI, LO } from '../hash/uint64.js';
import { XXHASH64, xxHash64 } from '../hash/xxhash64.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** What stands for the keys in `bytes` of a WATCH, which names nothing else: they may be large, and are only counted. */
export function digestsOf(bytes: Bytes, { starts, ends, count }: RequestFrame): Set<string> {
  const digests = new Set<string>();
  for (let i = 1; i < count; i++) {
    xxHash64(bytes, starts[i], ends[i]);
    digests.add(`${XXHASH64[HI]}:${XXHASH64[LO]}`);
  }
  return digests;
}

/** Keys that a client watches: a server looks at them, for the connection that they were named on. */
export class Watch {
  private readonly keys = new Set<string>();

  constructor(
    readonly client: Client,
    readonly router: Router,
    readonly slot: number,
    readonly lane: Lane,
  ) {
    client.belongings.add(this.discard);
    watches.set(client, this);
  }

  /** False when keys may have changed without the server's knowledge: its connection, its role or the slot is lost. */
  get holds(): boolean {
    const { lane } = this;
    return (
      lane.state === LaneState.ready && lane.id === this.client.laneId && masterOf(this.router, this.slot) === lane.node
    );
  }

  /** How many keys would be watched with these. */
  countWith(digests: ReadonlySet<string>): number {
    let count = this.keys.size;
    for (const digest of digests) if (!this.keys.has(digest)) count++;
    return count;
  }

  /** The server watches these, too. */
  add(digests: ReadonlySet<string>): void {
    for (const digest of digests) this.keys.add(digest);
    this.client.details.watched = this.keys.size;
  }

  /** The client watches nothing any more; whoever calls looks after the connection. */
  end(): void {
    watches.delete(this.client);
    this.client.details.watched = 0;
    this.client.belongings.delete(this.discard);
  }

  /** The same, and the connection is closed. */
  readonly discard = (): void => {
    this.end();
    this.router.dedicated.discard(this.lane);
  };
}

const watches = new WeakMap<Client, Watch>();

/** What a client watches; null for nothing. */
export function watchOf(client: Client): Watch | null {
  return watches.get(client) ?? null;
}

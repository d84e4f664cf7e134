import type { Client } from '../core/client.js';
import { masterOf } from '../core/dedicated.js';
import { type Lane, LaneState } from '../core/lane.js';
import type { Router } from '../core/router.js';

/** Keys that a client watches: a server looks at them, for the connection that they were named on. */
export class Watch {
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
      lane.state === LaneState.ready &&
      lane.proto === this.client.proto &&
      masterOf(this.router, this.slot) === lane.node
    );
  }

  /** The client watches nothing any more; whoever calls looks after the connection. */
  end(): void {
    watches.delete(this.client);
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

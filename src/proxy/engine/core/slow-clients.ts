import { Counter } from '../stats.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';

/** Clients that do not take their replies, and the upstream connections that are not read because of them. */
export class SlowClients {
  private readonly watched = new Set<Client>();
  private readonly heldLanes = new Map<Client, Set<Lane>>();

  constructor(private readonly core: Core) {}

  /** Watches a client that leaves bytes untaken. */
  watch(client: Client): void {
    if (this.watched.has(client)) return;
    client.progressMs = this.core.nowMs;
    this.watched.add(client);
  }

  private inspect(client: Client): void {
    if (client.closed || client.output.bytes === 0) {
      this.watched.delete(client);
      return;
    }
    const stuck = this.core.nowMs - client.progressMs;
    if (client.holdsUpstream !== 0 && stuck >= this.core.limits.clientStallMs) {
      this.core.count(Counter.downstream_cx_overflow_close);
      this.core.disconnect(client, 'it holds up an upstream connection and does not read its replies');
    } else if (stuck >= this.core.limits.clientUnreadMs) {
      this.core.count(Counter.downstream_cx_slow_close);
      this.core.disconnect(client, 'it does not read its replies');
    }
  }

  /** Stops reading an upstream connection until the client has taken what it brought. */
  holdUpstream(client: Client, lane: Lane): void {
    let lanes = this.heldLanes.get(client);
    if (lanes === undefined) {
      lanes = new Set();
      this.heldLanes.set(client, lanes);
    }
    if (lanes.has(lane)) return;
    lanes.add(lane);
    client.holdsUpstream++;
    lane.pause();
    this.watch(client);
  }

  releaseUpstreams(client: Client): void {
    client.holdsUpstream = 0;
    const lanes = this.heldLanes.get(client);
    if (lanes === undefined) return;
    this.heldLanes.delete(client);
    for (const lane of lanes) lane.resume();
  }

  /** Looks whether they have moved. */
  tick(): void {
    for (const client of this.watched) this.inspect(client);
  }

  forget(client: Client): void {
    this.watched.delete(client);
  }
}

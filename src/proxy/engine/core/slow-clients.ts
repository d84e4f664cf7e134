import { Counter } from '../stats.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';

/** The upstream connections that a client holds up, and since when. */
interface Holding {
  readonly lanes: Set<Lane>;
  /** When the present hold began; meaningless while `lanes` is empty. */
  sinceMs: number;
  /** Time spent in earlier holds since the client had last taken everything. */
  earlierMs: number;
}

/** Clients that do not take their replies, and the upstream connections that are not read because of them. */
export class SlowClients {
  private readonly watched = new Set<Client>();
  private readonly holdings = new Map<Client, Holding>();

  constructor(private readonly core: Core) {}

  /** Watches a client that leaves bytes untaken. */
  watch(client: Client): void {
    if (this.watched.has(client)) return;
    client.progressMs = this.core.nowMs;
    this.watched.add(client);
  }

  private inspect(client: Client): void {
    if (client.closed || client.output.bytes === 0) {
      this.forget(client);
      return;
    }
    const { clientStallMs, clientHoldMs, clientUnreadMs } = this.core.limits;
    const stuckMs = this.core.nowMs - client.progressMs;
    // Everybody else waits for as long as it holds up a connection, so it may not do so for long even when it reads.
    if ((client.holdsUpstream !== 0 && stuckMs >= clientStallMs) || this.heldMs(client) >= clientHoldMs) {
      this.core.count(Counter.downstream_cx_overflow_close);
      this.core.disconnect(
        client,
        'it holds up an upstream connection and reads its replies too slowly, or not at all',
      );
    } else if (stuckMs >= clientUnreadMs) {
      this.core.count(Counter.downstream_cx_slow_close);
      this.core.disconnect(client, 'it does not read its replies');
    }
  }

  private heldMs(client: Client): number {
    const holding = this.holdings.get(client);
    if (holding === undefined) return 0;
    return holding.earlierMs + (holding.lanes.size === 0 ? 0 : this.core.nowMs - holding.sinceMs);
  }

  /** Stops reading an upstream connection until the client has taken what it brought. */
  holdUpstream(client: Client, lane: Lane): void {
    let holding = this.holdings.get(client);
    if (holding === undefined) {
      holding = { lanes: new Set(), sinceMs: 0, earlierMs: 0 };
      this.holdings.set(client, holding);
    }
    if (holding.lanes.has(lane)) return;
    if (holding.lanes.size === 0) holding.sinceMs = this.core.nowMs;
    holding.lanes.add(lane);
    client.holdsUpstream++;
    lane.pause();
    this.watch(client);
  }

  releaseUpstreams(client: Client): void {
    client.holdsUpstream = 0;
    const holding = this.holdings.get(client);
    if (holding === undefined) return;
    if (holding.lanes.size > 0) holding.earlierMs += this.core.nowMs - holding.sinceMs;
    for (const lane of holding.lanes) lane.resume();
    holding.lanes.clear();
  }

  /** Looks whether they have moved. */
  tick(): void {
    for (const client of this.watched) this.inspect(client);
  }

  /** The client has taken everything, or is gone. */
  forget(client: Client): void {
    this.watched.delete(client);
    this.releaseUpstreams(client);
    this.holdings.delete(client);
  }
}

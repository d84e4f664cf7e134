import { Counter } from '../stats.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';

/** The upstream connections that a client holds up, and since when. */
interface Holding {
  readonly lanes: Set<Lane>;
  sinceMs: number;
}

/**
 * Clients that do not take their replies as fast as they come, and the upstream connections that are not read because
 * of them. Everybody else on such a connection waits; so a client that reads soon gets more room instead, as Redis
 * would give it, and one that does not is disconnected.
 */
export class SlowClients {
  private readonly watched = new Set<Client>();
  /** Room given to clients above what each has by right, bytes. */
  private extraBytes = 0;
  private readonly holdings = new Map<Client, Holding>();
  /** Since when clients have more unsent than they may have for long. */
  private readonly softSinceMs = new Map<Client, number>();

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
    if (this.closeAboveLimits(client)) return;
    const { clientStallMs, clientHoldMs, clientHoldMaxMs, clientUnreadMs } = this.core.limits;
    const stuckMs = this.core.nowMs - client.progressMs;
    const heldMs = this.heldMs(client);
    if (heldMs >= clientHoldMs && stuckMs < heldMs && this.giveRoom(client)) return;
    if (client.holdsUpstream !== 0 && (stuckMs >= clientStallMs || heldMs >= clientHoldMaxMs)) {
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

  /** Disconnects one that has more unsent than it may have, or too much for too long: `max_output_buffer`. */
  private closeAboveLimits(client: Client): boolean {
    const { limits, nowMs, pubsub } = this.core;
    const subscriber = pubsub.subscribers.of(client);
    const { bytes } = client.output;
    const softBytes = subscriber === undefined ? limits.clientOutputSoftBytes : limits.pubsubOutputSoftBytes;
    const softMs = subscriber === undefined ? limits.clientOutputSoftMs : limits.pubsubOutputSoftMs;
    let reason = '';
    if (subscriber === undefined && bytes > limits.clientOutputHardBytes)
      reason = 'more replies wait for it than max_output_buffer.hard_bytes';
    if (bytes <= softBytes) this.softSinceMs.delete(client);
    else if (!this.softSinceMs.has(client)) this.softSinceMs.set(client, nowMs);
    else if (nowMs - (this.softSinceMs.get(client) as number) >= softMs)
      reason = 'more bytes have waited for it than soft_bytes, for longer than soft_seconds';
    if (reason === '') return false;
    this.core.count(
      subscriber === undefined ? Counter.downstream_cx_output_buffer_close : Counter.downstream_pubsub_slow_close,
    );
    this.core.disconnect(client, reason);
    return true;
  }

  private heldMs(client: Client): number {
    const holding = this.holdings.get(client);
    return holding === undefined ? 0 : this.core.nowMs - holding.sinceMs;
  }

  /** Lets a client have more unsent replies, and the connections that it held up go on. False when there is no room. */
  private giveRoom(client: Client): boolean {
    const { clientOutputBytesMax, extraOutputBytesMax } = this.core.limits;
    if (this.extraBytes + clientOutputBytesMax > extraOutputBytesMax) return false;
    this.extraBytes += clientOutputBytesMax;
    client.outputBytesMax += clientOutputBytesMax;
    this.releaseUpstreams(client);
    return true;
  }

  /** Stops reading an upstream connection until the client has taken what it brought. */
  holdUpstream(client: Client, lane: Lane): void {
    let holding = this.holdings.get(client);
    if (holding === undefined) {
      holding = { lanes: new Set(), sinceMs: this.core.nowMs };
      this.holdings.set(client, holding);
    }
    if (holding.lanes.has(lane)) return;
    holding.lanes.add(lane);
    client.holdsUpstream++;
    lane.pause();
    this.watch(client);
  }

  releaseUpstreams(client: Client): void {
    client.holdsUpstream = 0;
    const holding = this.holdings.get(client);
    if (holding === undefined) return;
    this.holdings.delete(client);
    for (const lane of holding.lanes) lane.resume();
  }

  /** Looks whether they have moved, and what they take in all. */
  tick(): void {
    let total = 0;
    for (const client of this.watched) {
      this.inspect(client);
      if (!client.closed) total += client.output.bytes;
    }
    if (total > this.core.limits.outputBytesTotalMax) this.shed(total);
  }

  /** Disconnects those that wait for the most until the rest is within bounds. */
  private shed(total: number): void {
    let left = total;
    for (const client of [...this.watched].sort((a, b) => b.output.bytes - a.output.bytes)) {
      if (left <= this.core.limits.outputBytesTotalMax) return;
      left -= client.output.bytes;
      this.core.count(Counter.downstream_cx_overflow_close);
      this.core.disconnect(
        client,
        'replies for all clients take more memory than is allowed, and most are for this one',
      );
    }
  }

  /** The client has taken everything, or is gone. */
  forget(client: Client): void {
    this.watched.delete(client);
    this.softSinceMs.delete(client);
    this.releaseUpstreams(client);
    this.extraBytes -= client.outputBytesMax - this.core.limits.clientOutputBytesMax;
    client.outputBytesMax = this.core.limits.clientOutputBytesMax;
  }
}

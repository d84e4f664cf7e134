import { unblock } from '../engine/blocking/waits.js';
import type { Client } from '../engine/core/client.js';
import type { Core } from '../engine/core/core.js';
import { Hold } from '../engine/core/hold.js';

/** How a worker lets its clients go, in milliseconds from the beginning. */
export interface DrainTimes {
  /** A client that has asked nothing for so long, and has no state here, is closed: it comes back elsewhere. */
  readonly idleMs: number;
  /** From then on everybody is closed at a pause between two commands, subscribers among them. */
  readonly drainMs: number;
  /** From then on everybody is closed; who is blocked gets the answer of a wait that has found nothing. */
  readonly shutdownMs: number;
}

/** The process was told to end: who has its answers goes at once. */
export const AT_ONCE: DrainTimes = { idleMs: 0, drainMs: 0, shutdownMs: Number.POSITIVE_INFINITY };
/** Clients are looked at this often. */
const SWEEP_MS = 50;

/** Lets the clients of a worker go that accepts no others. */
export class Draining {
  private readonly sinceMs: number;
  private sweptMs = 0;

  constructor(
    private readonly core: Core,
    private readonly times: DrainTimes,
  ) {
    this.sinceMs = core.nowMs;
  }

  /** Called with every tick. True when nobody is left. */
  tick(): boolean {
    const { core, times } = this;
    const { nowMs } = core;
    if (times.idleMs > 0 && nowMs - this.sweptMs < SWEEP_MS) return core.clients.size === 0;
    this.sweptMs = nowMs;
    const ageMs = nowMs - this.sinceMs;
    for (const client of [...core.clients]) {
      const paused = client.head === null && client.output.bytes === 0;
      if (paused && (ageMs >= times.drainMs || this.resting(client))) this.end(client);
      else if (ageMs >= times.shutdownMs && !unblock(client, 'timeout') && !paused) {
        client.transport.terminate();
        core.left(client);
      }
    }
    return core.clients.size === 0;
  }

  /** It asks nothing at the moment, is in the middle of nothing, and gets what it needs from any other connection. */
  private resting(client: Client): boolean {
    const { core, times } = this;
    if (core.nowMs - client.lastActiveMs < times.idleMs) return false;
    if (client.carry !== null || client.large !== null || client.mode !== null) return false;
    if ((client.hold & Hold.blocked) !== 0 || client.details.monitor) return false;
    return core.pubsub.subscribers.of(client) === undefined;
  }

  /** What it was answered is on its way before the end. */
  private end(client: Client): void {
    client.transport.end();
    this.core.left(client);
  }
}

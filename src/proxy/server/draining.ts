import { unblock } from '../engine/blocking/waits.js';
import type { Client } from '../engine/core/client.js';
import type { Core } from '../engine/core/core.js';
import { Hold } from '../engine/core/hold.js';

/** How a worker lets its clients go, in milliseconds from the beginning. */
export interface DrainTimes {
  /** A client that has asked nothing for so long, and has no state here, is closed: it comes back elsewhere. */
  readonly idleMs: number;
  /** From then on those who cannot be passed on are closed: subscribers, and everybody else at any pause between two commands. */
  readonly drainMs: number;
  /** From then on everybody is closed; who is blocked gets the answer of a wait that has found nothing. */
  readonly shutdownMs: number;
}

/** The process was told to end: who has its answers goes at once. */
export const AT_ONCE: DrainTimes = {
  idleMs: 0,
  drainMs: Number.POSITIVE_INFINITY,
  shutdownMs: Number.POSITIVE_INFINITY,
};

/**
 * The same with patience: everybody at a moment at which it is unlikely to say something, which its end would cross.
 * @param ms for those who are never at such a moment, or wait for something
 */
export const atPauses = (ms: number): DrainTimes => ({ idleMs: RESTING_MS, drainMs: 0, shutdownMs: ms });
const RESTING_MS = 1000;

/** How often `urge` is called, and how many clients it looks at. */
export const URGE_MS = 2;
const URGED_MAX = 256;
/** Who has asked nothing for so long since a command that is answered has begun to do something else. */
const PAUSE_MS = 2;
const PAUSE_MAX_MS = 50;
/** Who is blocked until so long before the end is answered, and has still time to be passed on. */
const UNBLOCKED_MS = 100;

/** Passes clients on to the process that takes over (handover/passing.ts). */
export interface Successor {
  /** Passes a client on, now or soon. False: it cannot be passed on as it is. */
  pass(client: Client): boolean;
  /** Called every few milliseconds. */
  urge(): void;
  /** Nothing is left to be told to the other process. */
  readonly settled: boolean;
}

/** Lets the clients of a worker go that accepts no others. */
export class Draining {
  private readonly sinceMs: number;
  private urged: Client[] = [];

  constructor(
    private readonly core: Core,
    private readonly times: DrainTimes,
    /** Null: there is nobody who would go on with them. */
    private readonly passing: Successor | null = null,
  ) {
    this.sinceMs = core.nowMs;
  }

  /** Called with every tick. True when nobody is left, and the successor needs no more. */
  tick(): boolean {
    const { core, times } = this;
    const { nowMs } = core;
    const ageMs = nowMs - this.sinceMs;
    for (const client of [...core.clients]) {
      if (this.passes(client, ageMs)) {
        if (ageMs >= times.shutdownMs - UNBLOCKED_MS) unblock(client, 'timeout');
        continue;
      }
      const paused = client.head === null && client.output.bytes === 0;
      if (paused && (times.idleMs === 0 || this.resting(client))) this.end(client);
      else if (ageMs >= times.shutdownMs) this.finish(client, paused);
    }
    return core.clients.size === 0 && (this.passing === null || this.passing.settled || ageMs >= times.shutdownMs);
  }

  /**
   * Closes clients that are never idle for long, a little after a reply: then it is likely that they do something else
   * than ask again at once, and most of their pause is left for the end to reach them. Called every `URGE_MS`, and looks
   * at some of them each time.
   */
  urge(): void {
    const { core, times } = this;
    core.beginEvent();
    this.passing?.urge();
    const ageMs = core.nowMs - this.sinceMs;
    if (ageMs < times.drainMs) return;
    if (this.urged.length === 0) this.urged = [...core.clients];
    for (const client of this.urged.splice(-URGED_MAX)) {
      if (
        client.closed ||
        client.hold & Hold.passing ||
        client.head !== null ||
        client.output.bytes > 0 ||
        client.carry !== null
      )
        continue;
      // It may have ended a transaction since the last tick.
      if (this.passes(client, ageMs)) continue;
      if (this.listens(client)) this.end(client);
      else if (client.mode === null && this.hasJustPaused(client)) this.end(client);
    }
  }

  private passes(client: Client, ageMs: number): boolean {
    return ageMs < this.times.shutdownMs && this.passing?.pass(client) === true;
  }

  /** Its pause is not nearly over: who has been silent for longer may ask again at any moment. */
  private hasJustPaused(client: Client): boolean {
    const silentMs = this.core.nowMs - client.lastActiveMs;
    return silentMs >= PAUSE_MS && silentMs <= PAUSE_MAX_MS;
  }

  private finish(client: Client, paused: boolean): void {
    if (paused) this.end(client);
    else if (!unblock(client, 'timeout')) {
      client.transport.terminate();
      this.core.left(client);
    }
  }

  /** It gets what it has not asked for just now. */
  private listens(client: Client): boolean {
    return client.details.monitor || this.core.pubsub.subscribers.of(client) !== undefined;
  }

  /** It asks nothing at the moment, is in the middle of nothing, and gets what it needs from any other connection. */
  private resting(client: Client): boolean {
    const { core, times } = this;
    if (core.nowMs - client.lastActiveMs < times.idleMs) return false;
    if (client.carry !== null || client.large !== null || client.mode !== null) return false;
    return (client.hold & Hold.blocked) === 0 && !this.listens(client);
  }

  /** What it was answered is on its way before the end. */
  private end(client: Client): void {
    client.transport.end();
    this.core.left(client);
  }
}

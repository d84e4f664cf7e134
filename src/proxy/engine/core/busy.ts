import { Counter } from '../stats.js';
import type { Client } from './client.js';
import { Hold } from './hold.js';

const INTERVAL_MS = 100;

/** Keeps the gauge of commands on their way, which would cost too much to keep with every command. */
export class Busy {
  /** Clients that have commands on their way, or had some just now; not for long those that block. */
  private readonly clients: Client[] = [];
  private countedMs = 0;

  constructor(private readonly stats: Float64Array) {}

  note(client: Client): void {
    client.busy = true;
    this.clients.push(client);
  }

  /** @param blocked clients that block: each has one command on its way */
  tick(nowMs: number, blocked: number): void {
    if (nowMs - this.countedMs < INTERVAL_MS) return;
    this.countedMs = nowMs;
    const { clients } = this;
    let pending = blocked;
    let kept = 0;
    for (const client of clients) {
      if (client.pending === 0 || client.hold & Hold.blocked) client.busy = false;
      else {
        pending += client.pending;
        clients[kept++] = client;
      }
    }
    clients.length = kept;
    this.stats[Counter.downstream_rq_active] = pending;
  }
}

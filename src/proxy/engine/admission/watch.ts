import type { Client } from '../core/client.js';
import type { Scheduled } from '../core/deadlines.js';
import { Hold } from '../core/hold.js';
import { Counter } from '../stats.js';

/** A command that takes longer than `request_timeout` must come at this rate at least: no link in use is slower. */
const UPLOAD_BYTES_PER_MS = 1;
const NEVER = Number.POSITIVE_INFINITY;

/** What a client must do in time: log in, finish the command that it has begun, say something at all. */
export class Watch implements Scheduled {
  dueMs = NEVER;
  /** Since when it might have logged in. */
  private strangerSinceMs: number;

  constructor(private readonly client: Client) {
    this.strangerSinceMs = client.core.nowMs;
  }

  /** It begins anew, as one that has just come. */
  begin(): void {
    this.strangerSinceMs = this.client.core.nowMs;
    this.arm();
  }

  /** Comes back when the first of its times is over; what holds meanwhile is looked at then. */
  arm(): void {
    const { core } = this.client;
    core.deadlines.add(this, Math.min(this.loginDueMs(), this.requestDueMs(), this.idleDueMs()));
  }

  /** Comes back at that time at the latest. */
  armBy(dueMs: number): void {
    if (dueMs < this.dueMs) this.client.core.deadlines.add(this, dueMs);
  }

  due(): void {
    const { client } = this;
    const { core } = client;
    const { nowMs } = core;
    if (client.closed || client.closing) return;
    if (this.loginDueMs() <= nowMs) {
      core.count(Counter.downstream_cx_auth_timeout);
      core.disconnect(client, 'it has not logged in within auth_timeout');
    } else if (this.requestDueMs() <= nowMs) {
      core.count(Counter.downstream_rq_timeout);
      core.disconnect(client, 'it has not finished the command that it began within request_timeout');
    } else if (this.idleDueMs() <= nowMs) {
      core.count(Counter.downstream_cx_idle_timeout);
      core.disconnect(client, 'it has said nothing for idle_timeout', 'info');
    } else this.arm();
  }

  private loginDueMs(): number {
    const { client } = this;
    if (client.authenticated) return NEVER;
    const { clientLoginMs } = client.core.limits;
    // Its password is being checked, or was wrong: that takes its time.
    if (client.hold & Hold.login) return client.core.nowMs + clientLoginMs;
    return this.strangerSinceMs + clientLoginMs;
  }

  private requestDueMs(): number {
    const { client } = this;
    const received = client.large?.length ?? client.carry?.length ?? 0;
    if (received === 0) return NEVER;
    const { clientRequestMs } = client.core.limits;
    // What it has sent is not looked at: it is not the client that takes time.
    if (client.hold !== 0) return client.core.nowMs + clientRequestMs;
    return client.begunMs + clientRequestMs + received / UPLOAD_BYTES_PER_MS;
  }

  private idleDueMs(): number {
    const { client } = this;
    const { core } = client;
    const { clientIdleMs } = core.limits;
    if (clientIdleMs === NEVER) return NEVER;
    // As in Redis: who waits for something is not idle.
    const waits =
      client.head !== null ||
      client.output.bytes > 0 ||
      (client.hold & Hold.blocked) !== 0 ||
      client.details.monitor ||
      core.pubsub.subscribers.of(client) !== undefined;
    return (waits ? core.nowMs : client.lastActiveMs) + clientIdleMs;
  }
}

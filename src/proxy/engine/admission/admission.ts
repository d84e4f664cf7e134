import { hostOf, readIp } from '../access/addresses.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { Counter } from '../stats.js';
import { FULL, Ledger, ledgerBytes, Overload } from './ledger.js';
import { Meter, shown } from './meter.js';
import { type AdmissionSettings, NO_LIMITS, type UserLimits } from './settings.js';
import { SharedBucket } from './shared-bucket.js';
import { Shedding } from './shedding.js';
import { Watch } from './watch.js';

/** A connection that is let in and counted nowhere but in all. */
export const NO_PLACE = -1;
/** Why a connection is not let in: what `reserve` returns. All are below `NO_PLACE`. */
const Refused = { overload: -2, rate: -3, connections: -4, address: -5 } as const;

const REFUSALS: Readonly<Record<number, { readonly error: string; readonly counter: number }>> = {
  [Refused.overload]: {
    error: 'proxy is overloaded, try again',
    counter: Counter.downstream_cx_overload_reject,
  },
  [Refused.rate]: { error: 'connection rate limit reached, try again', counter: Counter.downstream_cx_rate_limited },
  [Refused.connections]: { error: 'max number of clients reached', counter: Counter.downstream_cx_overflow },
  [Refused.address]: {
    error: 'max number of clients from this address reached',
    counter: Counter.downstream_cx_address_overflow,
  },
};

/** Which clients may come in, which users may have another connection, and what they may spend. */
export class Admission {
  readonly ledger: Ledger;
  readonly shedding: Shedding;
  /** Users of this worker's clients that something is counted for. */
  private readonly meters = new Map<string, Meter>();
  /** What the main thread's clock is ahead of this one's. */
  private readonly aheadMs: number;

  constructor(private readonly core: Core) {
    const { shared, workers } = core.settings;
    this.ledger = new Ledger(shared?.memory ?? new SharedArrayBuffer(ledgerBytes(workers)), workers);
    this.aheadMs = shared === undefined ? 0 : shared.nowMs - core.nowMs;
    this.shedding = new Shedding(core, this.ledger);
    core.guards.add(({ meter }) => (meter?.limiting ? meter : null));
    core.followers.add(() => this.configure());
  }

  /** The time by the clock of all workers. */
  get sharedMs(): number {
    return this.core.nowMs + this.aheadMs;
  }

  private get settings(): AdmissionSettings {
    return this.core.settings.admission ?? NO_LIMITS;
  }

  private get worker(): number {
    return this.core.settings.worker;
  }

  // ---------------------------------------------------------------- connections

  /**
   * Lets a connection in, or not.
   * @param host where it comes from; empty for one without an address
   * @returns what to give to `core.accept`, or to `release` when it comes to nothing; below `NO_PLACE` it is refused
   */
  reserve(host: string): number {
    const { ledger, settings, worker } = this;
    if (ledger.overload >= Overload.refuseConnections) return this.refuse(Refused.overload, host);
    const { acceptRatePerSecond, acceptBurst, maxConnectionsPerAddress } = settings;
    if (Number.isFinite(acceptRatePerSecond)) {
      const bucket = new SharedBucket(ledger.buckets, ledger.acceptBucketAt, acceptRatePerSecond, acceptBurst);
      if (bucket.take(1, this.sharedMs) === 0) return this.refuse(Refused.rate, host);
    }
    if (!ledger.connect(worker, settings.maxConnections)) return this.refuse(Refused.connections, host);
    if (host === '' || !Number.isFinite(maxConnectionsPerAddress)) return NO_PLACE;
    const place = ledger.addresses.enter(host, worker, maxConnectionsPerAddress);
    if (place >= 0) return place;
    if (place !== FULL) return NO_PLACE;
    ledger.disconnect(worker);
    return this.refuse(Refused.address, host);
  }

  /** The same for a client that another process of this proxy had let in: it is counted, and not refused. */
  readmit(host: string): number {
    const { ledger, worker } = this;
    ledger.connect(worker, Number.POSITIVE_INFINITY);
    if (host === '' || !Number.isFinite(this.settings.maxConnectionsPerAddress)) return NO_PLACE;
    return Math.max(NO_PLACE, ledger.addresses.enter(host, worker, Number.POSITIVE_INFINITY));
  }

  private refuse(why: number, host: string): number {
    const { error, counter } = REFUSALS[why];
    this.core.count(counter);
    this.core.logs.note('warn', `a client was refused: ${error}`, { client: host === '' ? 'of a Unix socket' : host });
    return why;
  }

  /** What a client is told that is not let in. */
  refusal(why: number): string {
    return `-ERR ${REFUSALS[why].error}\r\n`;
  }

  /** A connection that was let in is gone. */
  release(place: number): void {
    this.ledger.disconnect(this.worker);
    if (place >= 0) this.ledger.addresses.leave(place, this.worker);
  }

  /** A client is gone. @param place as `reserve` gave it; `undefined`: it was not asked for */
  left(client: Client): void {
    if (client.place !== undefined) this.release(client.place);
    client.place = undefined;
    if (client.meter !== null) this.leave(client, client.meter);
    if (client.watch !== null) this.core.deadlines.remove(client.watch);
  }

  // ---------------------------------------------------------------- users

  /** A client has come, or begins anew. */
  welcomed(client: Client): void {
    if (client.authenticated) {
      const error = this.enter(client, client.user);
      if (error !== '') client.reply(this.core.text(`-${error}\r\n`), true);
    } else if (client.meter !== null) this.leave(client, client.meter);
    const { limits } = this.core;
    if (client.authenticated && limits.clientIdleMs === Number.POSITIVE_INFINITY && client.watch === null) return;
    client.watch ??= new Watch(client);
    client.watch.begin();
  }

  /** It has begun a command and not finished it. @param just what it sent before was finished in the same moment */
  unfinished(client: Client, just: boolean): void {
    if (just) client.begunMs = this.core.nowMs;
    client.watch ??= new Watch(client);
    client.watch.armBy(client.begunMs + this.core.limits.clientRequestMs);
  }

  /**
   * Makes a client one of a user's. Returns the error to answer with when there are as many as may be: nothing has
   * changed then.
   */
  enter(client: Client, user: string): string {
    const before = client.meter;
    if (before?.user === user) return '';
    const limits = this.limitsOf(user);
    let meter: Meter | null = null;
    if (limits !== null) {
      meter = this.obtain(user, limits, limits.maxConnections);
      if (meter === null) {
        this.core.count(Counter.downstream_cx_user_overflow);
        this.core.logs.note('warn', 'a login was refused: the user has as many connections as it may', {
          client: client.address,
          user: shown(user),
        });
        return `ERR max number of clients of user '${shown(user)}' reached`;
      }
    }
    if (before !== null) this.leave(client, before);
    client.meter = meter;
    return '';
  }

  /** Counts one more of a user. Null when there are too many. */
  private obtain(user: string, limits: UserLimits, most: number): Meter | null {
    const { ledger, worker } = this;
    const place = ledger.users.enter(user, worker, most, (at) => {
      ledger.buckets.fill(0n, ledger.userBucketAt(at), ledger.userBucketAt(at) + 2);
    });
    if (place === FULL) return null;
    let meter = this.meters.get(user);
    if (meter === undefined) {
      // Who finds no place among all workers' users is counted in this one.
      const buckets = place >= 0 ? ledger.buckets : new BigInt64Array(2);
      meter = new Meter(this.core, user, place, buckets, place >= 0 ? ledger.userBucketAt(place) : 0, limits);
      this.meters.set(user, meter);
    }
    meter.clients++;
    return meter;
  }

  private leave(client: Client, meter: Meter): void {
    client.meter = null;
    if (meter.place >= 0) this.ledger.users.leave(meter.place, this.worker);
    if (--meter.clients > 0) return;
    meter.giveBack();
    this.meters.delete(meter.user);
  }

  /** Null: nothing of the user's is limited. */
  private limitsOf(user: string): UserLimits | null {
    const { users, perUser } = this.settings;
    const limits = Object.hasOwn(users, user) ? users[user] : perUser;
    const { maxConnections, commandsPerSecond, bytesPerSecond } = limits;
    return Math.min(maxConnections, commandsPerSecond, bytesPerSecond) === Number.POSITIVE_INFINITY ? null : limits;
  }

  // ---------------------------------------------------------------- another configuration

  /** Who is there stays, also above a limit; from here on everybody is counted by the new ones. */
  private configure(): void {
    const { core, ledger, worker } = this;
    for (const meter of this.meters.values()) {
      const limits = this.limitsOf(meter.user);
      if (limits !== null) meter.configure(limits);
    }
    const byAddress = Number.isFinite(this.settings.maxConnectionsPerAddress);
    for (const client of core.clients) {
      const host = hostOf(client.address);
      if (byAddress && client.place === NO_PLACE && readIp(host) !== null) {
        const place = ledger.addresses.enter(host, worker, Number.POSITIVE_INFINITY);
        if (place >= 0) client.place = place;
      }
      this.renew(client);
      if (client.watch !== null || core.limits.clientIdleMs !== Number.POSITIVE_INFINITY) {
        client.watch ??= new Watch(client);
        client.watch.arm();
      }
    }
    this.shedding.configure();
  }

  private renew(client: Client): void {
    const limits = client.authenticated ? this.limitsOf(client.user) : null;
    if (limits === null && client.meter !== null) this.leave(client, client.meter);
    else if (limits !== null && client.meter === null)
      client.meter = this.obtain(client.user, limits, Number.POSITIVE_INFINITY);
    this.core.guards.renew(client);
  }
}

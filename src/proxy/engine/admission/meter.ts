import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import type { Guard } from '../core/guard.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { UserLimits } from './settings.js';
import { SharedBucket } from './shared-bucket.js';

/** A worker takes so much of a second's worth at a time. */
const LEASES_PER_SECOND = 50;
/** After a pause, so much of a second's worth may come at once. */
const BURST_SECONDS = 0.25;
/** What is left of a lease goes back, and what was spent is told to the others, after this time at the latest. */
const LEASE_MS = 100;
/** Commands of a user with bytes only to count, before it is asked what the others have spent. */
const UNCOUNTED_LEASE = 64;
/** A user that has nothing left is not asked about again before. */
const REFUSED_MS = 1;
const SHOWN_CHARACTERS_MAX = 64;

/**
 * What the clients of one user spend in this worker. The buckets are shared by all workers; a worker takes from them in
 * advance, and spends that without asking anybody.
 */
export class Meter implements Guard, Scheduled {
  dueMs = Number.POSITIVE_INFINITY;
  /** The clients of this worker that it counts. */
  clients = 0;
  /** Commands that may come before anything must be asked. */
  private left = 0;
  /** Bytes that were spent since the others were told. */
  private unsettled = 0;
  private settleAt = Number.POSITIVE_INFINITY;
  /** Of the command that came last; below 0 when it was free. */
  private lastBytes = 0;
  private refusedUntilMs = 0;
  private refusedFor: 'commands' | 'bytes' = 'commands';
  private commands: SharedBucket | null = null;
  private bytes: SharedBucket | null = null;
  private lease = UNCOUNTED_LEASE;
  private commandsError: Bytes | null = null;
  private bytesError: Bytes | null = null;

  constructor(
    private readonly core: Core,
    readonly user: string,
    /** Where its connections are counted; below 0: nowhere. */
    readonly place: number,
    private readonly buckets: BigInt64Array,
    /** Of the bucket of commands; that of bytes is behind it. */
    private readonly at: number,
    private limits: UserLimits,
  ) {
    this.configure(limits);
  }

  /** Limits that hold from here on. */
  configure(limits: UserLimits): void {
    this.giveBack();
    const { commandsPerSecond, bytesPerSecond } = limits;
    this.limits = limits;
    this.commands = this.bucket(commandsPerSecond, 0);
    this.bytes = this.bucket(bytesPerSecond, 1);
    this.lease = this.commands === null ? UNCOUNTED_LEASE : Math.ceil(commandsPerSecond / LEASES_PER_SECOND);
    this.settleAt = this.bytes === null ? Number.POSITIVE_INFINITY : bytesPerSecond / LEASES_PER_SECOND;
    this.refusedUntilMs = 0;
    this.commandsError = this.bytesError = null;
  }

  private bucket(rate: number, offset: number): SharedBucket | null {
    if (!Number.isFinite(rate)) return null;
    return new SharedBucket(this.buckets, this.at + offset, rate, Math.max(1, rate * BURST_SECONDS));
  }

  /** Something of what its clients do is limited. */
  get limiting(): boolean {
    return this.commands !== null || this.bytes !== null;
  }

  // ---------------------------------------------------------------- commands

  refusal(client: Client, entry: CommandEntry, _bytes: Bytes, frame: RequestFrame): Bytes | null {
    const bytes = frame.end - frame.starts[0];
    this.lastBytes = bytes;
    if (--this.left >= 0) {
      this.unsettled += bytes;
      return null;
    }
    return this.ask(client, entry, bytes);
  }

  /** The command has to wait for earlier ones, and comes again: then it is counted. */
  waits(): void {
    if (this.lastBytes < 0) return;
    this.left++;
    this.unsettled -= this.lastBytes;
  }

  private ask(client: Client, entry: CommandEntry, bytes: number): Bytes | null {
    this.left = 0;
    // Who has nothing left may say so, and log in as somebody else.
    if (entry.spec.flags & CommandFlag.no_auth) {
      this.lastBytes = -1;
      return null;
    }
    const nowMs = this.core.admission.sharedMs;
    if (nowMs >= this.refusedUntilMs && this.renew(nowMs)) {
      this.left--;
      this.unsettled += bytes;
      return null;
    }
    const forBytes = this.refusedFor === 'bytes';
    this.core.count(forBytes ? Counter.downstream_rq_bytes_rate_limited : Counter.downstream_rq_rate_limited);
    return this.error(forBytes, entry.name === 'exec' && client.details.queued >= 0);
  }

  /** Gets more to spend. False when there is nothing. */
  private renew(nowMs: number): boolean {
    this.settle(nowMs);
    if (this.bytes?.inDebt(nowMs)) {
      this.refuse('bytes', nowMs);
      return false;
    }
    this.left = this.commands === null ? this.lease : this.commands.take(this.lease, nowMs);
    if (this.left === 0) {
      this.refuse('commands', nowMs);
      return false;
    }
    if (this.dueMs === Number.POSITIVE_INFINITY) this.core.deadlines.add(this, this.core.nowMs + LEASE_MS);
    return true;
  }

  private refuse(what: 'commands' | 'bytes', nowMs: number): void {
    this.refusedFor = what;
    this.refusedUntilMs = nowMs + REFUSED_MS;
    this.core.logs.note('warn', 'a user has reached its limit; its commands are refused', {
      user: shown(this.user),
      limit: `${what === 'bytes' ? 'bytes' : 'commands'}_per_second`,
    });
  }

  private error(forBytes: boolean, exec: boolean): Bytes {
    const { commandsPerSecond, bytesPerSecond } = this.limits;
    const rate = forBytes ? `${bytesPerSecond} bytes` : `${commandsPerSecond} commands`;
    const text = `ERR rate limit of user '${shown(this.user)}' exceeded: ${rate} per second\r\n`;
    if (exec) return this.core.text(`-EXECABORT Transaction discarded because of: ${text}`);
    // Of thousands a second it is the same one.
    if (forBytes) this.bytesError ??= this.core.text(`-${text}`);
    else this.commandsError ??= this.core.text(`-${text}`);
    return (forBytes ? this.bytesError : this.commandsError) as Bytes;
  }

  // ---------------------------------------------------------------- bytes

  /** A client of the user has taken so many bytes of its replies. */
  sent(bytes: number): void {
    this.unsettled += bytes;
    if (this.unsettled < this.settleAt) return;
    this.settle(this.core.admission.sharedMs);
  }

  /** Tells the others what was spent. */
  private settle(nowMs: number): void {
    const spent = this.unsettled;
    this.unsettled = 0;
    if (this.bytes === null || spent <= 0) return;
    this.bytes.spend(spent, nowMs);
    if (this.bytes.inDebt(nowMs)) this.giveBackCommands();
  }

  // ---------------------------------------------------------------- leases

  due(): void {
    this.giveBack();
  }

  /** Nothing is kept that others could use. */
  giveBack(): void {
    this.core.deadlines.remove(this);
    this.settle(this.core.admission.sharedMs);
    this.giveBackCommands();
  }

  private giveBackCommands(): void {
    if (this.left > 0) this.commands?.giveBack(this.left);
    this.left = 0;
  }
}

/** A name as Redis may have it, for an error and a log. */
export function shown(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]/gu, '?').slice(0, SHOWN_CHARACTERS_MAX);
}

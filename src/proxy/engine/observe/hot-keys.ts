import { type Bytes, utf8 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { CommandFlag } from '../commands/spec.js';
import type { Client } from '../core/client.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { findKeys, KEYS } from '../routing/keys.js';
import type { Sampler, Sampling } from './sampler.js';

/** Keys that are kept an account of. A key with more than one in so many of all accesses is always among them. */
const KEYS_MAX = 512;
/** Bytes of a key that are looked at: longer ones that begin alike count as one. */
const KEY_BYTES_MAX = 256;
/** Keys of one command that are counted. */
const KEYS_OF_COMMAND_MAX = 64;
const DECAY_INTERVAL_MS = 1000;
/** Of how many seconds' worth the samples of one tick may be at most, before fewer are taken at once. */
const BURST_SECONDS = 0.05;
/** A choice of one in so many is the rarest. */
const EVERY_MAX = 100_000;
/** An account that has decayed to this is closed. */
const FORGOTTEN = 0.05;
/** Two standard deviations: how far a sampled count is from its mean, 19 times in 20. */
const DEVIATIONS = 2;

/** One key, as it is told. */
export interface HotKey {
  readonly key: string;
  /** Estimated accesses a second, and how far that may be off either way. */
  readonly per_second: number;
  readonly error: number;
  /** How many of them are by commands that write. */
  readonly writes_per_second: number;
}

interface Account {
  readonly key: string;
  count: number;
  writes: number;
  /** At most so much of `count` belongs to keys that had this account before. */
  inherited: number;
  /** Sum of the squares of the weights: the variance of `count`. */
  squares: number;
}

/**
 * The keys that are used most, by looking at so many commands a second, whatever the load: it costs a thousandth of a
 * core. Space-saving: a key without an account takes over the smallest one with its count, so a key that is often used
 * is never missed, and what it may have inherited is known. Counts fade by 1/e in `windowMs`, so it is the present that
 * is told.
 */
export class HotKeys implements Sampling {
  /** One command in so many is looked at: as many as the load asks for. */
  every = 1;
  /** The same when the command that comes next was chosen. It stands for so many. */
  private weight = 1;
  /** Samples since the last tick, and the commands that those since the last decay stand for. */
  private burst = 0;
  private commands = 0;
  private readonly byKey = new Map<string, Account>();
  private accounts: Account[] = [];
  /** No account is smaller than this; where the search for one of this size goes on. */
  private least = 0;
  private at = 0;
  private decayedMs: number;
  private readonly sinceMs: number;

  constructor(
    private readonly sampler: Sampler,
    private readonly samplesPerSecond: number,
    private readonly windowMs: number,
    nowMs: number,
  ) {
    this.decayedMs = this.sinceMs = nowMs;
  }

  came(_client: Client, entry: CommandEntry, bytes: Bytes, frame: RequestFrame): void {
    const writes = (entry.spec.flags & CommandFlag.write) !== 0;
    const { weight } = this;
    // The distance to the next one has been drawn already.
    this.weight = this.every;
    this.commands += weight;
    if (++this.burst > this.samplesPerSecond * BURST_SECONDS) {
      this.every = Math.min(EVERY_MAX, this.every * 2);
      this.burst = 0;
    }
    const keys = Math.min(findKeys(entry, bytes, frame), KEYS_OF_COMMAND_MAX);
    for (let i = 0; i < keys; i++) {
      const start = frame.starts[KEYS.at[i]];
      const end = frame.ends[KEYS.at[i]];
      this.count(keyText(bytes, start, end), writes, weight);
    }
  }

  /** Counts an access that was looked at and stands for `weight`. */
  count(key: string, writes: boolean, weight: number): void {
    const account = this.byKey.get(key) ?? this.open(key);
    account.count += weight;
    account.squares += weight * weight;
    if (writes) account.writes += weight;
  }

  private open(key: string): Account {
    const account = { key, count: 0, writes: 0, inherited: 0, squares: 0 };
    this.byKey.set(key, account);
    if (this.accounts.length < KEYS_MAX) {
      this.least = 0;
      this.accounts.push(account);
      return account;
    }
    const index = this.smallest();
    const old = this.accounts[index];
    this.byKey.delete(old.key);
    this.accounts[index] = account;
    account.count = account.inherited = old.count;
    return account;
  }

  /**
   * An account of which none is smaller. Counts only go up between decays, so the search goes on where the last one
   * ended, and the smallest count is looked for anew only once a whole round has found none of its size.
   */
  private smallest(): number {
    const { accounts } = this;
    for (let tried = 0; tried < KEYS_MAX; tried++) {
      this.at = (this.at + 1) % KEYS_MAX;
      if (accounts[this.at].count <= this.least) return this.at;
    }
    let index = 0;
    for (let i = 1; i < KEYS_MAX; i++) if (accounts[i].count < accounts[index].count) index = i;
    this.least = accounts[index].count;
    this.at = index;
    return index;
  }

  /** Lets the past fade, and follows the load. Called with every tick. */
  tick(nowMs: number): void {
    this.burst = 0;
    const passed = nowMs - this.decayedMs;
    if (passed < DECAY_INTERVAL_MS) return;
    this.decayedMs = nowMs;
    this.pace(passed);
    const factor = Math.exp(-passed / this.windowMs);
    for (const account of this.accounts) {
      account.count *= factor;
      account.writes *= factor;
      account.inherited *= factor;
      account.squares *= factor * factor;
      if (account.count < FORGOTTEN) this.byKey.delete(account.key);
    }
    this.least *= factor;
    if (this.byKey.size < this.accounts.length) this.accounts = [...this.byKey.values()];
  }

  private pace(passedMs: number): void {
    const wanted = (this.samplesPerSecond * passedMs) / 1000;
    const every = Math.min(EVERY_MAX, Math.max(1, Math.round(this.commands / wanted)));
    this.commands = 0;
    if (every === this.every) return;
    // Where fewer come than before, the next look is not to be as far away as it was drawn.
    this.every = this.weight = every;
    this.sampler.remove(this);
    this.sampler.add(this);
  }

  /** What is known, the most used first. */
  top(nowMs: number): HotKey[] {
    // Of what was counted at a steady rate, this much time's worth is left.
    const seconds = (this.windowMs * (1 - Math.exp(-(nowMs - this.sinceMs) / this.windowMs))) / 1000;
    if (seconds <= 0) return [];
    return [...this.byKey.values()]
      .sort((a, b) => b.count - a.count)
      .map(({ key, count, writes, inherited, squares }) => ({
        key,
        per_second: count / seconds,
        error: (inherited + DEVIATIONS * Math.sqrt(squares)) / seconds,
        writes_per_second: writes / seconds,
      }));
  }
}

/** A key as text, cut to what is looked at. */
export function keyText(bytes: Bytes, start: number, end: number): string {
  const cut = Math.min(end, start + KEY_BYTES_MAX);
  return cut < end ? `${utf8(bytes, start, cut)}…` : utf8(bytes, start, end);
}

const NANOS_PER_SECOND = 1e9;
const NANOS_PER_MS = 1e6;
/** Others change a bucket a few hundred times a second at most: nobody is overtaken this often. */
const ATTEMPTS_MAX = 64;

/**
 * A token bucket that several workers take from. It is one number in shared memory: the time, in nanoseconds, up to which
 * its tokens are spent (the generic cell rate algorithm's theoretical arrival time). Whoever takes moves it on; a time
 * in the future is debt. So a taken token needs no timer that puts it back, and no two workers are given the same one.
 */
export class SharedBucket {
  constructor(
    private readonly memory: BigInt64Array,
    private readonly at: number,
    /** Tokens a second. */
    private readonly rate: number,
    /** Tokens that may be taken at once after a pause; at least 1. */
    private readonly burst: number,
  ) {}

  /** Takes up to `wanted` tokens, as many as there are; whole ones. Returns how many it took. */
  take(wanted: number, nowMs: number): number {
    const now = nanos(nowMs);
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const spent = Atomics.load(this.memory, this.at);
      const from = this.from(spent, now);
      const there = Math.floor((Number(now - from) * this.rate) / NANOS_PER_SECOND + 1e-6);
      const taken = Math.min(wanted, there);
      if (taken < 1) return 0;
      if (this.put(spent, from + this.cost(taken))) return taken;
    }
    return 0;
  }

  /** Takes tokens that are used already, whether there are any or not. */
  spend(tokens: number, nowMs: number): void {
    const now = nanos(nowMs);
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const spent = Atomics.load(this.memory, this.at);
      if (this.put(spent, this.from(spent, now) + this.cost(tokens))) return;
    }
  }

  /** Tokens that were taken and not used. */
  giveBack(tokens: number): void {
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const spent = Atomics.load(this.memory, this.at);
      const nanos = BigInt(Math.floor((tokens * NANOS_PER_SECOND) / this.rate));
      if (this.put(spent, spent - nanos)) return;
    }
  }

  /** More was spent than there was. */
  inDebt(nowMs: number): boolean {
    return Atomics.load(this.memory, this.at) > nanos(nowMs);
  }

  private from(spent: bigint, now: bigint): bigint {
    const earliest = now - this.cost(this.burst);
    return spent > earliest ? spent : earliest;
  }

  private cost(tokens: number): bigint {
    return BigInt(Math.ceil((tokens * NANOS_PER_SECOND) / this.rate));
  }

  private put(before: bigint, after: bigint): boolean {
    return Atomics.compareExchange(this.memory, this.at, before, after) === before;
  }
}

function nanos(ms: number): bigint {
  return BigInt(Math.floor(ms * NANOS_PER_MS));
}

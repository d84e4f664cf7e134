/** Allows `ratePerSecond` in the long run and `burst` at once. */
export class TokenBucket {
  private tokens: number;

  constructor(
    private readonly ratePerSecond: number,
    private readonly burst: number,
    private lastMs: number,
  ) {
    this.tokens = burst;
  }

  take(nowMs: number): boolean {
    const earned = (Math.max(0, nowMs - this.lastMs) * this.ratePerSecond) / 1000;
    this.tokens = Math.min(this.burst, this.tokens + earned);
    this.lastMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

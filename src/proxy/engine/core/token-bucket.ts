import type { Limits } from './limits.js';
import type { ClusterSettings } from './settings.js';

/** Of a rate that is given for a cluster, so many seconds' worth may come at once. */
const BURST_SECONDS = 2;

/** Bounds the attempts to connect to one cluster. */
export function connectBucket(
  { connectRatePerSecond: rate }: ClusterSettings,
  limits: Limits,
  nowMs: number,
): TokenBucket {
  return rate === undefined
    ? new TokenBucket(limits.connectRatePerSecond, limits.connectBurst, nowMs)
    : new TokenBucket(rate, rate * BURST_SECONDS, nowMs);
}

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

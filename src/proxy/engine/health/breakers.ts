import type { Router } from '../core/router.js';
import { Counter } from '../stats.js';

/** What a configuration bounds for one cluster and worker (Envoy: circuit_breakers.thresholds). Not given: no bound but the limits'. */
export interface BreakerSettings {
  /** Connections, shared and dedicated. Each node may always have one. */
  readonly maxConnections?: number;
  /** Commands that wait for one connection or for a topology; in place of `Limits.waitingMax`. */
  readonly maxPendingRequests?: number;
  /** Bytes of all commands that wait. */
  readonly maxPendingBytes?: number;
  /** Commands in flight on one connection; in place of `Limits.upstreamInFlightMax`. */
  readonly maxRequests?: number;
  /** Commands that are being sent again. */
  readonly maxRetries?: number;
}

const NONE: BreakerSettings = {};

/**
 * Refuses what is too much for one upstream cluster, in this worker. Settings are read at the moment of use: a reload
 * changes them. Counts that would cost something with every command are taken anew with every sweep; in between they
 * only grow, so that the bounds hold.
 */
export class Breakers {
  private pendingBytes = 0;
  private retries = 0;
  private cxOpen = false;
  private pendingOpen = false;
  private retryOpen = false;

  constructor(private readonly router: Router) {}

  private get settings(): BreakerSettings {
    return this.router.settings.breakers ?? NONE;
  }

  get pendingMax(): number {
    return this.settings.maxPendingRequests ?? this.router.core.limits.waitingMax;
  }

  get requestsMax(): number {
    return this.settings.maxRequests ?? this.router.core.limits.upstreamInFlightMax;
  }

  /** Whether a command of `bytes` may wait where `waiting` do already; when it may, its bytes count. */
  admitsPending(waiting: number, bytes: number): boolean {
    const { maxPendingBytes = Number.POSITIVE_INFINITY } = this.settings;
    if (waiting < this.pendingMax && this.pendingBytes + bytes <= maxPendingBytes) {
      this.pendingBytes += bytes;
      return true;
    }
    this.pendingOpen = true;
    this.router.count(Counter.upstream_rq_pending_overflow);
    return false;
  }

  /** Whether one more connection may be made. @param only the node has no other one in this worker */
  admitsConnection(only: boolean): boolean {
    const { maxConnections } = this.settings;
    if (maxConnections === undefined || only) return true;
    if (this.connections() < maxConnections) return true;
    this.cxOpen = true;
    this.router.count(Counter.upstream_cx_overflow);
    return false;
  }

  /** Those that are there, and those that are being made. */
  private connections(): number {
    const { dedicated } = this.router;
    let count = dedicated.active + dedicated.idle;
    for (const lane of this.router.lanes()) if (lane.attempt !== null) count++;
    return count;
  }

  /** Whether one more command may be sent again. */
  admitsRetry(): boolean {
    const { maxRetries } = this.settings;
    if (maxRetries === undefined) return true;
    if (this.retries < maxRetries) {
      this.retries++;
      return true;
    }
    this.retryOpen = true;
    this.router.count(Counter.upstream_rq_retry_overflow);
    return false;
  }

  /** Takes the counts anew, and shows which breakers were open since the last time or are open now. */
  sweep(unassigned: readonly { readonly start: number; readonly end: number }[]): void {
    const { router } = this;
    const { maxPendingBytes, maxRetries, maxConnections } = this.settings;
    let bytes = 0;
    let requestsOpen = false;
    for (const lane of router.lanes()) {
      if (lane.inFlightMax > 0 && lane.inFlight >= lane.inFlightMax) requestsOpen = true;
      if (lane.waiting.length >= this.pendingMax) this.pendingOpen = true;
      if (maxPendingBytes === undefined) continue;
      for (const { start, end } of lane.waiting) bytes += end - start;
    }
    if (maxPendingBytes !== undefined) for (const { start, end } of unassigned) bytes += end - start;
    this.pendingBytes = bytes;
    if (maxPendingBytes !== undefined && bytes >= maxPendingBytes) this.pendingOpen = true;
    if (maxRetries !== undefined) {
      this.retries = router.core.retries.outstanding(router);
      if (this.retries >= maxRetries) this.retryOpen = true;
    }
    if (maxConnections !== undefined && this.connections() >= maxConnections) this.cxOpen = true;
    this.show(Counter.circuit_breakers_cx_open, this.cxOpen);
    this.show(Counter.circuit_breakers_rq_pending_open, this.pendingOpen);
    this.show(Counter.circuit_breakers_rq_open, requestsOpen);
    this.show(Counter.circuit_breakers_rq_retry_open, this.retryOpen);
    this.cxOpen = this.pendingOpen = this.retryOpen = false;
  }

  private show(gauge: number, open: boolean): void {
    this.router.core.stats[gauge + this.router.statsOffset] = open ? 1 : 0;
  }
}

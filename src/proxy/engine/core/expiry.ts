import { Counter } from '../stats.js';
import type { RequestFifo } from './fifo.js';
import type { Lane } from './lane.js';
import { acquireRequest, type Request, RequestState, releaseRequest } from './request.js';

/**
 * A node that has lost its slots and has said nothing for so long, though it owes answers, does not answer any more. One
 * whose slots were taken over as planned answers within less, even on a busy machine.
 */
export const DEPOSED_SILENT_MS = 1500;

/** A master that has said nothing for so long, though it owes answers, may have lost its slots: the others are asked. */
export const SILENT_MS = 500;

/** Nobody waits for the reply. */
const nobodys = (request: Request) => request.client === null && request.parent === null;

/** True when a connection has said nothing since then, though a command was due; one that blocks is not. */
export function silentSince(lane: Lane, beforeMs: number): boolean {
  return lane.quietSince(beforeMs) && lane.oldestStartedMs() < beforeMs;
}

/** Looks after the time of one shared connection; called ten times a second or so. */
export function sweepLane(lane: Lane, nowMs: number): void {
  const { router } = lane;
  const { opTimeoutMs, connectTimeoutMs } = router.settings;
  if (lane.attempt !== null && !lane.established) {
    if (nowMs - lane.connectStartedMs >= connectTimeoutMs) {
      router.count(Counter.upstream_cx_connect_timeout);
      router.health.failed(lane.node);
      lane.terminate('connect timeout');
    }
  } else if (lane.pauses === 0 && silentSince(lane, nowMs - 2 * opTimeoutMs)) {
    lane.terminate('no reply within twice the op_timeout');
  } else if (lane.pauses === 0 && lane.node.deposed && silentSince(lane, nowMs - DEPOSED_SILENT_MS)) {
    // What can be repeated goes to who has its slots now; nobody has to wait for its `op_timeout`.
    lane.terminate('it does not answer, and another node has its slots');
  } else if (lane.node.master && silentSince(lane, nowMs - SILENT_MS)) router.requestRefresh('silent');
  lane.expire(nowMs - opTimeoutMs);
  // Somebody waits for a node that is not there: the cluster may have given its slots to another by now.
  if (lane.waiting.length > 0 && !(lane.established && lane.inFlightMax > 0)) router.requestRefresh('connect_failed');
}

/** Gives up on commands of a connection that came before `startedBeforeMs`: those on their way, and those that wait. */
export function expireLane(lane: Lane, fifo: RequestFifo, startedBeforeMs: number): void {
  if (expireSent(lane, fifo, startedBeforeMs)) lane.router.health.failed(lane.node);
  if (lane.waiting.length > 0) expireWaiting(lane, startedBeforeMs);
}

function expireSent(lane: Lane, fifo: RequestFifo, startedBeforeMs: number): boolean {
  let expired = false;
  for (let i = 0; i < fifo.length; i++) {
    const request = fifo.at(i);
    // Not in this order: what was sent again is older than what stands before it.
    if (request.startedMs > startedBeforeMs) continue;
    if (nobodys(request) || request.streaming) continue;
    // The reply may still come: something must stand in its place.
    const placeholder = acquireRequest();
    placeholder.sentEnd = request.sentEnd;
    placeholder.startedMs = request.startedMs;
    placeholder.sentMs = request.sentMs;
    placeholder.state = RequestState.sent;
    placeholder.replies = request.replies;
    placeholder.router = lane.router;
    fifo.replace(i, placeholder);
    lane.core.replies.timedOut(request);
    expired = true;
  }
  return expired;
}

function expireWaiting(lane: Lane, startedBeforeMs: number): void {
  const kept: Request[] = [];
  const late: Request[] = [];
  for (const request of lane.waiting) {
    if (!nobodys(request) && request.startedMs > startedBeforeMs) kept.push(request);
    else late.push(request);
  }
  // Before anybody hears of it: whoever does may give this connection back, with all that waits for it then.
  lane.waiting = kept;
  lane.router.add(Counter.upstream_rq_pending_active, -late.length);
  for (const request of late) {
    if (nobodys(request)) releaseRequest(request);
    else lane.core.replies.timedOut(request);
  }
  lane.relieve();
}

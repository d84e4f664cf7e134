import type { Bytes } from '../bytes.js';
import { FRAME_COMPLETE, FRAME_INCOMPLETE, resumeRequest } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Client } from './client.js';
import { dispatch } from './dispatch.js';
import { Hold } from './hold.js';
import { LargeRequest, requestLimits } from './input.js';

/** A client begins a command that is too large to be cut from received chunks. Returns where the next one begins. */
export function beginLarge(client: Client, bytes: Bytes, at: number, end: number, bytesAtLeast: number): number {
  if (bytesAtLeast > client.core.limits.clientRequestBytesMax) return refuseLarge(client, end);
  if (client.core.admission.shedding.active) {
    client.core.count(Counter.downstream_rq_overload_reject);
    client.refuse('proxy is overloaded, try again');
    return end;
  }
  const large = new LargeRequest(client.core.runtime.allocate, bytesAtLeast);
  large.frame.bytesAtLeast = bytesAtLeast;
  client.large = large;
  return readLarge(client, large, bytes, at, end);
}

/** Feeds the large command; returns where the next one begins. */
export function readLarge(client: Client, large: LargeRequest, bytes: Bytes, at: number, end: number): number {
  const { core } = client;
  while (at < end) {
    const before = large.length;
    at += large.take(bytes, at, end, large.frame.bytesAtLeast);
    if (!core.reserveLarge(large.length - before)) {
      core.count(Counter.downstream_rq_too_large);
      dropLarge(client, large);
      client.refuse('the proxy holds too many large requests already; try again later');
      return end;
    }
    const verdict = resumeRequest(large.buffer, 0, large.length, large.frame, requestLimits(client.authenticated));
    if (Math.max(large.frame.bytesAtLeast, large.frame.end) > core.limits.clientRequestBytesMax) {
      dropLarge(client, large);
      return refuseLarge(client, end);
    }
    if (verdict === FRAME_INCOMPLETE) continue;
    const surplus = large.length - large.frame.end;
    dropLarge(client, large);
    if (verdict !== FRAME_COMPLETE) {
      client.refuse(large.frame.error);
      return end;
    }
    if (!client.inOrder() || !dispatchOnce(client, large)) {
      client.setHold(Hold.order);
      client.keep(large.buffer, 0, large.frame.end);
      client.keep(bytes, at - surplus, end);
      return end;
    }
    return at - surplus;
  }
  return at;
}

function dispatchOnce(client: Client, { buffer, frame }: LargeRequest): boolean {
  if (dispatch(client, buffer, 0, frame)) return true;
  client.guard?.waits?.(client);
  return false;
}

/** It is larger than `max_request_bytes`; nothing more of it is read. */
function refuseLarge(client: Client, end: number): number {
  client.core.count(Counter.downstream_rq_too_large);
  client.refuse('Protocol error: too big request');
  return end;
}

/** Forgets it, and gives back what it has reserved. */
export function dropLarge(client: Client, large: LargeRequest): void {
  client.large = null;
  client.core.releaseLarge(large.length);
}

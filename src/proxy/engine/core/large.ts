import type { Bytes } from '../bytes.js';
import { FRAME_COMPLETE, FRAME_INCOMPLETE, resumeRequest } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Client } from './client.js';
import { dispatch } from './dispatch.js';
import { Hold } from './hold.js';
import { LargeRequest, requestLimits } from './input.js';

/** A client begins a command that is too large to be cut from received chunks. Returns where the next one begins. */
export function beginLarge(client: Client, bytes: Bytes, at: number, end: number, bytesAtLeast: number): number {
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
    if (verdict === FRAME_INCOMPLETE) continue;
    const surplus = large.length - large.frame.end;
    dropLarge(client, large);
    if (verdict !== FRAME_COMPLETE) {
      client.refuse(large.frame.error);
      return end;
    }
    if (!client.inOrder() || !dispatch(client, large.buffer, 0, large.frame)) {
      client.setHold(Hold.order);
      client.keep(large.buffer, 0, large.frame.end);
      client.keep(bytes, at - surplus, end);
      return end;
    }
    return at - surplus;
  }
  return at;
}

/** Forgets it, and gives back what it has reserved. */
export function dropLarge(client: Client, large: LargeRequest): void {
  client.large = null;
  client.core.releaseLarge(large.length);
}

import { Counter } from '../stats.js';
import type { Client } from './client.js';
import type { Limits } from './limits.js';

/** Why a client's commands are not read at the moment. A bit set. */
export const Hold = {
  /** It does not take its replies. */
  output: 1,
  /** It has too many commands on their way. */
  pending: 2,
  /** An upstream connection that it feeds is full. */
  upstream: 4,
  /** What it sent before must be answered first, so that its commands keep their order. */
  order: 8,
  /**
   * It waits for a command that may take for ever. Its socket is read all the same, up to `blockedInputBytesMax`: only
   * so is it noticed when it leaves.
   */
  blocked: 16,
  /** CLIENT PAUSE. Its socket is read in the same way. */
  pause: 32,
  /** Its login is being checked, or has failed a moment ago. */
  login: 64,
  /**
   * It is passed on to another process as soon as what it has asked is answered. With `blocked` its socket is read until it has
   * what it waits for.
   */
  passing: 128,
} as const;

/** With one of these the socket is read all the same. */
export const WATCHED = Hold.blocked | Hold.pause;

/** Whether the socket of a client with these holds is not read any more because of this one, which was added. */
export function stopsReading(reason: number, hold: number): boolean {
  if (reason === Hold.blocked || hold & Hold.pause) return false;
  return reason !== Hold.passing || (hold & Hold.blocked) === 0;
}

/** It has as many commands on their way as may be (`max_pipeline_depth`). */
export function setPending(client: Client): void {
  client.core.count(Counter.downstream_rq_pipeline_full);
  client.setHold(Hold.pending);
}

/** True when a client's socket is to be read: for its commands, or only so that its leaving is noticed. */
export function isRead(hold: number, kept: { readonly length: number } | null, limits: Limits): boolean {
  if (hold === 0) return true;
  if ((hold & WATCHED) === 0 || hold & (Hold.output | Hold.pending | Hold.upstream)) return false;
  return (kept?.length ?? 0) <= limits.blockedInputBytesMax;
}

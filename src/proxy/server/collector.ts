import { AFTER_START_MS, AGAIN_MS, CollectionTimes, QUIET_MS } from './collection-times.js';
import { giveBackCode } from './trim.js';

/** Chunks from this size on count as large. */
export const LARGE_CHUNK_BYTES = 128 * 1024;

/** Of this thread: every worker has its own heap. */
const times = new CollectionTimes();

/** A large chunk was received. */
export function countLarge(bytes: number, nowMs: number): void {
  // Not within the event: what it is about to drop would be kept.
  if (times.large(bytes, nowMs)) setImmediate(collectLarge);
}

/** Called in a worker when it has started. */
export function startCollecting(nowMs: number): void {
  times.start(nowMs);
}

/** Called with every tick, before it. @param nowMs the time of the last event or tick, whichever was later */
export function noteEvents(nowMs: number): void {
  times.noteEvents(nowMs);
}

/** Called with every tick. */
export function collectWhenIdle(nowMs: number): void {
  if (times.tick(nowMs)) Bun.gc(true);
}

/** The main thread, which no client waits for, collects whatever happens. */
export function collectInMain(): void {
  for (const ms of [AFTER_START_MS, QUIET_MS]) {
    setTimeout(() => {
      Bun.gc(true);
      giveBackCode();
    }, ms).unref();
  }
  setInterval(() => Bun.gc(true), AGAIN_MS).unref();
}

/** Several chunks of one event may have asked for it. */
function collectLarge(): void {
  if (times.takeLarge()) Bun.gc(true);
}

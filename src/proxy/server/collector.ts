/**
 * The garbage collector does not see how large received chunks are: after this many bytes in large ones it is told to
 * run, which takes a millisecond or two. Without it, the chunks of a 500 MB value stay until the heap itself grows.
 */
const COLLECT_AFTER_BYTES = 64 * 1024 * 1024;
/** Chunks from this size on count. */
export const LARGE_CHUNK_BYTES = 128 * 1024;
/** … or when large chunks have stopped coming for this long. */
const COLLECT_IDLE_MS = 1000;

let largeBytes = 0;
let largeMs = 0;

/** A large chunk was received. */
export function countLarge(bytes: number, nowMs: number): void {
  largeBytes += bytes;
  largeMs = nowMs;
  // Not within the event: what it is about to drop would be kept.
  if (largeBytes >= COLLECT_AFTER_BYTES) setImmediate(collect);
}

/** What the start has left behind is given back so soon. */
const AFTER_START_MS = 1000;
/** A worker that nothing has come to for so long gives back what is left of the last events. */
const QUIET_MS = 5000;
/**
 * … and again at this distance while it stays quiet: the ticks leave garbage, too, and the runtime drops compiled code
 * only in a collection, when it has not run for some time. One takes a millisecond or two of a thread.
 */
const AGAIN_MS = 20_000;

let tickMs = 0;
let eventMs = 0;
let collectMs = Number.POSITIVE_INFINITY;

/** Called in a worker when it has started. */
export function startCollecting(nowMs: number): void {
  tickMs = eventMs = nowMs;
  collectMs = nowMs + AFTER_START_MS;
}

/** Called with every tick, before it. @param nowMs the time of the last event or tick, whichever was later */
export function noteEvents(nowMs: number): void {
  if (nowMs === tickMs) return;
  eventMs = nowMs;
  collectMs = nowMs + QUIET_MS;
}

/** Called with every tick. */
export function collectWhenIdle(nowMs: number): void {
  tickMs = nowMs;
  if (largeBytes > 0 && nowMs - largeMs >= COLLECT_IDLE_MS) collect();
  if (nowMs < collectMs) return;
  collectMs = nowMs + (nowMs - eventMs < QUIET_MS ? QUIET_MS : AGAIN_MS);
  Bun.gc(true);
}

/** The main thread, which no client waits for, collects whatever happens. */
export function collectInMain(): void {
  for (const ms of [AFTER_START_MS, QUIET_MS]) setTimeout(() => Bun.gc(true), ms).unref();
  setInterval(() => Bun.gc(true), AGAIN_MS).unref();
}

function collect(): void {
  if (largeBytes === 0) return;
  largeBytes = 0;
  Bun.gc(true);
}

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

/** Called with every tick. */
export function collectWhenIdle(nowMs: number): void {
  if (largeBytes > 0 && nowMs - largeMs >= COLLECT_IDLE_MS) collect();
}

function collect(): void {
  if (largeBytes === 0) return;
  largeBytes = 0;
  Bun.gc(true);
}

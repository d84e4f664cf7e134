/**
 * Expands what servers compress with LZF: runs of bytes as they are, and places further back from where bytes are taken
 * again. Pure.
 */

/** Three bytes stand for 264 at most: what claims to be more than so many times larger is none. */
const FACTOR_MAX = 88;
/** A control byte below says how many bytes follow, less one. */
const LITERALS = 32;
/** The length in a control byte that says that another byte adds to it. */
const LONG = 7;

/** @returns undefined for what is no LZF, or not of that length; nothing large is allocated for an idle claim */
export function expandLzf(from: Uint8Array, plainBytes: number): Buffer | undefined {
  if (plainBytes > from.length * FACTOR_MAX) return undefined;
  const to = Buffer.allocUnsafe(plainBytes);
  const end = from.length;
  let at = 0;
  let filled = 0;
  while (at < end) {
    const control = from[at++] as number;
    if (control < LITERALS) {
      const count = control + 1;
      if (at + count > end || filled + count > plainBytes) return undefined;
      for (let i = 0; i < count; i++) to[filled++] = from[at++] as number;
      continue;
    }
    let count = control >> 5;
    if (count === LONG) {
      if (at >= end) return undefined;
      count += from[at++] as number;
    }
    count += 2;
    if (at >= end) return undefined;
    let source = filled - (((control & 31) << 8) | (from[at++] as number)) - 1;
    if (source < 0 || filled + count > plainBytes) return undefined;
    // One by one: it may take what it has just put there.
    for (let i = 0; i < count; i++) to[filled++] = to[source++] as number;
  }
  return filled === plainBytes ? to : undefined;
}

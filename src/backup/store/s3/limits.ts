/** Bounds of what is asked of an S3 store. */

export interface Limits {
  /** How often one request is tried. */
  readonly attempts: number;
  /** The first pause between two tries; the others double. A part of each is left to chance. Milliseconds. */
  readonly firstPauseMs: number;
  readonly pauseMaxMs: number;
  /** Without a byte in either direction, a connection is given up. */
  readonly silenceMs: number;
  readonly connectMs: number;
  /** One request and its answer, whatever goes on meanwhile. */
  readonly requestMs: number;
  /** What is done to leave nothing behind, after a failure or a signal: below what a command may take for that. */
  readonly cleanUpMs: number;
  /** Parts of one object that are under way at once. */
  readonly partsAtOnce: number;
  /** All parts, of all objects, that are in memory: as many of the small ones as one object sends at once, and one that fills. */
  readonly memoryBytes: number;
}

const MIB = 1024 * 1024;

export const LIMITS: Limits = {
  attempts: 6,
  firstPauseMs: 200,
  pauseMaxMs: 10_000,
  silenceMs: 60_000,
  connectMs: 10_000,
  requestMs: 15 * 60_000,
  cleanUpMs: 8_000,
  partsAtOnce: 4,
  memoryBytes: 40 * MIB,
};

/** S3's own bounds: parts but the last have 5 MiB at least, and there are 10,000 at most. */
export const PARTS_MAX = 10_000;
export const OBJECT_BYTES_MAX = 5 * 1024 * 1024 * MIB;
export const PART_BYTES_MIN = 8 * MIB;
/** Parts grow with what went before, so that so few of them reach the largest object there may be. */
const PART_SHARE = 1_400;

/** The size of the part that begins there: 8 MiB, from 11 GiB on more, in whole MiB. Pure. */
export function partBytesAt(offset: number): number {
  return Math.max(PART_BYTES_MIN, Math.ceil(offset / PART_SHARE / MIB) * MIB);
}

/** Before the try of that number, the first being 1. @param chance from 0 to 1 */
export function pauseBefore(attempt: number, { firstPauseMs, pauseMaxMs }: Limits, chance: number): number {
  const full = Math.min(pauseMaxMs, firstPauseMs * 2 ** (attempt - 2));
  return full / 2 + (full / 2) * chance;
}

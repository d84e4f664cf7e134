/** How much of a master's time a move by MIGRATE takes at a time. Pure. */
import type { MovePace, TargetPart } from '../control.js';

export interface Pace {
  /** Of one pair: while the keys of one group move, the next one is opened, and the one before is closed. */
  readonly groups: number;
  /** Of one pair: the next batch waits at the source while one is on its way. */
  readonly batchesInFlight: number;
  readonly batch: BatchBounds;
  /** Keys that are read in one write: for so long, clients wait. */
  readonly keysReadAtOnce: number;
  /** Of one slot. */
  readonly keysReadOfSlot: number;
  /** How much of the target's time each of the moves into it takes. */
  readonly part: TargetPart;
}

export interface BatchBounds {
  /** A master does nothing else while a batch is on its way: its clients wait for so long. */
  readonly targetMs: number;
  /** What a batch begins with, and is never below: where so few small keys take longer, it is the way, or the machine. */
  readonly keysMin: number;
  readonly keysMax: number;
  readonly bytesMin: number;
  readonly bytesMax: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** Nobody is waiting: the masters are kept busy. */
const FAST: Pace = {
  groups: 2,
  batchesInFlight: 2,
  batch: { targetMs: 2, keysMin: 64, keysMax: 1_000, bytesMin: 64 * KIB, bytesMax: 16 * MIB },
  keysReadAtOnce: 400,
  keysReadOfSlot: 250,
  part: 'quarter',
};

/** Clients come first: little at a time, with their turn in between. */
const GENTLE: Pace = {
  groups: 1,
  batchesInFlight: 1,
  batch: { targetMs: 1, keysMin: 16, keysMax: 32, bytesMin: 32 * KIB, bytesMax: 4 * MIB },
  keysReadAtOnce: 50,
  keysReadOfSlot: 50,
  part: 'half',
};

export const PACES: Readonly<Record<MovePace, Pace>> = { fast: FAST, gentle: GENTLE };

/** The most of all paces: what a run that was killed may have left open. */
export const GROUPS_MAX = Math.max(FAST.groups, GENTLE.groups);

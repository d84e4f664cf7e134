/** What a failed MIGRATE, or a failed mark, means for the slot in hand: one word for each rule. Pure. */
import { replyErrorOf } from '../../../cluster/node-failure.js';
import { ForgeError } from '../../../errors.js';

/**
 * - `busy`: the target has a key of this name. Both are compared.
 * - `full`: the target is at its memory limit. The slot goes back.
 * - `later`: a node is loading, syncing, or runs a script. Tried again until the wait is over, then the slot goes back.
 * - `lost`: a node did not answer, or not in time. Who has which key is looked at anew, and the rest is sent again.
 * - `unmarked`: a node does not know any more that the slot is on its way. Marked and tried again.
 * - `mixed`: keys of several slots in one command. Sent one by one.
 * - `denied`: the user or the password. Not tried again; the slot goes back.
 * - `foreign`: the target does not understand the source's data: it is of an older version. The slot goes back.
 * - `other`: anything else. Not tried again; the slot goes back.
 */
export type FailureKind = 'busy' | 'full' | 'later' | 'lost' | 'unmarked' | 'mixed' | 'denied' | 'foreign' | 'other';

/** The kinds after which the same thing is tried again. */
export const RETRIED: ReadonlySet<FailureKind> = new Set(['later', 'lost', 'unmarked']);

const RULES: readonly (readonly [RegExp, FailureKind])[] = [
  [/\bBUSYKEY\b/, 'busy'],
  [/\bOOM\b/, 'full'],
  [/\bCROSSSLOT\b/, 'mixed'],
  [/\b(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|NOGOODSLAVE)\b/, 'later'],
  [/\b(?:MOVED|ASK)\b [0-9]/, 'unmarked'],
  [/\b(?:NOAUTH|WRONGPASS|NOPERM)\b|without any password|invalid (?:username-)?password/i, 'denied'],
  [/\bIOERR\b|\bREADONLY\b/, 'lost'],
  [/bad data format|DUMP payload version/i, 'foreign'],
];

/** What a reply's error text means. */
export function kindOfReply(text: string): FailureKind {
  return RULES.find(([pattern]) => pattern.test(text))?.[1] ?? 'other';
}

/** What a thrown failure means; undefined for what is none of a node (an interruption, the lost lock, a fault here). */
export function kindOfFailure(error: unknown): FailureKind | undefined {
  const reply = replyErrorOf(error);
  if (reply !== undefined) return kindOfReply(reply);
  if (!(error instanceof ForgeError)) return undefined;
  if (error.kind === 'unreachable' || error.kind === 'timeout') return 'lost';
  return error.kind === 'denied' ? 'denied' : undefined;
}

/** Two different values under one name, one on each side. */
export class ConflictError extends Error {
  readonly slot: number;
  readonly keys: readonly Buffer[];

  constructor(slot: number, keys: readonly Buffer[]) {
    super(`slot ${slot}: ${keys.length} keys with two values`);
    this.slot = slot;
    this.keys = keys;
  }
}

/** A group could not be finished; where its slots are now was settled. */
export class UnfinishedError extends Error {
  readonly settlement: Settlement;

  constructor(cause: unknown, settlement: Settlement) {
    super('slots could not be moved', { cause });
    this.settlement = settlement;
  }
}

/** Where the slots in hand are after a failure. */
export interface Settlement {
  /** Now served by the target: all their keys were there already. */
  readonly moved: number[];
  /** Served by the source as before; what had arrived at the target was brought back. */
  readonly back: number[];
  /** Still on their way, because a node that has some of their keys does not answer. */
  readonly open: number[];
  /** Still on their way, because the source has no memory for what the target would give back. */
  readonly stuck: number[];
  /** Keys of slots that went back whose value at the target differs: they stay there, unseen by clients. */
  readonly kept: Buffer[];
}

/** What several groups that were under way at once have come to. */
export function mergeSettlements(all: readonly Settlement[]): Settlement {
  const of = <Field extends keyof Settlement>(field: Field) => all.flatMap((each) => each[field] as never[]);
  return { moved: of('moved'), back: of('back'), open: of('open'), stuck: of('stuck'), kept: of('kept') };
}

const KEYS_SHOWN_MAX = 5;
const KEY_SHOWN_MAX = 100;

/** A key as it is shown: readable, on one line, never endless. */
export function showKey(key: Buffer): string {
  const text = JSON.stringify(key.toString('utf8'));
  return text.length > KEY_SHOWN_MAX ? `${text.slice(0, KEY_SHOWN_MAX)}…"` : text;
}

export function showKeys(keys: readonly Buffer[]): string {
  const shown = keys.slice(0, KEYS_SHOWN_MAX).map(showKey).join(', ');
  return keys.length > KEYS_SHOWN_MAX ? `${shown} and ${keys.length - KEYS_SHOWN_MAX} more` : shown;
}

/** What checkers find. Pure. */

/** What no failure excuses: somebody was told what is not true. */
export const WRONG_KINDS = [
  /** A reply to another command, another client, or of another shape than the command's. */
  'foreign-reply',
  /** A value older than one that was acknowledged, where a later look finds that one. */
  'stale-read',
  /** Done twice: a counter too high, a token there twice. */
  'doubled',
  /** One command of a transaction without the other. */
  'torn',
  /** Later before earlier. */
  'out-of-order',
] as const;

/** What asynchronous replication may cost when a master dies; never when a change was planned. */
export const LOSS_KINDS = [
  /** Acknowledged, and not there. */
  'lost-write',
  /** An element that was taken is there again: the taking is lost. */
  'undone-pop',
  /** An element that was put in, acknowledged, and never came out. */
  'lost-item',
  /** Published with an answer, and not heard by one who listened all the time. */
  'missed-message',
] as const;

/** What is passed on from node to node may arrive later than what was said at another one; never when a change was planned. */
export const LATE_KINDS = [
  /** Published with an answer, and heard, once, after later ones. */
  'late-message',
] as const;

/**
 * What a master that only the other nodes do not reach has given its subscribers, it passes on when they reach it again: to those
 * that subscribers were moved to meanwhile, too. In no other failure, and never when a change was planned.
 */
export const REPEAT_KINDS = [
  /** Heard again, after later ones. */
  'repeated-message',
] as const;

/** Losses of what was stored: messages of a channel are not. */
export const STORED_LOSS_KINDS: readonly FindingKind[] = ['lost-write', 'undone-pop', 'lost-item'];

export type WrongKind = (typeof WRONG_KINDS)[number];
export type LossKind = (typeof LOSS_KINDS)[number];
export type LateKind = (typeof LATE_KINDS)[number];
export type RepeatKind = (typeof REPEAT_KINDS)[number];
export type FindingKind = WrongKind | LossKind | LateKind | RepeatKind;

export interface Finding {
  readonly kind: FindingKind;
  /** The key or channel. */
  readonly key: string;
  readonly detail: string;
  /** How many writes, items or messages it stands for. */
  readonly count: number;
}

/** All are counted; so many are kept with their words. */
export const EXAMPLES_MAX = 100;
const DETAIL_MAX = 200;
/** Of so many losses the moment of their acknowledgement is kept; later ones are only counted. */
export const LOSS_TIMES_MAX = 10_000;

export class Findings {
  readonly examples: Finding[] = [];
  /** When what is lost of what was stored had been acknowledged, where that is known, by the clock. */
  readonly lossTimes: number[] = [];
  /** When messages that were missed had been answered, in the same way. */
  readonly missTimes: number[] = [];
  /** Milliseconds, of a clock that never goes back. */
  readonly now: () => number;
  readonly #counts = new Map<FindingKind, number>();

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** @param times of a loss: when each was acknowledged, by `now`, as far as that is known */
  add(kind: FindingKind, key: string, detail: string, count = 1, times: readonly number[] = []): void {
    const known = kind === 'missed-message' ? this.missTimes : this.lossTimes;
    known.push(...times.slice(0, LOSS_TIMES_MAX - known.length));
    this.#counts.set(kind, this.of(kind) + count);
    if (this.examples.length < EXAMPLES_MAX) {
      this.examples.push({ kind, key, detail: detail.slice(0, DETAIL_MAX), count });
    }
  }

  of(kind: FindingKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** Losses of what was stored. */
  get storedLosses(): number {
    return this.#ofAll(STORED_LOSS_KINDS);
  }

  get wrong(): number {
    return this.#ofAll(WRONG_KINDS);
  }

  get losses(): number {
    return this.#ofAll(LOSS_KINDS);
  }

  get late(): number {
    return this.#ofAll(LATE_KINDS);
  }

  get repeats(): number {
    return this.#ofAll(REPEAT_KINDS);
  }

  #ofAll(kinds: readonly FindingKind[]): number {
    return kinds.reduce((sum, kind) => sum + this.of(kind), 0);
  }

  /** Only kinds that were found. */
  get counts(): Partial<Record<FindingKind, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** A reply in words, short. */
export function show(reply: unknown): string {
  const text = Buffer.isBuffer(reply) ? reply.toString() : (JSON.stringify(reply) ?? String(reply));
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** What an operator may turn while slots move: pause, go on, slow down; and what was asked for at the start. */
import { pause as wait } from '../../cluster/bounded.js';
import { Permits } from './permits.js';

export const MOVE_METHODS = ['auto', 'migrate', 'atomic'] as const;
export type MoveMethod = (typeof MOVE_METHODS)[number];

export type MovePace = 'fast' | 'gentle';
export const PACE_CHOICES = ['auto', 'fast', 'gentle'] as const;
export type PaceChoice = (typeof PACE_CHOICES)[number];

/** Of a key that two masters have with different values: that of its slot's owner, which clients see, or the other one. */
export type KeepChoice = 'owner' | 'other';

/** A source that serves so many commands a second has clients to be careful of. */
const BUSY_OPS_PER_SECOND = 500;

export interface MoveLimits {
  /** Undefined for no limit. */
  readonly bytesPerSecond?: number;
  readonly keysPerSecond?: number;
}

export interface MoveControlOptions extends MoveLimits {
  readonly method?: MoveMethod;
  /** `auto` when not told: gentle where the source has clients. */
  readonly pace?: PaceChoice;
  /** Keys of this size are warned of, and move alone; 8 MiB when not told. */
  readonly bigKeyBytes?: number;
  /** Which of two different values stays; such a key stops the move when not told. */
  readonly keep?: KeepChoice;
  /** Monotonic milliseconds; tests give their own. */
  readonly now?: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** No wait for the rate limit is cut into longer pieces, so that a pause and a signal are heard soon. */
const PIECE_MAX_MS = 250;
const PAUSE_LOOK_MS = 100;
/** A key of this size keeps both masters busy for tens of milliseconds. */
const BIG_KEY_BYTES = 8 * 1024 * 1024;

const TARGET_PARTS = { quarter: 1, half: 2, all: 4 } as const;
export type TargetPart = keyof typeof TARGET_PARTS;

/**
 * Shared by all moves of one operation, so that its limits hold for all of them together.
 *
 * The limit is a debt: a batch is sent when the debt of those before is paid off, whatever its own size, so that one big
 * key cannot wait for ever.
 */
export class MoveControl {
  readonly method: MoveMethod;
  readonly bigKeyBytes: number;
  readonly keep: KeepChoice | undefined;
  readonly #pace: PaceChoice;
  /** Of each source, at the first look: later ones would count what the moves themselves ask of it. */
  readonly #paces = new Map<string, MovePace>();
  #limits: MoveLimits;
  #paused = false;
  /** Of each target. */
  readonly #shares = new Map<string, Permits>();
  /** The moment at which all that was sent so far is within the limits. */
  #paidAt = 0;
  readonly #now: () => number;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;

  constructor(options: MoveControlOptions = {}) {
    this.method = options.method ?? 'auto';
    this.bigKeyBytes = options.bigKeyBytes ?? BIG_KEY_BYTES;
    this.keep = options.keep;
    this.#pace = options.pace ?? 'auto';
    this.#limits = { bytesPerSecond: options.bytesPerSecond, keysPerSecond: options.keysPerSecond };
    this.#now = options.now ?? (() => performance.now());
    this.#sleep = options.sleep ?? wait;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** No further batch begins; what is under way is finished. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Those of the moment. */
  get limits(): MoveLimits {
    return this.#limits;
  }

  setLimits(limits: MoveLimits): void {
    this.#limits = limits;
  }

  /** Returns when the next batch may be sent. Throws the signal's reason. */
  async turn(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const debtMs = this.#paidAt - this.#now();
      if (!this.#paused && debtMs <= 0) return;
      await this.#sleep(this.#paused ? PAUSE_LOOK_MS : Math.min(PIECE_MAX_MS, debtMs), signal);
    }
  }

  /**
   * How much of its time a source gives to the moves of this operation.
   * @param opsPerSecond that it serves now
   */
  paceOf(sourceId: string, opsPerSecond: number): MovePace {
    if (this.#pace !== 'auto') return this.#pace;
    const pace = this.#paces.get(sourceId) ?? (opsPerSecond >= BUSY_OPS_PER_SECOND ? 'gentle' : 'fast');
    this.#paces.set(sourceId, pace);
    return pace;
  }

  /**
   * Waits until the target has room beside what moves there already.
   * @param part how much of the target's time the move may take: `quarter`, `half` or `all` of it
   */
  into<Result>(targetId: string, part: TargetPart, work: () => Promise<Result>): Promise<Result> {
    const permits = this.#shares.get(targetId) ?? new Permits(TARGET_PARTS.all);
    this.#shares.set(targetId, permits);
    return permits.with(work, TARGET_PARTS[part]);
  }

  /** Told after each batch. */
  spent(keys: number, bytes: number): void {
    const { bytesPerSecond, keysPerSecond } = this.#limits;
    const costMs = Math.max(
      bytesPerSecond === undefined ? 0 : (bytes / bytesPerSecond) * 1_000,
      keysPerSecond === undefined ? 0 : (keys / keysPerSecond) * 1_000,
    );
    this.#paidAt = Math.max(this.#paidAt, this.#now()) + costMs;
  }
}

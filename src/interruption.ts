/** Ctrl-C, SIGTERM and a terminal that goes away as an `AbortSignal`, with a bound on the clean-up that follows. */
import { isatty } from 'node:tty';
import { EXIT_CODES, ForgeError } from './errors.js';

const KINDS = { SIGINT: 'interrupted', SIGTERM: 'terminated', SIGHUP: 'hung-up' } as const;
const WORDS = {
  SIGINT: 'Interrupted by Ctrl-C',
  SIGTERM: 'Ended by SIGTERM',
  SIGHUP: 'The terminal went away',
} as const;

type InterruptingSignal = keyof typeof KINDS;

/**
 * What SIGHUP means: nothing of our own (the system ends the process), an interruption like the others, or nothing at all.
 */
export type HangupMeaning = 'default' | 'interrupt' | 'ignore';

/**
 * For work that should be ended in good order. Node undoes what `nohup` set, and nobody can see afterwards that it did;
 * what remains of nohup, cron and a service is that they have no terminal, and so none that could go away.
 */
export function hangupByTerminal(hasTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor))): HangupMeaning {
  return hasTerminal ? 'interrupt' : 'ignore';
}

export interface InterruptionOptions {
  /** How long the command may take to clean up after the signal, in milliseconds. */
  cleanUpMs: number;
  /** Leaves the process at once; called on a second signal, or when the clean-up took too long. */
  leave: (exitCode: number) => void;
  /** `default` when not given. */
  hangup?: HangupMeaning;
  /** Told once, when the first signal arrives. */
  onInterrupt?: (words: string) => void;
}

/** Listens from construction to `release`. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #options: InterruptionOptions;
  readonly #listeners = new Map<InterruptingSignal, () => void>();
  #received: InterruptingSignal | undefined;
  #failure: ForgeError | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InterruptionOptions) {
    this.#options = options;
    const { hangup = 'default' } = options;
    for (const name of Object.keys(KINDS) as InterruptingSignal[]) {
      if (name === 'SIGHUP' && hangup === 'default') continue;
      const ignored = name === 'SIGHUP' && hangup === 'ignore';
      const listener = () => (ignored ? undefined : this.#receive(name));
      this.#listeners.set(name, listener);
      process.on(name, listener);
    }
  }

  /** Aborted by the first signal; its reason is a `ForgeError` of the signal's kind. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * The failure to report once a signal arrived, whatever the command made of it; undefined when none did. Where the
   * command stopped with words of its own (what is left, how to go on), they are kept.
   */
  failure(error?: unknown): ForgeError | undefined {
    const name = this.#received;
    if (name === undefined) return undefined;
    // It was thrown already, by work that came to its end in spite of the signal.
    if (error !== undefined && error === this.#failure) return this.#failure;
    const own = error instanceof ForgeError && error !== this.signal.reason ? error : undefined;
    const message = own === undefined ? `${WORDS[name]}.` : `${WORDS[name]}. ${own.message}`;
    this.#failure = new ForgeError(KINDS[name], message, {
      host: own?.host,
      next: own?.next,
      details: own?.details,
      cause: error,
    });
    return this.#failure;
  }

  release(): void {
    clearTimeout(this.#timer);
    for (const [name, listener] of this.#listeners) process.off(name, listener);
    this.#listeners.clear();
  }

  #receive(name: InterruptingSignal): void {
    const exitCode = EXIT_CODES[KINDS[name]];
    if (this.#received !== undefined) {
      // The shell and the system both send one when a terminal closes: the second asks for nothing more.
      if (name === 'SIGHUP') return;
      this.#options.leave(exitCode);
      return;
    }
    this.#received = name;
    this.#timer = setTimeout(() => this.#options.leave(exitCode), this.#options.cleanUpMs);
    this.#timer.unref();
    this.#options.onInterrupt?.(WORDS[name]);
    this.#controller.abort(new ForgeError(KINDS[name], `${WORDS[name]}.`));
  }
}

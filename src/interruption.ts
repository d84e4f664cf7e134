/** Ctrl-C and SIGTERM as an `AbortSignal`, with a bound on the clean-up that follows. */
import { EXIT_CODES, ForgeError } from './errors.js';

const KINDS = { SIGINT: 'interrupted', SIGTERM: 'terminated' } as const;
const WORDS = { SIGINT: 'Interrupted by Ctrl-C', SIGTERM: 'Ended by SIGTERM' } as const;

type InterruptingSignal = keyof typeof KINDS;

export interface InterruptionOptions {
  /** How long the command may take to clean up after the signal, in milliseconds. */
  cleanUpMs: number;
  /** Leaves the process at once; called on a second signal, or when the clean-up took too long. */
  leave: (exitCode: number) => void;
  /** Told once, when the first signal arrives. */
  onInterrupt?: (words: string) => void;
}

/**
 * Listens from construction to `release`. SIGHUP is left alone: catching it would undo `nohup`.
 */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #options: InterruptionOptions;
  readonly #listeners = new Map<InterruptingSignal, () => void>();
  #received: InterruptingSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InterruptionOptions) {
    this.#options = options;
    for (const name of Object.keys(KINDS) as InterruptingSignal[]) {
      const listener = () => this.#receive(name);
      this.#listeners.set(name, listener);
      process.on(name, listener);
    }
  }

  /** Aborted by the first signal; its reason is a `ForgeError` of the kind `interrupted` or `terminated`. */
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
    const own = error instanceof ForgeError && error !== this.signal.reason ? error : undefined;
    const message = own === undefined ? `${WORDS[name]}.` : `${WORDS[name]}. ${own.message}`;
    return new ForgeError(KINDS[name], message, {
      host: own?.host,
      next: own?.next,
      details: own?.details,
      cause: error,
    });
  }

  release(): void {
    clearTimeout(this.#timer);
    for (const [name, listener] of this.#listeners) process.off(name, listener);
    this.#listeners.clear();
  }

  #receive(name: InterruptingSignal): void {
    const exitCode = EXIT_CODES[KINDS[name]];
    if (this.#received !== undefined) {
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

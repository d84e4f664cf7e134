/**
 * The one error type of the program and the exit code of every kind.
 *
 * A service throws a `ForgeError`; the base command prints it and exits with the code of its kind. The table is
 * documented in docs/exit-codes.md, and a test keeps the two equal.
 */
export const EXIT_CODES = {
  /** Everything that was asked for was done. */
  done: 0,
  /** A fault of the program itself; please report it. */
  unexpected: 1,
  /** The command line was wrong: an unknown flag, a missing or malformed argument. */
  usage: 2,
  /** A configuration file, a setting or an environment variable is wrong. */
  configuration: 3,
  /** A host, port or service could not be reached. */
  unreachable: 4,
  /** A guard refused: the operation would harm data, or its precondition does not hold. */
  refused: 5,
  /** Somebody else holds the lock. */
  locked: 6,
  /** A bounded wait ran out. */
  timeout: 7,
  /** Part of the work is done; running the same command again finishes it. */
  partial: 8,
  /** A check ran and what it looked at is not as it should be. */
  verification: 9,
  /** A program or file that this command needs is not installed. */
  missing: 10,
  /** Authentication failed, or the user lacks a permission. */
  denied: 11,
  /** The terminal went away (SIGHUP). */
  'hung-up': 129,
  /** Interrupted by Ctrl-C (SIGINT). */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

export type ErrorKind = Exclude<keyof typeof EXIT_CODES, 'done'>;

export interface ForgeErrorOptions {
  /** The host or `host:port` that the failure is about. */
  host?: string;
  /** What the reader should do next, as one or more imperative sentences. */
  next?: string | string[];
  /** The failure underneath; shown only with DEBUG set. */
  cause?: unknown;
  /** Machine-readable details for `--json`. Must hold no secrets. */
  details?: Record<string, unknown>;
}

/** A failure that the reader can act on: what failed, on which host, and what to do next. */
export class ForgeError extends Error {
  override readonly name = 'ForgeError';
  readonly kind: ErrorKind;
  readonly host?: string;
  readonly next: string[];
  readonly details?: Record<string, unknown>;

  constructor(kind: ErrorKind, message: string, options: ForgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.host = options.host;
    this.next = options.next === undefined ? [] : Array.isArray(options.next) ? options.next : [options.next];
    this.details = options.details;
  }

  /** The process exit code of this error's kind. */
  get exitCode(): number {
    return EXIT_CODES[this.kind];
  }

  /** The error as the `error` member of a `--json` document. */
  toJSON(): Record<string, unknown> {
    return {
      kind: this.kind,
      exitCode: this.exitCode,
      message: this.message,
      ...(this.host === undefined ? {} : { host: this.host }),
      ...(this.next.length === 0 ? {} : { next: this.next }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/**
 * Where a command's words go. Standard output carries data only, so that it can be piped and parsed; messages, warnings
 * and questions go to standard error.
 */
import { type Colors, createColors, wantsColors } from './colors.js';

/** The part of a writable stream that is used here; tests pass their own. */
export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface OutputOptions {
  /** One JSON document on standard output, and nothing else there. */
  json?: boolean;
  /** No messages: only data and errors. */
  quiet?: boolean;
  stdout?: OutputStream;
  stderr?: OutputStream;
  environment?: NodeJS.ProcessEnv;
}

const DEFAULT_COLUMNS = 80;

/** The terminal of one command run. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Colours for text that goes through `data`. */
  readonly colors: Colors;
  /** Colours for text that goes through `message`. */
  readonly messageColors: Colors;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;

  constructor(options: OutputOptions = {}) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
    this.#stdout = options.stdout ?? process.stdout;
    this.#stderr = options.stderr ?? process.stderr;
    this.colors = createColors(!this.json && wantsColors(this.#stdout, options.environment));
    this.messageColors = createColors(wantsColors(this.#stderr, options.environment));
  }

  /** Columns of the terminal that data is shown on; 80 without one. */
  get columns(): number {
    return this.#stdout.columns || DEFAULT_COLUMNS;
  }

  /**
   * True when progress may be drawn: a terminal is there, and neither --json nor --quiet was given. A terminal of no
   * columns (some container shells start that way) gets plain lines.
   */
  get interactive(): boolean {
    return this.#stderr.isTTY === true && this.#stderr.columns !== 0 && !this.json && !this.quiet;
  }

  /** The command's result for people, on standard output; nothing with --json. */
  data(text = ''): void {
    if (!this.json) this.#stdout.write(`${text}\n`);
  }

  /** A remark on standard error; nothing with --json or --quiet. */
  message(text = ''): void {
    if (!this.json && !this.quiet) this.#stderr.write(`${text}\n`);
  }

  /** Something that the reader should know although the command goes on; on standard error, with --quiet and --json too. */
  warning(text: string): void {
    this.#stderr.write(`${this.messageColors.yellow('Warning:')} ${text}\n`);
  }

  /** The one document of a --json run. Called by the base command only. */
  document(value: unknown): void {
    this.#stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }
}

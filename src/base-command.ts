/** What every command shares: flags, output, errors, questions, signals. Kept light: all commands load it. */
import { Command, Flags, type Interfaces } from '@oclif/core';
import { type HangupMeaning, Interruption } from './interruption.js';
import { toForgeError } from './ui/failure.js';
import { Output } from './ui/output.js';

/** `--yes`: for commands that ask before they change something. */
export const yesFlag = {
  yes: Flags.boolean({ char: 'y', description: 'Go on without asking for a confirmation.', default: false }),
};

/** `--dry-run`: for commands that change something. */
export const dryRunFlag = {
  'dry-run': Flags.boolean({ description: 'Show what would be done and change nothing.', default: false }),
};

/** How long a command may clean up after Ctrl-C or SIGTERM before the process leaves anyway, in milliseconds. */
const CLEAN_UP_MS = 10_000;
const SHOW_CURSOR = '\u001b[?25h';

// biome-ignore lint/suspicious/noExplicitAny: oclif's own constraint; each command's flags have types of their own.
type Named = Record<string, any>;

export interface ConfirmOptions {
  /** The word that must be typed for a change that cannot be undone; without it, `y` is enough. */
  confirmWord?: string;
}

/**
 * The base of every command. A subclass parses its flags in `run`, calls one service with `this.signal`, shows the
 * result through `this.output`, and returns it: with --json the returned object is the one document that is printed.
 */
export abstract class ForgeCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    quiet: Flags.boolean({
      char: 'q',
      description: 'No progress and no remarks, only the result and errors.',
      default: false,
    }),
  };

  /** Milliseconds of clean-up after a signal; a command whose clean-up takes longer may set its own. */
  protected readonly cleanUpMs: number = CLEAN_UP_MS;
  /** What SIGHUP means to this command: as a rule, the system ends it. */
  protected readonly hangup: HangupMeaning = 'default';
  /** Set by a command that shows page after page until its reader leaves: Ctrl-C is no failure then, and all is printed. */
  protected untilLeft = false;
  #interruption: Interruption | undefined;
  #output: Output | undefined;
  #flags: Record<string, unknown> = {};

  /** The command's work. The returned object is what --json prints; it must hold no secrets. */
  abstract override run(): Promise<object>;

  /** Aborted by Ctrl-C, SIGTERM and, where the command hears it, SIGHUP. Pass it to every service: whoever waits must stop waiting and clean up. */
  protected get signal(): AbortSignal {
    if (this.#interruption === undefined) throw new Error('the signal exists only while the command runs');
    return this.#interruption.signal;
  }

  /** Where results and remarks go. Complete after `parse`. */
  protected get output(): Output {
    this.#output ??= new Output({ json: this.jsonEnabled(), quiet: this.#flags.quiet === true });
    return this.#output;
  }

  /** How the reader calls this program: one that npm runs (`npm run`, `npx`) need not be on the path. */
  protected get program(): string {
    return process.env.npm_command === undefined ? this.config.bin : `npx ${this.config.bin}`;
  }

  /**
   * Asks before a change. Resolves to true with --yes or on a yes; anything else throws, so that nobody goes on by
   * forgetting to look at the answer.
   * @throws ForgeError `refused` on a no, and where there is no terminal to ask on.
   */
  protected async confirm(question: string, options: ConfirmOptions = {}): Promise<true> {
    if (this.#flags.yes === true) return true;
    const { askConfirmation } = await import('./ui/confirm.js');
    return askConfirmation(question, { ...options, json: this.jsonEnabled(), signal: this.signal });
  }

  override async parse<F extends Named, B extends Named, A extends Named>(
    options?: Interfaces.Input<F, B, A>,
    argv?: string[],
  ): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse<F, B, A>(options, argv);
    this.#flags = parsed.flags;
    this.#output = undefined;
    return parsed;
  }

  /** oclif's runner, with signals heard, every error a `ForgeError`, and at most one JSON document. */
  protected override async _run<T>(): Promise<T> {
    const interruption = new Interruption({
      cleanUpMs: this.cleanUpMs,
      hangup: this.hangup,
      leave: (exitCode) => {
        if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR);
        process.exit(exitCode);
      },
      onInterrupt: (words) => {
        if (!this.untilLeft) this.output.message(`${words}: cleaning up. Once more leaves at once.`);
      },
    });
    this.#interruption = interruption;
    try {
      await this.init();
      const result = await this.run();
      const interrupted = interruption.failure();
      const left = this.untilLeft && (interrupted === undefined || interrupted.kind === 'interrupted');
      if (interrupted !== undefined && !left) throw interrupted;
      if (this.jsonEnabled() && !left) this.output.document(result);
      return result as T;
    } catch (error) {
      const interrupted = interruption.failure(error);
      if (this.untilLeft && interrupted?.kind === 'interrupted') return undefined as T;
      throw interrupted ?? (isExit(error) ? error : toForgeError(error));
    } finally {
      interruption.release();
    }
  }
}

/** oclif leaves after `--help` by throwing; that is no failure. */
function isExit(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === 'EEXIT';
}

// @ts-check
/** A failure that the reader can act on. It mirrors `ForgeError`, which does not exist before the first build. */
export class SetupFailure extends Error {
  /**
   * @param {string} message what failed
   * @param {{ next?: string, exitCode?: number }} [options] what to do next; the exit code of docs/exit-codes.md
   */
  constructor(message, { next, exitCode = 1 } = {}) {
    super(message);
    this.next = next;
    this.exitCode = exitCode;
  }
}

/** The exit codes of docs/exit-codes.md that these scripts use. */
export const EXIT = { unexpected: 1, usage: 2, locked: 6, timeout: 7, missing: 10 };

/**
 * Prints a failure, without a stack unless it is a fault of the scripts themselves.
 * @param {string} program
 * @param {unknown} error
 * @returns {number} the exit code
 */
export function report(program, error) {
  if (!(error instanceof SetupFailure)) {
    console.error(`${program}:`, error);
    return EXIT.unexpected;
  }
  console.error(`${program}: ${error.message}`);
  if (error.next) console.error(`  → ${error.next}`);
  return error.exitCode;
}

/** What is wrong with a configuration, in words that an operator can act on; apart from what reads one, which is heavy. */

/** One thing that is wrong with a configuration, with its place. */
export interface ConfigProblem {
  /** `listeners[0].address` */
  readonly path: string;
  readonly message: string;
  /** From 1; 0 when the place is not known. */
  readonly line: number;
  readonly column: number;
}

/** A configuration that cannot be used, with all that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(
    readonly source: string,
    readonly problems: readonly ConfigProblem[],
  ) {
    super(problems.map((problem) => describe(source, problem)).join('\n'));
  }
}

function describe(source: string, { path, message, line, column }: ConfigProblem): string {
  const place = line > 0 ? `${source}:${line}:${column}` : source;
  return oneLine(path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`);
}

/** What a configuration holds is shown in messages; none of it breaks a line or reaches the terminal's controls. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Bytes of a configuration file that are read. */
export const CONFIG_BYTES_MAX = 4 * 1024 * 1024;

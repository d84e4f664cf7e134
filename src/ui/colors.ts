/** ANSI colours, and the one rule that says when a stream gets them. */

const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof STYLES;
export type Colors = Record<Style, (text: string) => string>;

const ESCAPE = '\u001b[';

/**
 * Whether text written to `stream` may hold colours: never with NO_COLOR (https://no-color.org) or on a dumb terminal;
 * FORCE_COLOR asks for them without a terminal (a CI log that shows colours), FORCE_COLOR=0 refuses them.
 */
export function wantsColors(stream: { isTTY?: boolean }, environment: NodeJS.ProcessEnv = process.env): boolean {
  if (environment.NO_COLOR) return false;
  const force = environment.FORCE_COLOR;
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return stream.isTTY === true && environment.TERM !== 'dumb';
}

/** One function per style; with `enabled` false they return the text as it is. */
export function createColors(enabled: boolean): Colors {
  const entries = Object.entries(STYLES).map(([style, [open, close]]) => [
    style,
    enabled ? (text: string) => `${ESCAPE}${open}m${text}${ESCAPE}${close}m` : (text: string) => text,
  ]);
  return Object.fromEntries(entries) as Colors;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for.
const COLOR_SEQUENCES = /\u001b\[[0-9;]*m/g;

/** The text without colour sequences. */
export function stripColors(text: string): string {
  return text.replace(COLOR_SEQUENCES, '');
}

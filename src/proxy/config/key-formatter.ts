/** What may stand between two percent signs: Envoy documents `%KEY%` for keys, and `%%` for the sign itself. */
const PIECE = /%([^%]*)%?/g;

/** A formatter that cannot be used; the message says why. */
export class KeyFormatterError extends Error {}

/**
 * Reads Envoy's `key_formatter`.
 * @returns the texts before, between and after the keys: the formatted key is `parts.join(key)`
 * @throws KeyFormatterError for another command than `%KEY%` and for a formatter without it
 */
export function parseKeyFormatter(formatter: string): string[] {
  const parts = [''];
  let at = 0;
  for (const match of formatter.matchAll(PIECE)) {
    const [piece, command] = match as unknown as [string, string];
    parts[parts.length - 1] += formatter.slice(at, match.index);
    at = match.index + piece.length;
    if (piece === '%%') parts[parts.length - 1] += '%';
    else if (piece === '%KEY%') parts.push('');
    else if (!piece.endsWith('%') || piece.length === 1)
      throw new KeyFormatterError(`a % without its end; a percent sign itself is written %%`);
    else throw new KeyFormatterError(`%${command}% is not supported; only %KEY% is, and %% for a percent sign`);
  }
  parts[parts.length - 1] += formatter.slice(at);
  if (parts.length === 1) throw new KeyFormatterError('%KEY% is missing: all keys would become the same one');
  return parts;
}

/** Words that somebody else chose (keys, names, errors), made fit to be shown on a terminal. */

/** What moves a cursor, changes colours or the order of letters, or breaks a line. */
const DANGEROUS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const MORE = '…';

/**
 * The text on one line, without anything that a terminal would obey: such characters are shown by their numbers.
 * @param charactersMax a longer text ends with `…`
 */
export function printable(text: string, charactersMax = Number.POSITIVE_INFINITY): string {
  const shown = text.replace(DANGEROUS, (character) => {
    return `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}`;
  });
  const characters = [...shown];
  return characters.length <= charactersMax ? shown : `${characters.slice(0, charactersMax - 1).join('')}${MORE}`;
}

/** Characters that end a line, move a terminal's cursor or turn text around. */
const CONTROL = /["\\\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Text for one line between quotes: whatever could end it or disturb a terminal is escaped as in JSON. */
export function escaped(text: string): string {
  return text.replace(CONTROL, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

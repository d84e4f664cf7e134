/** The string and template literals of a source text, found without a compiler. */

export interface Literal {
  /** As it is written, escapes included; `…` for each `${…}`. */
  readonly text: string;
  /** The functions in whose arguments it stands, the nearest last: `replyError`, `note`. */
  readonly within: readonly string[];
}

/** What can stand before a regular expression, where a division cannot. */
const BEFORE_PATTERN = /[(,=:[!&|?{};]$|\breturn$|^$/;

/** All literals, in the order in which they end. Comments and regular expressions are passed over. */
export function literalsOf(source: string): Literal[] {
  const literals: Literal[] = [];
  const within: string[] = [];

  const keep = (text: string) => literals.push({ text, within: within.filter((name) => name !== '') });

  /** Behind a quote. Returns where the text goes on. */
  function quoted(from: number, quote: string): number {
    let at = from;
    while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1;
    keep(source.slice(from, at));
    return at + 1;
  }

  function template(from: number): number {
    let text = '';
    let at = from;
    while (at < source.length && source[at] !== '`') {
      if (source.startsWith('${', at)) {
        text += '…';
        at = code(at + 2, true);
      } else {
        const length = source[at] === '\\' ? 2 : 1;
        text += source.slice(at, at + length);
        at += length;
      }
    }
    keep(text);
    return at + 1;
  }

  function pattern(from: number): number {
    let at = from;
    for (let inClass = false; at < source.length && (inClass || source[at] !== '/'); at++) {
      if (source[at] === '\\') at++;
      else if (source[at] === '[') inClass = true;
      else if (source[at] === ']') inClass = false;
    }
    return at + 1;
  }

  /** Up to the end, or to the brace that closes a `${`. */
  function code(from: number, inTemplate: boolean): number {
    let depth = 0;
    let before = '';
    let at = from;
    while (at < source.length) {
      const next = source[at];
      if (source.startsWith('//', at)) {
        const end = source.indexOf('\n', at);
        at = end < 0 ? source.length : end;
      } else if (source.startsWith('/*', at)) at = source.indexOf('*/', at) + 2;
      else if (next === '/' && BEFORE_PATTERN.test(before)) {
        at = pattern(at + 1);
        before = ')';
      } else if (next === "'" || next === '"') {
        at = quoted(at + 1, next);
        before = ')';
      } else if (next === '`') {
        at = template(at + 1);
        before = ')';
      } else {
        if (next === '{') depth++;
        if (next === '}' && depth-- === 0 && inTemplate) return at + 1;
        if (next === '(') within.push(/\w*$/.exec(before)?.[0] ?? '');
        if (next === ')') within.pop();
        if (/\w/.test(next)) before = /\w/.test(source[at - 1] ?? '') ? before + next : next;
        else if (!/\s/.test(next)) before = next;
        at++;
      }
    }
    return at;
  }

  code(0, false);
  return literals;
}

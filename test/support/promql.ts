/** What a PromQL expression names: metrics with the labels that are asked of them. Enough of the grammar for ours. */

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

export interface Names {
  readonly selectors: readonly Selector[];
  /** Labels by which is grouped or joined. */
  readonly labels: readonly string[];
}

const TOKEN = /\s+|"(?:[^"\\]|\\.)*"|[0-9][0-9a-z.]*|[A-Za-z_:][A-Za-z0-9_:]*|=~|!~|!=|==|>=|<=|\$?[^\s]/gy;
const WORDS = new Set([
  'by',
  'without',
  'on',
  'ignoring',
  'group_left',
  'group_right',
  'bool',
  'and',
  'or',
  'unless',
  'offset',
]);
const LISTS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

/** Throws where it meets what it does not know: a name that is overlooked would not be checked. */
export function namesIn(expression: string): Names {
  const tokens = [...expression.matchAll(TOKEN)].map(([token]) => token).filter((token) => token.trim() !== '');
  const selectors: Selector[] = [];
  const labels: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as string;
    if (token === '[') {
      // A window: `[5m]`.
      at = tokens.indexOf(']', at);
      if (at < 0) throw new Error(`no ] in ${expression}`);
      continue;
    }
    if (!/^[A-Za-z_:]/.test(token)) continue;
    if (LISTS.has(token)) {
      const end = tokens.indexOf(')', at);
      labels.push(...tokens.slice(at + 2, end).filter((each) => each !== ','));
      at = end;
    } else if (!WORDS.has(token) && tokens[at + 1] !== '(' && !LISTS.has(tokens[at + 1] ?? '')) {
      const end = tokens[at + 1] === '{' ? tokens.indexOf('}', at) : at;
      selectors.push({ metric: token, matchers: matchersIn(tokens.slice(at + 2, end), expression) });
      at = end;
    }
  }
  return { selectors, labels };
}

function matchersIn(tokens: readonly string[], expression: string): Matcher[] {
  const matchers: Matcher[] = [];
  for (let at = 0; at < tokens.length; at += 4) {
    const [label, operator, value, comma] = tokens.slice(at, at + 4);
    if (label === undefined || value === undefined || !['=', '!=', '=~', '!~'].includes(operator ?? '')) {
      throw new Error(`not understood: ${tokens.join(' ')} in ${expression}`);
    }
    if (comma !== undefined && comma !== ',') throw new Error(`no comma in ${expression}`);
    matchers.push({ label, operator: operator as Matcher['operator'], value: JSON.parse(value) as string });
  }
  return matchers;
}

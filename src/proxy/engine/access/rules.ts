import type { Catalog } from '../commands/catalog.js';
import { ACL_CATEGORIES } from '../commands/spec.js';

/**
 * The language of Redis's ACL SETUSER, without passwords
 * (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/).
 */

/** Bits of what a key pattern allows. */
export const KeyAccess = { read: 1, write: 2, both: 3 } as const;

/** What is allowed or forbidden, in the order in which it was said. */
export interface CommandRule {
  readonly allow: boolean;
  readonly kind: 'all' | 'category' | 'command';
  /** In small letters: a category's name; a command's, or `command|subcommand`, or `command|its first argument`. */
  readonly name: string;
}

export interface KeyRule {
  readonly access: number;
  readonly pattern: string;
}

/** One set of permissions; a command must be allowed by one of a user's as a whole. */
export interface SelectorRules {
  commands: CommandRule[];
  keys: KeyRule[];
  channels: string[];
}

export interface Rules {
  /** Null when the rules do not say. */
  readonly on: boolean | null;
  readonly nopass: boolean;
  /** The first one is the user's own. */
  readonly selectors: readonly SelectorRules[];
}

/** A word that cannot be understood. What may be meant instead is one of `known`, written as `prefix` + it. */
export class RuleError extends Error {
  constructor(
    readonly word: string,
    message: string,
    readonly known: readonly string[] = [],
    readonly prefix = '',
  ) {
    super(message);
  }
}

/** Categories that the modules of Redis 8 bring, known before a server has said so. */
export const MODULE_CATEGORIES = ['search', 'json', 'timeseries', 'bloom', 'cuckoo', 'cms', 'topk', 'tdigest'];

const WORDS = [
  ...['on', 'off', 'nopass', 'allcommands', 'nocommands', 'allkeys', 'resetkeys', 'allchannels', 'resetchannels'],
  ...['clearselectors', 'reset', 'sanitize-payload', 'skip-sanitize-payload'],
];

const ALL_COMMANDS = { kind: 'all', name: 'all' } as const;

/**
 * Reads a user's rules.
 * @param catalog the commands that there are; null: names are taken as they are
 * @throws RuleError for the first word that cannot be understood; it shows no password
 */
export function parseRules(text: string, catalog: Catalog | null): Rules {
  const user = { on: null as boolean | null, nopass: false };
  let selectors = [emptySelector()];
  for (const word of joinSelectors(text)) {
    const lower = word.toLowerCase();
    if (lower === 'on' || lower === 'off') user.on = lower === 'on';
    else if (lower === 'nopass') user.nopass = true;
    else if (lower === 'clearselectors') selectors = [selectors[0]];
    else if (lower === 'reset') {
      user.on = false;
      user.nopass = false;
      selectors = [emptySelector()];
    } else if (lower === 'sanitize-payload' || lower === 'skip-sanitize-payload') {
      // What is restored is looked at by the servers, whoever brings it.
    } else if (/^[<>#!]|^resetpass$/.test(lower)) {
      throw new RuleError(
        lower === 'resetpass' ? word : word.slice(0, 1),
        "passwords stand in 'passwords', not in rules",
      );
    } else if (word.startsWith('(')) selectors.push(parseSelector(word, catalog));
    else applyWord(selectors[0], word, catalog);
  }
  return { ...user, selectors };
}

function emptySelector(): SelectorRules {
  return { commands: [], keys: [], channels: [] };
}

/** Words at white space; `( … )` is one. */
function joinSelectors(text: string): string[] {
  const words: string[] = [];
  let open: string[] | null = null;
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    if (open === null && word.startsWith('(')) open = [];
    if (open === null) {
      words.push(word);
      continue;
    }
    open.push(word);
    if (!word.endsWith(')')) continue;
    words.push(open.join(' '));
    open = null;
  }
  if (open !== null) throw new RuleError(open[0], "a selector's parenthesis is not closed");
  return words;
}

function parseSelector(word: string, catalog: Catalog | null): SelectorRules {
  const selector = emptySelector();
  for (const each of word.slice(1, -1).split(' ')) if (each !== '') applyWord(selector, each, catalog);
  return selector;
}

function applyWord(selector: SelectorRules, word: string, catalog: Catalog | null): void {
  const lower = word.toLowerCase();
  const [first] = word;
  if (lower === 'allcommands' || lower === '+@all') selector.commands = [{ ...ALL_COMMANDS, allow: true }];
  else if (lower === 'nocommands' || lower === '-@all') selector.commands = [{ ...ALL_COMMANDS, allow: false }];
  else if (first === '+' || first === '-') addCommandRule(selector, commandRule(word, catalog));
  else if (lower === 'resetkeys') selector.keys = [];
  else if (lower === 'resetchannels') selector.channels = [];
  else if (lower === 'allkeys' || first === '~' || first === '%') addKeyRule(selector, word);
  else if (lower === 'allchannels' || first === '&') {
    const pattern = lower === 'allchannels' ? '*' : word.slice(1);
    if (selector.channels.includes('*') && pattern !== '*') {
      throw new RuleError(word, 'all channels are allowed already; resetchannels begins with none');
    }
    selector.channels = pattern === '*' ? ['*'] : [...selector.channels, pattern];
  } else throw new RuleError(word, 'no rule begins like this', WORDS);
}

/** What was said of the same thing before counts no more. */
function addCommandRule(selector: SelectorRules, rule: CommandRule): void {
  const same = ({ kind, name }: CommandRule) => kind === rule.kind && name === rule.name;
  selector.commands = [...selector.commands.filter((each) => !same(each)), rule];
}

function addKeyRule(selector: SelectorRules, word: string): void {
  const match = /^(?:~|%(r|w|rw|wr)~)(.*)$/is.exec(word);
  if (word.toLowerCase() !== 'allkeys' && match === null) {
    throw new RuleError(word, 'a key pattern is ~pattern, %R~pattern, %W~pattern or %RW~pattern');
  }
  const letters = (match?.[1] ?? 'rw').toLowerCase();
  const access = (letters.includes('r') ? KeyAccess.read : 0) | (letters.includes('w') ? KeyAccess.write : 0);
  const pattern = match === null ? '*' : match[2];
  const all = ({ access: had, pattern: before }: KeyRule) => before === '*' && had === KeyAccess.both;
  if (pattern === '*' && access === KeyAccess.both) selector.keys = [{ access, pattern }];
  else if (selector.keys.some(all)) {
    throw new RuleError(word, 'all keys are allowed already; resetkeys begins with none');
  } else {
    const before = selector.keys.find((each) => each.pattern === pattern);
    const others = selector.keys.filter((each) => each !== before);
    selector.keys = [...others, { access: access | (before?.access ?? 0), pattern }];
  }
}

function commandRule(word: string, catalog: Catalog | null): CommandRule {
  const allow = word.startsWith('+');
  const sign = word[0];
  const name = word.slice(1).toLowerCase();
  if (name.startsWith('@')) {
    const category = name.slice(1);
    const known = [...ACL_CATEGORIES, ...MODULE_CATEGORIES, 'all'];
    if (catalog !== null && !known.includes(category)) {
      throw new RuleError(word, 'there is no such category', known, `${sign}@`);
    }
    return { allow, kind: 'category', name: category };
  }
  const [command, argument, ...more] = name.split('|');
  if (more.length > 0) throw new RuleError(word, 'a command is allowed as command|subcommand at most');
  if (catalog !== null) checkCommand(word, command, argument, catalog);
  return { allow, kind: 'command', name };
}

function checkCommand(word: string, name: string, argument: string | undefined, catalog: Catalog): void {
  const [sign] = word;
  const names = () => catalog.entries.map((entry) => entry.name);
  const entry = catalog.named(name);
  if (entry === null) {
    // Modules' commands are learned from the servers later; their names have a dot.
    if (/^[a-z0-9_-]+\.[a-z0-9._-]+$/.test(name)) return;
    throw new RuleError(word, 'there is no such command', names(), sign);
  }
  if (argument === undefined || catalog.named(`${name}|${argument}`) !== null) return;
  if (entry.spec.container) throw new RuleError(word, 'there is no such subcommand', names(), sign);
  if (argument === '') throw new RuleError(word, 'what stands behind | is missing');
  if (sign === '-') throw new RuleError(word, 'a command with a first argument can be allowed, not forbidden');
}

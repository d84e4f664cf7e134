import { type CommandSpec, KeyFlag, type KeySpec } from '../../src/proxy/engine/commands/spec.js';

/**
 * A plain reading of key specifications
 * (https://redis.io/docs/latest/develop/reference/key-specs/), slow and obvious, to check faster ones against.
 */
export function keysByTable(command: CommandSpec, args: readonly string[]): string[] {
  return command.keys.filter((spec) => !(spec.flags & KeyFlag.not_key)).flatMap((spec) => keysOfSpec(spec, args));
}

function keysOfSpec({ begin, find }: KeySpec, args: readonly string[]): string[] {
  const first = beginning(begin, args);
  if (first === undefined) return [];
  const keys: string[] = [];
  if (find.type === 'keynum') {
    const count = Number(args[first + find.keynumidx]);
    for (let i = 0; i < count; i++) keys.push(args[first + find.firstkey + i * find.keystep]!);
  } else if (find.type === 'range') {
    const remaining = args.length - first;
    let last = first + find.lastkey;
    if (find.lastkey < 0) {
      last = args.length + find.lastkey;
      // With a limit of n, only the first nth part of the remaining arguments holds keys (XREAD: keys, then ids).
      if (find.limit > 1) last = first + Math.floor(remaining / find.limit) + find.lastkey;
    }
    for (let i = first; i <= last; i += find.keystep) keys.push(args[i]!);
  }
  return keys;
}

function beginning(begin: KeySpec['begin'], args: readonly string[]): number | undefined {
  if (begin.type === 'index') return begin.index;
  if (begin.type === 'unknown') return undefined;
  const forward = begin.startfrom > 0;
  const start = forward ? begin.startfrom : args.length + begin.startfrom;
  for (let i = start; i > 0 && i < args.length; i += forward ? 1 : -1) {
    if (args[i]!.toUpperCase() === begin.keyword) return i + 1;
  }
  return undefined;
}

/** Arguments that a command insists on before its keys, where fillers would be a syntax error. */
const PREFIXES: Record<string, string[]> = { xreadgroup: ['GROUP', 'group', 'consumer'] };

/**
 * Argument lists, command words included, that a server accepts for COMMAND GETKEYS: of several lengths, with several
 * counts of keys. None for a command without keys, or with keys that specifications cannot find (SORT's BY and GET).
 */
export function argumentLists(command: CommandSpec, arity: number): string[][] {
  const { keys, name } = command;
  const usable = keys.filter(({ flags }) => !(flags & KeyFlag.not_key));
  if (usable.length === 0 || keys.some(({ begin }) => begin.type === 'unknown')) return [];
  const lists: string[][] = [];
  for (let more = 0; more <= (arity < 0 ? 4 : 0); more++) {
    for (const count of [1, 2, 3]) {
      const list = [...name.split('|'), ...(PREFIXES[name] ?? [])];
      const least = Math.max(Math.abs(arity), list.length);
      const stem = list.length;
      for (let i = stem; i < least + more; i++) list.push(`a${i}`);
      // GEORADIUS takes STORE or STOREDIST: of several keywords one at a time.
      const keywords = keys.filter(({ begin }) => begin.type === 'keyword');
      const keyword = keywords[count % Math.max(1, keywords.length)];
      for (const spec of keys) {
        if (spec.begin.type !== 'keyword' || spec === keyword) apply(spec, list, count, stem);
      }
      lists.push(list);
    }
  }
  const pairs = keys.some(({ find }) => find.type === 'range' && find.keystep === 2);
  // A server refuses lists that are too short for a key specification (VADD without words, PFMERGE without sources).
  const needed = Math.max(...keys.map(({ begin }) => (begin.type === 'index' ? begin.index + 1 : 0)));
  return lists.filter((list) => list.length >= needed && !(pairs && list.length % 2 === 0));
}

/** Makes `list` one that the specification matches: the keyword and the number of keys are in their places. */
function apply({ begin, find, flags }: KeySpec, list: string[], count: number, stem: number): void {
  if (begin.type === 'keyword' && !(flags & KeyFlag.incomplete)) {
    const halves = find.type === 'range' && find.limit > 1;
    if (halves) list.length = Math.max(stem, begin.startfrom); // nothing but the streams' words may follow
    list.push(begin.keyword, ...Array.from({ length: halves ? 2 * count : 1 }, (_, i) => `${begin.keyword}${i}`));
  }
  if (begin.type === 'index' && find.type === 'keynum') {
    list[begin.index + find.keynumidx] = String(count);
    const least = begin.index + find.firstkey + count * find.keystep;
    for (let i = list.length; i < least + 1; i++) list.push(`a${i}`);
  }
}

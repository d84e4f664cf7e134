import type { ProxyConfig } from '../config/schema.js';
import type { Secrets } from './secrets.js';

/** A configuration with the secrets that it refers to. */
export interface Configured {
  readonly config: ProxyConfig;
  readonly secrets: Secrets;
}

/** What becomes of a proxy that is told to serve by another configuration. */
export interface ReloadPlan {
  /** Changes that are made while it runs, one line each: `clusters[main].settings.op_timeout: 5000 → 3000`. */
  readonly live: readonly string[];
  /** Changes that only a restart makes, the same way. */
  readonly restart: readonly string[];
  /** What is served by then: the new configuration with the old values of `restart`. */
  readonly config: ProxyConfig;
}

type Tree = { [key: string]: unknown };
type Path = readonly string[];

/** A value is shown when it is no longer than this. */
const SHOWN_MAX = 64;
/** Values below these settings are nobody's business. */
const SECRET = /password|secret|token|inline|hash|private/i;

/** What sockets and threads were made from when the process started: a path in the tree, `*` for any list entry. */
const AT_START: readonly (readonly string[])[] = [
  ['workers'],
  ['admin'],
  ['listeners', '*', 'address'],
  ['listeners', '*', 'additional_addresses'],
];
/** Whether clients speak TLS; what of it may change while it runs. */
const PRESENCE_AT_START: Path = ['listeners', '*', 'tls_context'];

/** Compares what is served with what is wanted. Pure. */
export function planReload(before: Configured, after: Configured): ReloadPlan {
  const live: string[] = [];
  const restart: string[] = [];
  const changed = new Set<string>();
  compare([], before.config, after.config, (path, line) => {
    changed.add(name(path));
    const comesOrGoes = path.length === PRESENCE_AT_START.length && isBelow(path, PRESENCE_AT_START);
    (comesOrGoes || AT_START.some((fixed) => isBelow(path, fixed)) ? restart : live).push(line);
  });
  for (const line of secretChanges(before, after, changed)) live.push(line);
  return { live, restart, config: keep(before.config, after.config) };
}

/** Secrets whose sources are the same and whose values are not: a file has been written anew. */
function* secretChanges(before: Configured, after: Configured, changed: ReadonlySet<string>): Generator<string> {
  const said = (path: string) => !changed.has(path) && ![...changed].some((each) => each.startsWith(`${path}.`));
  for (const [index, { name: cluster }] of after.config.clusters.entries()) {
    const old = before.config.clusters.findIndex((each) => each.name === cluster);
    if (old < 0) continue;
    for (const [setting, kind] of [
      ['auth_password', 'upstreamPasswords'],
      ['sentinel.auth_password', 'sentinelPasswords'],
    ] as const) {
      const path = `clusters[${cluster}].${setting}`;
      if (before.secrets[kind][old] !== after.secrets[kind][index] && said(path)) yield `${path}: another secret`;
    }
  }
  for (const [index, { name: user }] of (after.config.listeners[0]?.users ?? []).entries()) {
    const old = before.config.listeners[0]?.users.findIndex((each) => each.name === user) ?? -1;
    if (old < 0) continue;
    const path = `listeners[0].users[${user}].passwords`;
    const same = String(before.secrets.userPasswords[old]) === String(after.secrets.userPasswords[index]);
    if (!same && ![...changed].some((each) => each.startsWith(path))) yield `${path}: other secrets`;
  }
  const path = 'listeners[0].downstream_auth_passwords';
  const same = JSON.stringify(before.secrets.downstreamPasswords) === JSON.stringify(after.secrets.downstreamPasswords);
  if (!same && said(path) && ![...changed].some((each) => each.startsWith(path))) yield `${path}: other secrets`;
}

function compare(path: Path, before: unknown, after: unknown, report: (path: Path, line: string) => void): void {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  if (before === undefined) report(path, `${name(path)}: added${shown(path, after, '', ' (', ')')}`);
  else if (after === undefined) report(path, `${name(path)}: removed${shown(path, before, '', ' (was ', ')')}`);
  else if (isTree(before) && isTree(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare([...path, key], before[key], after[key], report);
  } else if (
    Array.isArray(before) &&
    Array.isArray(after) &&
    (isNamed(before) || before.length === 0) &&
    isNamed(after)
  )
    compareNamed(path, before as Tree[], after as Tree[], report);
  else if (Array.isArray(before) && Array.isArray(after) && before.length === after.length && before.every(isTree))
    for (const [index, each] of before.entries()) compare([...path, String(index)], each, after[index], report);
  else {
    const old = shown(path, before, 'changed', ' ', '');
    const now = shown(path, after, '', ' → ', '');
    report(path, `${name(path)}:${now === '' || old === 'changed' ? ' changed' : `${old}${now}`}`);
  }
}

/** Entries of lists are the same ones when their names are. */
function compareNamed(path: Path, before: Tree[], after: Tree[], report: (path: Path, line: string) => void): void {
  const of = (list: Tree[], name: unknown) => list.find((each) => each['name'] === name);
  // Listeners have their places: a name that changes does not make another one.
  if (path[0] === 'listeners') {
    for (const [index, each] of after.entries()) compare([...path, String(index)], before[index], each, report);
    return;
  }
  for (const each of before) compareEntry([...path, String(each['name'])], each, of(after, each['name']), report);
  for (const each of after) {
    if (of(before, each['name']) === undefined) compareEntry([...path, String(each['name'])], undefined, each, report);
  }
}

function compareEntry(
  path: Path,
  before: Tree | undefined,
  after: Tree | undefined,
  report: (path: Path, line: string) => void,
): void {
  if (before === undefined) report(path, `${name(path)}: added`);
  else if (after === undefined) report(path, `${name(path)}: removed`);
  else compare(path, before, after, report);
}

/** `['clusters', 'main', 'settings']` → `clusters[main].settings` */
function name(path: Path): string {
  let text = '';
  for (const [index, key] of path.entries()) {
    const parent = path[index - 1];
    const inList = /^\d+$/.test(key) || (index > 0 && LISTS.has(parent as string));
    text += inList ? `[${key}]` : text === '' ? key : `.${key}`;
  }
  return text;
}

/** Lists whose entries have names. */
const LISTS: ReadonlySet<string> = new Set(['clusters', 'users', 'listeners']);

function shown(path: Path, value: unknown, otherwise: string, before: string, behind: string): string {
  if (path.some((key) => SECRET.test(key))) return otherwise;
  const text =
    typeof value === 'string' ? value : isAddress(value) ? `${value.host}:${value.port}` : JSON.stringify(value);
  if (text === undefined || text.length > SHOWN_MAX || SECRET.test(text)) return otherwise;
  return `${before}${text}${behind}`;
}

/** An address is one value. */
function isAddress(value: unknown): value is { host: string; port: number } {
  if (typeof value !== 'object' || value === null) return false;
  const keys = Object.keys(value);
  return keys.length === 2 && keys.includes('host') && keys.includes('port');
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isAddress(value);
}

function isNamed(list: unknown[]): boolean {
  return list.length > 0 && list.every((each) => isTree(each) && typeof each['name'] === 'string');
}

function isBelow(path: Path, fixed: Path): boolean {
  return fixed.length <= path.length && fixed.every((key, index) => key === '*' || key === path[index]);
}

/** The new configuration with the old values of what is fixed at the start. */
function keep(before: ProxyConfig, after: ProxyConfig): ProxyConfig {
  const kept = structuredClone(after) as unknown as Tree;
  for (const path of AT_START) put(kept, before as unknown as Tree, path);
  const { tls_context: old } = before.listeners[0];
  const listeners = kept['listeners'] as Tree[];
  if ((old === undefined) !== (after.listeners[0].tls_context === undefined))
    put(listeners[0] as Tree, { tls_context: old }, ['tls_context']);
  return kept as unknown as ProxyConfig;
}

function put(target: Tree, source: Tree, path: Path): void {
  const [key, ...rest] = path as [string, ...string[]];
  if (key === '*') {
    for (const index of Object.keys(target)) if (isTree(source[index])) put(target[index] as Tree, source[index], rest);
  } else if (rest.length > 0) put(target[key] as Tree, source[key] as Tree, rest);
  else if (source[key] === undefined) delete target[key];
  else target[key] = source[key];
}

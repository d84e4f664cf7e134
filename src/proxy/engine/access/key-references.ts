import { equalsIgnoreCase, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { CommandFlag, KeyFlag, type KeySpec } from '../commands/spec.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { KeyAccess } from './rules.js';

/** The keys of one command and what it does with each. Scratch memory of one thread, used within one call. */
class References {
  count = 0;
  /** Argument numbers. */
  at = new Int32Array(64);
  /** Bits of `KeyAccess`. */
  access = new Uint8Array(64);

  add(argument: number, access: number): void {
    if (this.count === this.at.length) {
      const at = new Int32Array(this.count * 2);
      const accesses = new Uint8Array(this.count * 2);
      at.set(this.at);
      accesses.set(this.access);
      this.at = at;
      this.access = accesses;
    }
    this.at[this.count] = argument;
    this.access[this.count++] = access;
  }
}

export const REFERENCES = new References();

const CHANGES = KeyFlag.update | KeyFlag.insert | KeyFlag.delete;

/** What a key specification's flags ask of a user. Who learns only that a key is there needs neither. */
export function accessOf(flags: number): number {
  return (flags & KeyFlag.access ? KeyAccess.read : 0) | (flags & CHANGES ? KeyAccess.write : 0);
}

/** Commands whose key specifications do not say all, and the proxy knows. */
const KNOWN = new Set(['sort', 'sort_ro', 'migrate']);

/**
 * False when nobody but the server can tell which arguments of the command are keys; who may not touch all of them may
 * not give it.
 */
export function keysCanBeTold({ name, spec }: CommandEntry): boolean {
  if (KNOWN.has(name)) return true;
  const keys = spec.keys.filter(({ flags }) => (flags & KeyFlag.not_key) === 0);
  if (keys.some(({ begin, find }) => begin.type === 'unknown' || find.type === 'unknown')) return false;
  if (keys.some(({ flags }) => flags & KeyFlag.incomplete)) return false;
  return keys.length > 0 || (spec.flags & CommandFlag.movablekeys) === 0;
}

/**
 * Finds all keys of a command; they are in `REFERENCES` afterwards. What Redis finds is found, and where arguments
 * contradict themselves, or an option is there twice, rather more.
 */
export function findReferences(entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): void {
  REFERENCES.count = 0;
  if (entry.name === 'migrate') {
    addMigrated(bytes, frame);
    return;
  }
  for (const key of entry.spec.keys) {
    if (key.flags & KeyFlag.not_key) continue;
    addReferences(key, accessIn(entry, key, bytes, frame), bytes, frame);
  }
  if (entry.name === 'sort') addSortDestination(bytes, frame);
}

/** What this call does with the keys of a specification: of some commands the arguments decide. */
function accessIn({ name }: CommandEntry, { flags }: KeySpec, bytes: Uint8Array, frame: RequestFrame): number {
  if ((flags & KeyFlag.variable_flags) === 0) return accessOf(flags);
  if (name === 'set') return hasWord(bytes, frame, 3, 'get') ? KeyAccess.both : KeyAccess.write;
  if (name === 'bitfield') return onlyGets(bytes, frame) ? KeyAccess.read : KeyAccess.both;
  return KeyAccess.both;
}

function is(bytes: Uint8Array, frame: RequestFrame, i: number, word: string): boolean {
  return equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word);
}

function hasWord(bytes: Uint8Array, frame: RequestFrame, from: number, word: string): boolean {
  for (let i = from; i < frame.count; i++) if (is(bytes, frame, i, word)) return true;
  return false;
}

/** BITFIELD key (GET encoding offset | OVERFLOW kind) … */
function onlyGets(bytes: Uint8Array, frame: RequestFrame): boolean {
  for (let i = 2; i < frame.count; ) {
    if (is(bytes, frame, i, 'get') && i + 2 < frame.count) i += 3;
    else if (is(bytes, frame, i, 'overflow') && i + 1 < frame.count) i += 2;
    else return false;
  }
  return true;
}

function addReferences({ begin, find }: KeySpec, access: number, bytes: Uint8Array, frame: RequestFrame): void {
  if (find.type === 'unknown') return;
  if (begin.type === 'index') {
    addFrom(begin.index, find, access, bytes, frame);
    return;
  }
  if (begin.type !== 'keyword') return;
  const word = begin.keyword.toLowerCase();
  const step = begin.startfrom < 0 ? -1 : 1;
  const first = begin.startfrom < 0 ? frame.count + begin.startfrom : begin.startfrom;
  // Of an option that is there twice, the server takes the last; so all are looked at.
  const once = find.type !== 'range' || find.lastkey !== 0;
  for (let i = first; i > 0 && i < frame.count; i += step) {
    if (!is(bytes, frame, i, word)) continue;
    addFrom(i + 1, find, access, bytes, frame);
    if (once) return;
  }
}

function addFrom(
  first: number,
  find: Exclude<KeySpec['find'], { type: 'unknown' }>,
  access: number,
  bytes: Uint8Array,
  frame: RequestFrame,
): void {
  if (first >= frame.count) return;
  const step = Math.max(1, find.keystep);
  if (find.type === 'keynum') {
    const countAt = first + find.keynumidx;
    const count = countAt < frame.count ? parseDecimal(bytes, frame.starts[countAt], frame.ends[countAt]) : 0;
    let at = first + find.firstkey;
    for (let i = 0; i < count && at < frame.count; i++, at += step) REFERENCES.add(at, access);
    return;
  }
  let last = first + find.lastkey;
  if (find.lastkey < 0) {
    // With a limit of n, only the first nth part of what is left holds keys (XREAD: keys, then ids).
    const room = find.limit > 1 ? Math.floor((frame.count - first) / find.limit) : frame.count - first;
    last = first + room + find.lastkey;
  }
  last = Math.min(last, frame.count - 1);
  for (let at = first; at <= last; at += step) REFERENCES.add(at, access);
}

/** MIGRATE host port key …; when that is empty, the keys stand behind KEYS. */
function addMigrated(bytes: Uint8Array, frame: RequestFrame): void {
  if (frame.starts[3] !== frame.ends[3]) {
    REFERENCES.add(3, KeyAccess.both);
    return;
  }
  for (let i = 6; i < frame.count; i++) {
    if (is(bytes, frame, i, 'auth')) i++;
    else if (is(bytes, frame, i, 'auth2')) i += 2;
    else if (is(bytes, frame, i, 'keys')) {
      for (let at = i + 1; at < frame.count; at++) REFERENCES.add(at, KeyAccess.both);
      return;
    }
  }
  REFERENCES.add(3, KeyAccess.both);
}

/** SORT's specifications do not tell where STORE is: between options with other arguments. */
function addSortDestination(bytes: Uint8Array, frame: RequestFrame): void {
  for (let i = 2; i < frame.count; i++) {
    if (is(bytes, frame, i, 'limit')) i += 2;
    else if (is(bytes, frame, i, 'by') || is(bytes, frame, i, 'get')) i++;
    else if (is(bytes, frame, i, 'store') && i + 1 < frame.count) REFERENCES.add(++i, KeyAccess.write);
  }
}

/**
 * The first option of SORT that reads keys by a pattern, `BY` or `GET`; `''` when there is none. Redis allows it to those
 * only who may read all keys.
 */
export function patternOfSort(bytes: Uint8Array, frame: RequestFrame): '' | 'BY' | 'GET' {
  for (let i = 2; i < frame.count; i++) {
    if (is(bytes, frame, i, 'limit')) i += 2;
    else if (is(bytes, frame, i, 'store')) i++;
    else if (is(bytes, frame, i, 'by') && i + 1 < frame.count) {
      i++;
      if (bytes.subarray(frame.starts[i], frame.ends[i]).includes(STAR)) return 'BY';
    } else if (is(bytes, frame, i, 'get') && i + 1 < frame.count) return 'GET';
  }
  return '';
}

const STAR = 42;

import { equalsIgnoreCase, parseDecimal } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { KeyFlag, type KeySpec } from '../commands/spec.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** Argument numbers of one command's keys. Scratch memory of one thread, used within one call. */
class KeyList {
  count = 0;
  at = new Int32Array(64);

  add(argument: number): void {
    if (this.count === this.at.length) {
      const larger = new Int32Array(this.count * 2);
      larger.set(this.at);
      this.at = larger;
    }
    this.at[this.count++] = argument;
  }
}

export const KEYS = new KeyList();

/**
 * Finds all keys of a command by its key specifications; their argument numbers are in `KEYS` afterwards. Patterns of
 * SORT (BY, GET) are no keys.
 * @returns how many there are
 */
export function findKeys(entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): number {
  KEYS.count = 0;
  for (const key of entry.spec.keys) {
    if ((key.flags & KeyFlag.not_key) === 0) addKeys(key, bytes, frame);
  }
  if (entry.name === 'sort') addSortDestination(bytes, frame);
  return KEYS.count;
}

function addKeys({ begin, find }: KeySpec, bytes: Uint8Array, frame: RequestFrame): void {
  if (begin.type === 'unknown' || find.type === 'unknown') return;
  const first = begin.type === 'index' ? begin.index : afterKeyword(begin, bytes, frame);
  if (first <= 0 || first >= frame.count) return;
  if (find.type === 'keynum') {
    const countAt = first + find.keynumidx;
    const count = countAt < frame.count ? parseDecimal(bytes, frame.starts[countAt], frame.ends[countAt]) : 0;
    let at = first + find.firstkey;
    for (let i = 0; i < count && at < frame.count; i++, at += find.keystep) KEYS.add(at);
    return;
  }
  let last = first + find.lastkey;
  if (find.lastkey < 0) {
    // With a limit of n, only the first nth part of what is left holds keys (XREAD: keys, then ids).
    const room = find.limit > 1 ? Math.floor((frame.count - first) / find.limit) : frame.count - first;
    last = first + room + find.lastkey;
  }
  last = Math.min(last, frame.count - 1);
  for (let at = first; at <= last; at += Math.max(1, find.keystep)) KEYS.add(at);
}

/** The argument after the keyword; 0: it is not there. A negative `startfrom` counts from the end, and backwards. */
function afterKeyword(
  { keyword, startfrom }: { keyword: string; startfrom: number },
  bytes: Uint8Array,
  frame: RequestFrame,
): number {
  const word = keyword.toLowerCase();
  const step = startfrom < 0 ? -1 : 1;
  for (let i = startfrom < 0 ? frame.count + startfrom : startfrom; i > 0 && i < frame.count; i += step) {
    if (equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word)) return i + 1;
  }
  return 0;
}

/** SORT's specifications do not tell where STORE is: between options with other arguments. */
function addSortDestination(bytes: Uint8Array, frame: RequestFrame): void {
  const is = (i: number, word: string) => equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word);
  for (let i = 2; i < frame.count; i++) {
    if (is(i, 'limit')) i += 2;
    else if (is(i, 'by') || is(i, 'get')) i++;
    else if (is(i, 'store') && i + 1 < frame.count) KEYS.add(++i);
  }
}

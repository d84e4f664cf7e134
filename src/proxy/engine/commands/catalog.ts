import { equalsIgnoreCase, parseDecimal } from '../bytes.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Route, type RouteKind, routeOf } from './routes.js';
import { CommandFlag, type CommandSpec, KeyFlag, type KeySpec } from './spec.js';

/** `keyAt`: the first key's place depends on the arguments. */
const KEY_AT_SEARCH = -1;

/** A command, ready for the hot path. */
export class CommandEntry {
  readonly name: string;
  readonly route: RouteKind;
  readonly refusal: string;
  readonly arity: number;
  /** May be sent a second time when its outcome is unknown: it changes nothing. */
  readonly repeatable: boolean;
  /** A container whose subcommands are looked up by the second argument. */
  readonly container: boolean;
  /** A replica may serve it: it reads keys, changes none, and does not wait. */
  readonly replicaSafe: boolean;
  /** May name more than one key. */
  readonly manyKeys: boolean;
  /** Belongs to a container: its own name is no command's. */
  readonly subcommand: boolean;
  /** Index of the first key argument; 0: there is none; -1: depends on the arguments. */
  readonly keyAt: number;
  /** Arguments from one key to the next, for the split routes. */
  readonly keyStep: number;

  constructor(
    /** Dense number, used to index per-command statistics. */
    readonly id: number,
    readonly spec: CommandSpec,
  ) {
    const { kind, refusal } = routeOf(spec);
    this.name = spec.name;
    this.route = kind;
    this.refusal = refusal;
    this.arity = spec.arity;
    this.repeatable = (spec.flags & CommandFlag.readonly) !== 0;
    this.container = spec.container && kind !== Route.refused && kind !== Route.admin;
    const changed = KeyFlag.RW | KeyFlag.OW | KeyFlag.RM;
    this.replicaSafe =
      (spec.flags & (CommandFlag.readonly | CommandFlag.blocking | CommandFlag.write)) === CommandFlag.readonly &&
      spec.keys.every((key) => (key.flags & changed) === 0);
    this.manyKeys = spec.keys.length > 1 || spec.keys.some(({ find }) => find.type !== 'range' || find.lastkey !== 0);
    this.subcommand = spec.name.includes('|');
    const first = spec.keys.find((key) => (key.flags & KeyFlag.incomplete) === 0) ?? spec.keys[0];
    this.keyAt =
      first === undefined
        ? 0
        : first.begin.type === 'index' && first.find.type === 'range'
          ? first.begin.index
          : KEY_AT_SEARCH;
    this.keyStep = first?.find.type === 'range' ? first.find.keystep : 1;
  }

  /** Redis's rule: an exact count when positive, a minimum when negative. */
  accepts(count: number): boolean {
    return this.arity >= 0 ? count === this.arity : count >= -this.arity;
  }

  /**
   * The argument index of the first key; 0 when this call names no key (`EVAL script 0`), -1 when its arguments
   * contradict themselves.
   */
  firstKey(bytes: Uint8Array, frame: RequestFrame): number {
    if (this.keyAt >= 0) return this.keyAt < frame.count ? this.keyAt : -1;
    let verdict = 0;
    for (const key of this.spec.keys) {
      const at = locate(key, bytes, frame);
      if (at > 0) return at;
      if (at < 0) verdict = -1;
    }
    return verdict;
  }
}

/** The first key of one specification: its index, 0 when this call has none, -1 when it cannot be told. */
function locate(key: KeySpec, bytes: Uint8Array, frame: RequestFrame): number {
  const begin =
    key.begin.type === 'index' ? key.begin.index : key.begin.type === 'keyword' ? search(key.begin, bytes, frame) : 0;
  if (begin <= 0) return 0;
  if (key.find.type === 'range') return begin < frame.count ? begin : 0;
  if (key.find.type === 'unknown') return 0;
  const countAt = begin + key.find.keynumidx;
  if (countAt >= frame.count) return -1;
  const count = parseDecimal(bytes, frame.starts[countAt], frame.ends[countAt]);
  // A wrong count is for the server to refuse, in its own words: any node can do that.
  if (!(count > 0)) return 0;
  const at = begin + key.find.firstkey;
  return at < frame.count ? at : 0;
}

/** The argument after the keyword; a negative `startfrom` searches backwards, counted from the end. */
function search(begin: { keyword: string; startfrom: number }, bytes: Uint8Array, frame: RequestFrame): number {
  const word = begin.keyword.toLowerCase();
  const backwards = begin.startfrom < 0;
  for (
    let i = backwards ? frame.count + begin.startfrom : begin.startfrom;
    backwards ? i > 0 : i < frame.count;
    i += backwards ? -1 : 1
  ) {
    if (equalsIgnoreCase(bytes, frame.starts[i], frame.ends[i], word)) return i + 1;
  }
  return 0;
}

const PIPE = 124;

/** Finds commands by the bytes of their name: no strings are made. */
export class Catalog {
  readonly entries: CommandEntry[] = [];
  private readonly entriesMax: number;
  private readonly mask: number;
  private readonly table: (CommandEntry | null)[];
  private readonly scratch = new Uint8Array(128);

  /** @param spare commands that may be learned later */
  constructor(specs: readonly CommandSpec[], spare = 0) {
    this.entriesMax = specs.length + spare;
    let size = 1024;
    while (size < this.entriesMax * 4) size *= 2;
    this.mask = size - 1;
    this.table = new Array<CommandEntry | null>(size).fill(null);
    for (const spec of specs) this.add(spec);
  }

  /** Adds commands that the table lacks; what has a name that is known, and what there is no room for, is left out. */
  learn(specs: readonly CommandSpec[]): void {
    for (const spec of specs) {
      if (this.entries.length >= this.entriesMax) return;
      const name = nameBytes(spec.name);
      if (this.lookUp(name, 0, name.length) === null) this.add(spec);
    }
  }

  private add(spec: CommandSpec): void {
    const entry = new CommandEntry(this.entries.length, spec);
    this.entries.push(entry);
    const name = nameBytes(entry.name);
    let at = hashName(name, 0, name.length) & this.mask;
    while (this.table[at] !== null) at = (at + 1) & this.mask;
    this.table[at] = entry;
  }

  /** The command or subcommand (`config|get`) of that name, in small letters; null when there is none. */
  named(name: string): CommandEntry | null {
    const bytes = nameBytes(name);
    return this.lookUp(bytes, 0, bytes.length);
  }

  /** The command named by `bytes[start, end)`, in any case; null when there is none. */
  find(bytes: Uint8Array, start: number, end: number): CommandEntry | null {
    const entry = this.lookUp(bytes, start, end);
    return entry?.subcommand ? null : entry;
  }

  private lookUp(bytes: Uint8Array, start: number, end: number): CommandEntry | null {
    let at = hashName(bytes, start, end) & this.mask;
    for (;;) {
      const entry = this.table[at];
      if (entry === null) return null;
      if (equalsIgnoreCase(bytes, start, end, entry.name)) return entry;
      at = (at + 1) & this.mask;
    }
  }

  /** The subcommand of a container, named by the second argument; null when there is none. */
  findSubcommand(container: CommandEntry, bytes: Uint8Array, start: number, end: number): CommandEntry | null {
    const length = container.name.length + 1 + (end - start);
    if (length > this.scratch.length) return null;
    let at = 0;
    for (let i = 0; i < container.name.length; i++) this.scratch[at++] = container.name.charCodeAt(i);
    this.scratch[at++] = PIPE;
    for (let i = start; i < end; i++) this.scratch[at++] = bytes[i];
    return this.lookUp(this.scratch, 0, length);
  }
}

const nameBytes = (name: string) => Uint8Array.from(name, (c) => c.charCodeAt(0));

/** Names longer than any command's need not be hashed to their end. */
const HASHED_BYTES_MAX = 64;

function hashName(bytes: Uint8Array, start: number, end: number): number {
  const last = Math.min(end, start + HASHED_BYTES_MAX);
  let hash = end - start;
  for (let i = start; i < last; i++) hash = (Math.imul(hash, 31) + (bytes[i] | 32)) | 0;
  return hash ^ (hash >>> 15);
}

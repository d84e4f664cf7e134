import { utf8Encoded } from '../bytes.js';
import type { Catalog, CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { ACL_CATEGORIES, CommandFlag } from '../commands/spec.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Glob } from './glob.js';
import { findReferences, patternOfSort, REFERENCES } from './key-references.js';
import { type CommandRule, KeyAccess, type SelectorRules } from './rules.js';
import { type Shapes, shapesOf, Verdict } from './shapes.js';

/** Why a command is refused. The highest of several selectors' counts. */
export const Denied = { no: 0, command: 1, key: 2, sortBy: 3, sortGet: 4, channel: 5 } as const;

interface KeyPattern {
  readonly access: number;
  readonly glob: Glob;
}

/** Channels are its arguments from the first one on, or its first one. */
const CHANNELS: Readonly<Record<string, { readonly all: boolean; readonly patterns: boolean }>> = {
  publish: { all: false, patterns: false },
  spublish: { all: false, patterns: false },
  subscribe: { all: true, patterns: false },
  ssubscribe: { all: true, patterns: false },
  psubscribe: { all: true, patterns: true },
};

/** Scripts that may write, whatever their keys' flags say. */
const MAY_WRITE = new Set(['eval', 'evalsha', 'fcall']);

/** One of a user's sets of permissions, compiled for the commands of a catalog. */
export class Selector {
  /** By the commands' numbers. */
  readonly allowed: Uint8Array;
  /** Commands that are allowed with these first arguments, in small letters. */
  private readonly firstArguments = new Map<number, Set<string>>();
  private readonly keys: readonly KeyPattern[];
  private readonly channels: readonly { readonly pattern: Uint8Array; readonly glob: Glob }[];
  private readonly shapes: Shapes;
  readonly allKeys: boolean;
  readonly allChannels: boolean;

  constructor(rules: SelectorRules, catalog: Catalog, readOnly: boolean) {
    const { entries } = catalog;
    this.shapes = shapesOf(catalog);
    this.allowed = new Uint8Array(entries.length);
    for (const rule of rules.commands) this.apply(rule, catalog);
    for (const { id, name, spec } of entries) {
      if (readOnly && (spec.flags & CommandFlag.write || MAY_WRITE.has(name))) {
        this.allowed[id] = 0;
        this.firstArguments.delete(id);
      }
      if (spec.flags & CommandFlag.no_auth) this.allowed[id] = 1;
    }
    this.keys = rules.keys.map(({ access, pattern }) => ({ access, glob: new Glob(utf8Encoded(pattern)) }));
    this.allKeys = this.keys.some(({ access, glob }) => access === KeyAccess.both && glob.all);
    this.channels = rules.channels.map((text) => {
      const pattern = utf8Encoded(text);
      return { pattern, glob: new Glob(pattern) };
    });
    this.allChannels = this.channels.some(({ glob }) => glob.all);
  }

  private apply({ allow, kind, name }: CommandRule, catalog: Catalog): void {
    const value = allow ? 1 : 0;
    if (kind === 'all') {
      this.allowed.fill(value);
      this.firstArguments.clear();
    } else if (kind === 'category') {
      const bit = 1 << ACL_CATEGORIES.indexOf(name as (typeof ACL_CATEGORIES)[number]);
      const own = !(ACL_CATEGORIES as readonly string[]).includes(name);
      for (const entry of catalog.entries) {
        const { acl, ownCategories } = entry.spec;
        if (own ? ownCategories?.includes(name) : acl & bit) this.set(entry, value);
      }
    } else {
      const entry = catalog.named(name);
      if (entry !== null) this.set(entry, value);
      else if (allow) this.allowArgument(name, catalog);
    }
  }

  /** A command; of a container all subcommands with it. */
  private set(entry: CommandEntry, value: number): void {
    this.allowed[entry.id] = value;
    this.firstArguments.delete(entry.id);
    if (!entry.spec.container) return;
    for (const { id } of this.shapes.subcommands.get(entry.id) ?? []) this.allowed[id] = value;
  }

  /** `select|0` */
  private allowArgument(name: string, catalog: Catalog): void {
    const [command, argument] = name.split('|') as [string, string | undefined];
    const entry = catalog.named(command);
    if (entry === null || argument === undefined || entry.spec.container) return;
    const known = this.firstArguments.get(entry.id) ?? new Set();
    this.firstArguments.set(entry.id, known.add(argument));
  }

  /** What can be said of a command without its arguments. */
  verdict(entry: CommandEntry): number {
    // The container stands for all its subcommands, which are found out when one is given.
    if (entry.spec.container && !entry.container) return Verdict.container;
    if (this.allowed[entry.id] === 0) return this.firstArguments.has(entry.id) ? Verdict.check : Verdict.never;
    if (CHANNELS[entry.name] !== undefined && !this.allChannels) return Verdict.check;
    return this.allKeys ? Verdict.always : this.shapes.keys[entry.id];
  }

  /** One of `Denied`. */
  check(entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): number {
    if (this.allowed[entry.id] === 0 && !this.allowsArgument(entry, bytes, frame)) return Denied.command;
    if (!this.allKeys) {
      const denied = this.checkKeys(entry, bytes, frame);
      if (denied !== Denied.no) return denied;
    }
    return this.allChannels || entry.route !== Route.pubsub ? Denied.no : this.checkChannels(entry, bytes, frame);
  }

  private allowsArgument({ id }: CommandEntry, bytes: Uint8Array, frame: RequestFrame): boolean {
    const known = this.firstArguments.get(id);
    if (known === undefined || frame.count < 2) return false;
    let given = '';
    for (let i = frame.starts[1]; i < frame.ends[1]; i++) given += String.fromCharCode(bytes[i]);
    return known.has(given.toLowerCase());
  }

  private checkKeys(entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): number {
    if (this.shapes.untold[entry.id] !== 0) return Denied.key;
    findReferences(entry, bytes, frame);
    for (let i = 0; i < REFERENCES.count; i++) {
      const at = REFERENCES.at[i];
      if (!this.mayTouch(bytes, frame.starts[at], frame.ends[at], REFERENCES.access[i])) return Denied.key;
    }
    if (entry.name !== 'sort' && entry.name !== 'sort_ro') return Denied.no;
    if (this.keys.some(({ access, glob }) => access & KeyAccess.read && glob.all)) return Denied.no;
    const option = patternOfSort(bytes, frame);
    if (option === '') return Denied.no;
    return option === 'BY' ? Denied.sortBy : Denied.sortGet;
  }

  mayTouch(bytes: Uint8Array, start: number, end: number, access: number): boolean {
    const { keys } = this;
    for (let i = 0; i < keys.length; i++) {
      const pattern = keys[i];
      if ((pattern.access & access) === access && pattern.glob.matches(bytes, start, end)) return true;
    }
    return false;
  }

  private checkChannels({ name }: CommandEntry, bytes: Uint8Array, frame: RequestFrame): number {
    const kind = CHANNELS[name];
    if (kind === undefined) return Denied.no;
    const last = kind.all ? frame.count : Math.min(2, frame.count);
    for (let i = 1; i < last; i++) {
      const channel = bytes.subarray(frame.starts[i], frame.ends[i]);
      if (!this.mayHear(channel, kind.patterns)) return Denied.channel;
    }
    return Denied.no;
  }

  /** A pattern must be one of the rules' own, letter by letter. */
  mayHear(channel: Uint8Array, isPattern: boolean): boolean {
    if (this.allChannels) return true;
    return this.channels.some(({ pattern, glob }) =>
      isPattern ? equal(pattern, channel) : glob.matches(channel, 0, channel.length),
    );
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

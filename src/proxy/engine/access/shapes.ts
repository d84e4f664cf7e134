import type { Catalog, CommandEntry } from '../commands/catalog.js';
import { KeyFlag } from '../commands/spec.js';
import { accessOf, keysCanBeTold } from './key-references.js';

/**
 * What becomes of a command; those above `oneKey` say what its one key is used for: `oneKey` + bits of `KeyAccess`. `set`:
 * as long as it has no options, it writes its key.
 */
export const Verdict = { never: 0, always: 1, check: 2, container: 3, oneKey: 4, set: 8 } as const;

/** What all users' permissions need to know of the commands; by their numbers. */
export interface Shapes {
  /** The verdict for a user who may give the command and touch some keys. */
  readonly keys: Uint8Array;
  /** 1: nobody but a server can tell the command's keys. */
  readonly untold: Uint8Array;
  /** Of containers, their subcommands. */
  readonly subcommands: ReadonlyMap<number, readonly CommandEntry[]>;
}

/** One for each catalog, until it has learned more. */
const KNOWN = new WeakMap<Catalog, Shapes>();

export function shapesOf(catalog: Catalog): Shapes {
  const known = KNOWN.get(catalog);
  const { entries } = catalog;
  if (known !== undefined && known.keys.length === entries.length) return known;
  const subcommands = new Map<number, CommandEntry[]>();
  for (const entry of entries) {
    if (!entry.subcommand) continue;
    const container = catalog.named(entry.name.slice(0, entry.name.indexOf('|')));
    if (container === null) continue;
    const others = subcommands.get(container.id);
    if (others === undefined) subcommands.set(container.id, [entry]);
    else others.push(entry);
  }
  const shapes: Shapes = {
    keys: Uint8Array.from(entries, keyVerdict),
    untold: Uint8Array.from(entries, (entry) => (keysCanBeTold(entry) ? 0 : 1)),
    subcommands,
  };
  KNOWN.set(catalog, shapes);
  return shapes;
}

function keyVerdict(entry: CommandEntry): number {
  const keys = entry.spec.keys.filter(({ flags }) => (flags & KeyFlag.not_key) === 0);
  if (keys.length === 0) return keysCanBeTold(entry) ? Verdict.always : Verdict.check;
  const [{ flags, begin, find }] = keys;
  const simple =
    keys.length === 1 &&
    begin.type === 'index' &&
    begin.index === entry.keyAt &&
    find.type === 'range' &&
    find.lastkey === 0 &&
    (flags & (KeyFlag.variable_flags | KeyFlag.incomplete)) === 0 &&
    !entry.name.startsWith('sort');
  if (entry.name === 'set') return Verdict.set;
  return simple ? Verdict.oneKey + accessOf(flags) : Verdict.check;
}

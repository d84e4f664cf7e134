import { Catalog, type CommandEntry } from '../commands/catalog.js';
import { OWN_COMMANDS } from '../commands/own.js';
import { Route, type RouteKind } from '../commands/routes.js';
import { Server } from '../commands/spec.js';
import { COMMANDS } from '../commands/table.generated.js';
import { type Plan, planOf } from './handler.js';

/** What docs/commands.md is generated from. */
export interface CommandTable {
  readonly entries: readonly CommandEntry[];
  readonly serverBits: Readonly<Record<string, number>>;
  /** A route's name. */
  kindOf(route: RouteKind): string;
  planOf(name: string, request: string, response: CommandEntry['spec']['response']): Plan | null;
}

export function commandTable(): CommandTable {
  const names = new Map<RouteKind, string>(Object.entries(Route).map(([name, kind]) => [kind, name]));
  return {
    entries: new Catalog([...COMMANDS, ...OWN_COMMANDS]).entries,
    serverBits: Server,
    kindOf: (route) => names.get(route) ?? '',
    planOf,
  };
}

/** A command as a server describes it, in the server's own words. */
export interface CommandDescription {
  name: string;
  arity: number;
  flags: string[];
  acl: string[];
  keys: { flags: string[]; begin: Record<string, string | number>; find: Record<string, string | number> }[];
  request: string;
  response: string;
  container: boolean;
}

export interface MergedDescription extends CommandDescription {
  servers: string[];
}

export type ServerName = 'redis7' | 'redis8' | 'valkey9';

export const PRECEDENCE: ServerName[];
export function parseCommands(reply: unknown): Map<string, CommandDescription>;
export function mergeCommands(
  sources: Partial<Record<ServerName, Map<string, CommandDescription>>>,
): MergedDescription[];
export function keyPositions(keys: readonly { begin: object; find: object }[]): string;
export function loosestArity(arities: number[]): number;
export function renderTable(commands: MergedDescription[], versions: Record<string, string>): string;

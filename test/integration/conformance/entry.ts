import type { CommandSpec } from '../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../src/proxy/engine/commands/table.generated.js';

export const TABLE: ReadonlyMap<string, CommandSpec> = new Map(COMMANDS.map((command) => [command.name, command]));

/** The table's entry for a command as it is sent; undefined for one that the table does not know. */
export function entryOf(words: readonly Buffer[]): CommandSpec | undefined {
  const [first = '', second = ''] = words.map((word) => word.toString('latin1').toLowerCase());
  return TABLE.get(`${first}|${second}`) ?? TABLE.get(first);
}

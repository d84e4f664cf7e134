/** Functions of a backup, loaded into all masters: they belong to no slot. */
import { settleBounded } from '../../cluster/bounded.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { ForgeError } from '../../errors.js';

const PARALLEL_MAX = 16;
const HEAD = /^#!\S+.*?\bname=(\S+)/;

export interface FunctionsOutcome {
  readonly loaded: readonly string[];
  /** Libraries of another content that were there and stay. */
  readonly existing: readonly string[];
}

/** The library's name as its first line has it. Pure. */
export const libraryName = (source: string): string => HEAD.exec(source)?.[1] ?? 'unknown';

/**
 * Loads them where they are missing; others of their names are replaced, or stay.
 * @throws ForgeError of the first master that takes one not
 */
export async function restoreFunctions(
  pool: NodePool,
  masterIds: readonly string[],
  libraries: readonly string[],
  replace: boolean,
): Promise<FunctionsOutcome> {
  const loaded = new Set<string>();
  const existing = new Set<string>();
  const outcomes = await settleBounded(masterIds, PARALLEL_MAX, async (id) => {
    const connection = await pool.get(id);
    for (const source of libraries) {
      const name = libraryName(source);
      const there = await sourceOf(await connection.call('FUNCTION', 'LIST', 'LIBRARYNAME', name, 'WITHCODE'));
      if (there === source) continue;
      if (there !== undefined && !replace) existing.add(name);
      else {
        await connection.call('FUNCTION', 'LOAD', ...(replace ? ['REPLACE'] : []), source);
        loaded.add(name);
      }
    }
  });
  for (const outcome of outcomes) {
    if (outcome.status === 'fulfilled') continue;
    const { reason } = outcome;
    if (!(reason instanceof ForgeError)) throw reason;
    throw new ForgeError(reason.kind, `All keys are restored, but not all functions: ${reason.message}`, {
      host: reason.host,
      next: ['Mend that, and run the same command again.', ...reason.next],
      cause: reason,
    });
  }
  return { loaded: [...loaded], existing: [...existing] };
}

function sourceOf(reply: unknown): string | undefined {
  const library: unknown = Array.isArray(reply) ? reply[0] : undefined;
  if (!Array.isArray(library)) return undefined;
  const source: unknown = library[library.indexOf('library_code') + 1];
  return typeof source === 'string' ? source : undefined;
}

/** What a node can do to move slots, told by its own command table rather than by its version. */

export interface Capabilities {
  /** MIGRATE: keys are moved by commands, slot by slot. */
  readonly migrate: boolean;
  /** Valkey ≥ 9: CLUSTER MIGRATESLOTS, asked of the source. */
  readonly valkeyAtomic: boolean;
  /** Redis ≥ 8.4: CLUSTER MIGRATION IMPORT, asked of the target. */
  readonly redisAtomic: boolean;
}

/** The arguments of COMMAND INFO whose answer `capabilitiesOf` reads. */
export const CAPABILITY_COMMANDS = ['migrate', 'cluster|migrateslots', 'cluster|migration'] as const;

/** The names that COMMAND INFO knows; it answers null for the others. */
export function commandNames(reply: unknown): string[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((entry: unknown) => {
    const name: unknown = Array.isArray(entry) ? entry[0] : undefined;
    return typeof name === 'string' ? [name.toLowerCase()] : [];
  });
}

export function capabilitiesOf(names: readonly string[]): Capabilities {
  return {
    migrate: names.includes('migrate'),
    valkeyAtomic: names.includes('cluster|migrateslots'),
    redisAtomic: names.includes('cluster|migration'),
  };
}

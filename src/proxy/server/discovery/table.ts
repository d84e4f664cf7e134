import type { ShardedConfig } from '../../config/sharded.js';
import type { HostTable } from '../../engine/routing/host-table.js';
import { NO_HOST } from '../../engine/sharding/hosts.js';
import { buildMaglev } from '../../engine/sharding/maglev.js';
import { buildRing } from '../../engine/sharding/ring.js';

/** A host to divide keys among. */
export interface NumberedHost {
  readonly key: string;
  readonly weight: number;
  /** What stands for it in the table. */
  readonly number: number;
}

/** A table, and how many of its entries each host has, in the order of the list. */
export interface BuiltTable {
  readonly table: HostTable;
  readonly entries: number[];
}

/**
 * Builds the table that divides keys among hosts, in memory that threads share.
 * @throws RangeError for what the builders refuse
 */
export function buildTable(config: ShardedConfig, hosts: readonly NumberedHost[]): BuiltTable {
  const { hashTags } = config;
  if (config.policy === 'MAGLEV') {
    const built = buildMaglev(hosts, { tableSize: config.tableSize, shared: true });
    const entries = renumber(built.hosts, hosts);
    return { table: { type: 'maglev', hashTags, hosts: shared(built.hosts) }, entries };
  }
  const { minimumRingSize, maximumRingSize, hashFunction } = config;
  const ring = buildRing(hosts, { minimumRingSize, maximumRingSize, hashFunction, shared: true });
  const entries = renumber(ring.hosts, hosts);
  return {
    table: {
      type: 'ring',
      hashTags,
      hosts: shared(ring.hosts),
      hashesHi: shared(ring.hashesHi),
      hashesLo: shared(ring.hashesLo),
    },
    entries,
  };
}

/** Puts the hosts' numbers in place of their positions in the list; counts each one's entries. */
function renumber(table: Uint16Array, hosts: readonly NumberedHost[]): number[] {
  const entries = hosts.map(() => 0);
  for (let i = 0; i < table.length; i++) {
    const position = table[i] as number;
    if (position === NO_HOST) continue;
    entries[position] = (entries[position] as number) + 1;
    table[i] = (hosts[position] as NumberedHost).number;
  }
  return entries;
}

function shared(array: Uint16Array | Uint32Array): SharedArrayBuffer {
  return array.buffer as SharedArrayBuffer;
}

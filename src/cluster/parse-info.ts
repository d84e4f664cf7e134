/** `key:value` texts: INFO and CLUSTER INFO. */

/** INFO with every section stays far below. */
const LINES_MAX = 10_000;

/** The fields of INFO or CLUSTER INFO; comments and lines without a colon are skipped, the first of equal keys wins. */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/, LINES_MAX)) {
    const colon = line.indexOf(':');
    if (colon <= 0 || line.startsWith('#')) continue;
    const key = line.slice(0, colon);
    if (!fields.has(key)) fields.set(key, line.slice(colon + 1).trim());
  }
  return fields;
}

/** A field as a non-negative whole number; undefined when it is missing or something else. */
export function infoNumber(info: ReadonlyMap<string, string>, key: string): number | undefined {
  const value = info.get(key);
  return value !== undefined && /^[0-9]{1,16}$/.test(value) ? Number(value) : undefined;
}

export interface ClusterInfo {
  /** `ok` or `fail`, by the node's own judgement. */
  readonly state: string;
  readonly slotsAssigned: number;
  readonly slotsOk: number;
  /** Nodes in its table, itself and those in handshake included. */
  readonly knownNodes: number;
  /** Masters that serve slots. */
  readonly size: number;
  readonly currentEpoch: number;
  readonly myEpoch: number;
}

/** The fields of CLUSTER INFO that matter here; a missing one counts as 0. */
export function parseClusterInfo(text: string): ClusterInfo {
  const info = parseInfo(text);
  const field = (key: string) => infoNumber(info, key) ?? 0;
  return {
    state: info.get('cluster_state') ?? 'unknown',
    slotsAssigned: field('cluster_slots_assigned'),
    slotsOk: field('cluster_slots_ok'),
    knownNodes: field('cluster_known_nodes'),
    size: field('cluster_size'),
    currentEpoch: field('cluster_current_epoch'),
    myEpoch: field('cluster_my_epoch'),
  };
}

export interface ServerVersion {
  readonly product: 'redis' | 'valkey';
  /** `7.0.15`. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

/** The version that INFO tells; undefined when it tells none. Valkey gives its own beside the Redis version it matches. */
export function parseServerVersion(info: ReadonlyMap<string, string>): ServerVersion | undefined {
  const valkey = info.get('valkey_version');
  const text = valkey ?? info.get('redis_version');
  const match = text === undefined ? null : /^([0-9]{1,4})\.([0-9]{1,4})/.exec(text);
  if (text === undefined || match === null) return undefined;
  return {
    product: valkey === undefined ? 'redis' : 'valkey',
    text,
    major: Number(match[1]),
    minor: Number(match[2]),
  };
}

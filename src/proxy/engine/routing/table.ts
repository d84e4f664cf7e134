/** A listener's routes as a worker is told them: plain data, the clusters by their numbers. */

/** Where commands that only read may go: Envoy's words. */
export const READ_POLICIES = [
  'MASTER',
  'PREFER_MASTER',
  'REPLICA',
  'PREFER_REPLICA',
  'ANY',
  'LOCAL_ZONE_AFFINITY',
  'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
] as const;

export type ReadPolicy = (typeof READ_POLICIES)[number];

/** A policy's number, as requests carry it; 0 is MASTER. */
export const Read = {
  master: 0,
  preferMaster: 1,
  replica: 2,
  preferReplica: 3,
  any: 4,
  localZone: 5,
  localZoneAndPrimary: 6,
} as const;

export function readNumber(policy: ReadPolicy): number {
  return READ_POLICIES.indexOf(policy);
}

/** A cluster that gets a copy of the commands. */
export interface MirrorTarget {
  readonly cluster: number;
  /** Share of the commands, 0 to 1. */
  readonly fraction: number;
  /** Only commands that write are copied. */
  readonly excludeReads: boolean;
}

/** Where commands go whose keys match no prefix. */
export interface CatchAll {
  readonly cluster: number;
  readonly mirrors: readonly MirrorTarget[];
  /** In place of the cluster's own. */
  readonly readPolicy: ReadPolicy | null;
}

export interface PrefixRoute extends CatchAll {
  /** Compared as UTF-8 bytes; in small letters already when `caseInsensitive`. */
  readonly prefix: string;
  readonly removePrefix: boolean;
  /** The upstream's key is `keyFormatter.join(key)`, with the key as `removePrefix` left it; null: the key stays. */
  readonly keyFormatter: readonly string[] | null;
}

export interface RouteTable {
  /** The letters A to Z of a key are taken for small ones when it is compared with a prefix; the key itself stays. */
  readonly caseInsensitive: boolean;
  /** The longest prefix (in bytes) first, so the first that matches is the right one. */
  readonly routes: readonly PrefixRoute[];
  /** null: a key without a route has no upstream host. */
  readonly catchAll: CatchAll | null;
}

/** Everything to the first cluster. */
export const FIRST_CLUSTER: RouteTable = {
  caseInsensitive: false,
  routes: [],
  catchAll: { cluster: 0, mirrors: [], readPolicy: null },
};

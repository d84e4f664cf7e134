/**
 * What the proxy knows of a Redis command. The table itself (`table.generated.ts`) is generated from the metadata that
 * real servers give in reply to `COMMAND` (https://redis.io/docs/latest/commands/command/,
 * https://redis.io/docs/latest/develop/reference/key-specs/, https://redis.io/docs/latest/develop/reference/command-tips/).
 */

/** Command flags, under the names that `COMMAND` gives them. A bit set. */
export const CommandFlag = {
  write: 1 << 0,
  readonly: 1 << 1,
  denyoom: 1 << 2,
  admin: 1 << 3,
  pubsub: 1 << 4,
  noscript: 1 << 5,
  blocking: 1 << 6,
  loading: 1 << 7,
  stale: 1 << 8,
  skip_monitor: 1 << 9,
  skip_slowlog: 1 << 10,
  asking: 1 << 11,
  fast: 1 << 12,
  no_auth: 1 << 13,
  may_replicate: 1 << 14,
  no_async_loading: 1 << 15,
  no_multi: 1 << 16,
  movablekeys: 1 << 17,
  allow_busy: 1 << 18,
  no_mandatory_keys: 1 << 19,
} as const;

/** Key specification flags, under the names that `COMMAND` gives them. A bit set. */
export const KeyFlag = {
  RO: 1 << 0,
  RW: 1 << 1,
  OW: 1 << 2,
  RM: 1 << 3,
  access: 1 << 4,
  update: 1 << 5,
  insert: 1 << 6,
  delete: 1 << 7,
  not_key: 1 << 8,
  incomplete: 1 << 9,
  variable_flags: 1 << 10,
} as const;

/** Where a key specification starts: at an argument index, after a keyword, or not stated. */
export type BeginSearch =
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'keyword'; readonly keyword: string; readonly startfrom: number }
  | { readonly type: 'unknown' };

/** Which arguments are keys, counted from where the search begins. */
export type FindKeys =
  | { readonly type: 'range'; readonly lastkey: number; readonly keystep: number; readonly limit: number }
  | { readonly type: 'keynum'; readonly keynumidx: number; readonly firstkey: number; readonly keystep: number }
  | { readonly type: 'unknown' };

export interface KeySpec {
  /** Bit set of `KeyFlag`. */
  readonly flags: number;
  readonly begin: BeginSearch;
  readonly find: FindKeys;
}

/** The `request_policy` tip; `''` when the server gives none. */
export type RequestPolicy = '' | 'all_nodes' | 'all_shards' | 'multi_shard' | 'special';

/** The `response_policy` tip; `''` when the server gives none. */
export type ResponsePolicy =
  | ''
  | 'one_succeeded'
  | 'all_succeeded'
  | 'agg_logical_and'
  | 'agg_logical_or'
  | 'agg_min'
  | 'agg_max'
  | 'agg_sum'
  | 'special';

/** Which servers know the command. A bit set. */
export const Server = { redis7: 1 << 0, redis8: 1 << 1, valkey9: 1 << 2 } as const;

/** ACL categories in a fixed order; `CommandSpec.acl` has bit `1 << index` set for each one. */
export const ACL_CATEGORIES = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'hyperloglog',
  'geo',
  'stream',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
] as const;

export interface CommandSpec {
  /** Lower case; a subcommand is `container|subcommand`, as Redis writes it. */
  readonly name: string;
  /** As in `COMMAND`: exact when positive, a minimum when negative; counts the name (both words of a subcommand). */
  readonly arity: number;
  /** Bit set of `CommandFlag`. */
  readonly flags: number;
  /** Bit set over `ACL_CATEGORIES`. */
  readonly acl: number;
  /** ACL categories that modules have made, without `@`. */
  readonly ownCategories?: readonly string[];
  readonly keys: readonly KeySpec[];
  readonly request: RequestPolicy;
  readonly response: ResponsePolicy;
  /** Bit set of `Server`. */
  readonly servers: number;
  /** True for a container (OBJECT, XINFO, …): its subcommands are entries of their own. */
  readonly container: boolean;
}

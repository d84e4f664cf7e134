/** What the users of deployed nodes may do, in the words of each server's ACL. Pure. */
import { compareVersions, type ServerVersion } from './version.js';

export type UserRole = 'admin' | 'app' | 'readonly' | 'monitor' | 'replication' | 'default';

/**
 * Every command on data, none that administers, and none of those that stop a server or empty it. INFO and ROLE are
 * what the proxy and clients' libraries ask; SORT reads other keys by pattern, and this user may read all.
 */
const APP = ['~*', '&*', '+@all', '-@admin', '-@dangerous', '+info', '+role', '+sort', '+sort_ro'];

/**
 * Keys can be read and not written, whatever the command: by a script or a function as well. It hears messages and sends
 * none. What it may ask of the cluster is what clients' libraries ask.
 */
const READONLY = [
  ...['%R~*', '&*', '-@all', '+@read', '+@connection', '+@transaction', '-@admin', '-@dangerous'],
  ...['+sort_ro', '+eval_ro', '+evalsha_ro', '+fcall_ro', '+script|exists', '+function|list'],
  ...['+subscribe', '+unsubscribe', '+psubscribe', '+punsubscribe', '+ssubscribe', '+sunsubscribe', '+pubsub'],
  ...['+info', '+time', '+cluster|slots', '+cluster|shards', '+cluster|nodes', '+cluster|info', '+cluster|myid'],
  ...['+cluster|keyslot', '+cluster|countkeysinslot', '+acl|whoami'],
];

/** No key and no message: what exporters ask, and what tells whether a node is well. */
const MONITOR = [
  ...['resetkeys', 'resetchannels', '-@all', '+ping', '+info', '+role', '+time', '+dbsize', '+lastsave'],
  ...['+config|get', '+slowlog|get', '+slowlog|len', '+latency|latest', '+latency|history', '+latency|histogram'],
  ...['+cluster|info', '+cluster|nodes', '+cluster|slots', '+cluster|shards', '+cluster|links', '+cluster|myid'],
  ...['+client|list', '+client|setname', '+client|id', '+client|info', '+memory|stats', '+module|list', '+acl|whoami'],
];

/** What a replica needs at its master (redis.io: ACL rules for Sentinel and replicas). */
const REPLICATION = ['resetkeys', 'resetchannels', '-@all', '+psync', '+replconf', '+ping'];

const ALL = ['~*', '&*', '+@all'];

interface Since {
  readonly product: ServerVersion['product'];
  readonly major: number;
  readonly minor: number;
  readonly rules: readonly string[];
}

/** A rule that names a command which a server does not know keeps it from starting. */
const LATER: Readonly<Partial<Record<UserRole, readonly Since[]>>> = {
  monitor: [{ product: 'valkey', major: 8, minor: 1, rules: ['+commandlog|get', '+commandlog|len'] }],
  // A node that hands slots over logs in to the other as replicas do, and everything that it sends is written there with
  // the rights of this user (docs/atomic-migration.md).
  replication: [
    {
      product: 'valkey',
      major: 9,
      minor: 0,
      rules: ['~*', '+@write', '+select', '+multi', '+exec', '+cluster|syncslots'],
    },
  ],
};

const RULES: Readonly<Record<UserRole, readonly string[]>> = {
  admin: ALL,
  default: ALL,
  app: APP,
  readonly: READONLY,
  monitor: MONITOR,
  replication: REPLICATION,
};

/** The rules of a role on a version. */
export function userRules(role: UserRole, version: ServerVersion): string {
  const later = (LATER[role] ?? []).filter(
    (since) => since.product === version.product && compareVersions(version, since) >= 0,
  );
  return [...RULES[role], ...later.flatMap(({ rules }) => rules)].join(' ');
}

import { CommandFlag, type CommandSpec, KeyFlag } from './spec.js';

/** How a command is served. */
export const Route = {
  /** To the master of its first key's slot; the server itself refuses keys of several slots. */
  keyed: 0,
  /** Split by slot; an array of values comes back in the order of the keys. */
  splitValues: 1,
  /** Split by slot; OK when every part is OK. */
  splitOk: 2,
  /** Split by slot; the parts' integers are summed. */
  splitSum: 3,
  /** Any master can answer. */
  anyMaster: 4,
  /** Answered by the proxy. */
  local: 5,
  /** Not served; `refusal` says why. */
  refused: 6,
  /** Refused unless `admin_commands` allows it; then as its metadata says. */
  admin: 7,
  /** To all masters or all nodes, and the replies are put together. */
  broadcast: 8,
  /** SCAN, over all shards. */
  scan: 9,
  /** MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
  transaction: 10,
  /** May block: over a connection of its own while it does. */
  blocking: 11,
  /** Subscriptions and what is published to them. */
  pubsub: 12,
  /** Scripts and functions, which are kept on all masters. */
  scripting: 13,
} as const;
export type RouteKind = (typeof Route)[keyof typeof Route];

/** Served by the proxy itself. A container is listed by its own name: its handler reads the subcommand. */
const LOCAL = new Set(['ping', 'echo', 'quit', 'select', 'time', 'hello', 'auth', 'client', 'reset', 'monitor']);

/** Split over slots, with the way that the parts' replies are put together. */
const SPLIT: ReadonlyMap<string, RouteKind> = new Map([
  ['mget', Route.splitValues],
  ['mset', Route.splitOk],
  ['del', Route.splitSum],
  ['unlink', Route.splitSum],
  ['exists', Route.splitSum],
  ['touch', Route.splitSum],
]);

/** Without a key, and every master gives the same answer. */
const ANY_MASTER = new Set(['command', 'lolwut', 'acl|cat', 'acl|genpass']);

/** Commands that would harm the cluster, or its hold on it, when an application sends them. */
const HARMFUL = new Set([
  'shutdown',
  'replicaof',
  'slaveof',
  'failover',
  'migrate',
  'debug',
  'module',
  'cluster',
  'restore-asking',
  'replconf',
  'psync',
  'sync',
  'pfdebug',
  'pfselftest',
]);

/** Of ACL, what says nothing of the servers' users, or is answered for the proxy's. */
const HARMLESS_ACL = new Set(['acl', 'acl|cat', 'acl|genpass', 'acl|help', 'acl|whoami']);

/** Commands that change what a connection means; upstream connections are shared, so these never go there. */
const CONNECTION_STATE = new Set(['asking', 'readonly', 'readwrite']);

/** Kept on all masters, and loaded again where they are missing. */
const SCRIPTING = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro', 'script', 'function']);

const TRANSACTIONS = new Set(['multi', 'exec', 'discard', 'watch', 'unwatch']);

/** Wait for what other clients do, or for replicas. */
const WAITS = new Set(['wait', 'waitaof']);

const isKeyed = (spec: CommandSpec) => spec.keys.some((key) => (key.flags & KeyFlag.not_key) === 0);

/**
 * How a command is served, from its metadata and the short lists above. What is in no list and names no key goes
 * where its policies say, or else to any master.
 */
export function routeOf(spec: CommandSpec): { kind: RouteKind; refusal: string } {
  const [container] = spec.name.split('|') as [string];
  const split = SPLIT.get(spec.name);
  if (split !== undefined) return { kind: split, refusal: '' };
  if (LOCAL.has(container)) return { kind: Route.local, refusal: '' };
  if (HARMFUL.has(container)) {
    return { kind: Route.admin, refusal: 'is refused by the proxy: it administers a node, not the cluster' };
  }
  if (container === 'acl' && !HARMLESS_ACL.has(spec.name)) {
    return { kind: Route.admin, refusal: "is refused by the proxy: its clients are its own users, not the servers'" };
  }
  if (CONNECTION_STATE.has(container)) return refused('changes the state of a connection, which the proxy looks after');
  if (ANY_MASTER.has(container) || ANY_MASTER.has(spec.name)) return { kind: Route.anyMaster, refusal: '' };
  if (container === 'scan') return { kind: Route.scan, refusal: '' };
  if (container === 'clusterscan') return refused('walks the slots of a cluster, which the endpoint hides: use SCAN');
  if (SCRIPTING.has(container)) return { kind: Route.scripting, refusal: '' };
  if (TRANSACTIONS.has(container)) return { kind: Route.transaction, refusal: '' };
  if (spec.flags & CommandFlag.pubsub || container === 'pubsub') return { kind: Route.pubsub, refusal: '' };
  if (spec.flags & CommandFlag.blocking || WAITS.has(container)) return { kind: Route.blocking, refusal: '' };
  if (isKeyed(spec)) return { kind: Route.keyed, refusal: '' };
  if (spec.servers === 0 && spec.flags & CommandFlag.admin) {
    return { kind: Route.admin, refusal: 'is refused by the proxy: its server says that it administers a node' };
  }
  if (spec.name.endsWith('|help')) return { kind: Route.anyMaster, refusal: '' };
  return { kind: Route.broadcast, refusal: '' };
}

function refused(refusal: string): { kind: RouteKind; refusal: string } {
  return { kind: Route.refused, refusal };
}

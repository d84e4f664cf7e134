import { ACL_CATEGORIES, CommandFlag, type CommandSpec, KeyFlag } from './spec.js';

/** How a command is served. */
export const Route = {
  /** To the master of its first key's slot; the server itself refuses keys of several slots. */
  keyed: 0,
  /** As `keyed`, but refused when the BLOCK option is present. */
  keyedUnlessBlock: 1,
  /** Split by slot; an array of values comes back in the order of the keys. */
  splitValues: 2,
  /** Split by slot; OK when every part is OK. */
  splitOk: 3,
  /** Split by slot; the parts' integers are summed. */
  splitSum: 4,
  /** Any master can answer. */
  anyMaster: 5,
  /** Answered by the proxy. */
  local: 6,
  /** Not served; `refusal` says why. */
  refused: 7,
} as const;
export type RouteKind = (typeof Route)[keyof typeof Route];

/** Served by the proxy itself. A container is listed by its own name: its handler reads the subcommand. */
const LOCAL = new Set(['ping', 'echo', 'quit', 'select', 'time', 'hello', 'auth', 'client', 'info']);

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
const ANY_MASTER = new Set(['command', 'lolwut']);

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

/** Commands that change what a connection means; upstream connections are shared, so these never go there. */
const CONNECTION_STATE = new Set(['asking', 'readonly', 'readwrite', 'reset', 'monitor']);

const NOT_YET = 'is not supported by the proxy yet';

/**
 * How a command is served, from its metadata and the short lists above. What is in no list and names no key is
 * refused: a command that the proxy does not understand must not reach a connection that others share.
 */
export function routeOf(spec: CommandSpec): { kind: RouteKind; refusal: string } {
  const [container] = spec.name.split('|') as [string];
  const split = SPLIT.get(spec.name);
  if (split !== undefined) return { kind: split, refusal: '' };
  if (LOCAL.has(container)) return { kind: Route.local, refusal: '' };
  if (HARMFUL.has(container)) return refused('is refused by the proxy: it administers a node, not the cluster');
  if (CONNECTION_STATE.has(container)) return refused(`changes the state of a connection, which ${NOT_YET}`);
  if (ANY_MASTER.has(container)) return { kind: Route.anyMaster, refusal: '' };
  if (spec.flags & CommandFlag.pubsub || container === 'pubsub') return refused(`belongs to pub/sub, which ${NOT_YET}`);
  if (spec.acl & TRANSACTION) return refused(`belongs to transactions, which ${NOT_YET}`);
  const keyed = spec.keys.some((key) => (key.flags & KeyFlag.not_key) === 0);
  if (spec.flags & CommandFlag.blocking) {
    if (spec.name === 'xread' || spec.name === 'xreadgroup') {
      return { kind: Route.keyedUnlessBlock, refusal: `with BLOCK would block, which ${NOT_YET}` };
    }
    return refused(`blocks its connection, which ${NOT_YET}`);
  }
  if (keyed) return { kind: Route.keyed, refusal: '' };
  if (spec.container) return { kind: Route.anyMaster, refusal: '' };
  if (spec.name.endsWith('|help')) return { kind: Route.anyMaster, refusal: '' };
  return refused(`names no key, and running it on every shard ${NOT_YET}`);
}

/** `@transaction`, as a bit of `CommandSpec.acl`. */
const TRANSACTION = 1 << ACL_CATEGORIES.indexOf('transaction');

function refused(refusal: string): { kind: RouteKind; refusal: string } {
  return { kind: Route.refused, refusal };
}

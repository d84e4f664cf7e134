import { type Bytes, latin1 } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import { Route } from '../commands/routes.js';
import { CommandFlag } from '../commands/spec.js';
import type { RequestFrame } from '../resp/request-framer.js';

/**
 * Of the commands that name no key, those that any one node answers as all of them would; and INFO, which applications
 * read for the version or to see that the server is well: there it is about the transaction's node.
 */
const ANYWHERE = new Set(['ping', 'echo', 'time', 'info', 'publish', 'spublish', 'unwatch', 'wait', 'waitaof']);

const KEYED: ReadonlySet<number> = new Set([
  Route.keyed,
  Route.splitValues,
  Route.splitOk,
  Route.splitSum,
  Route.anyMaster,
  Route.blocking,
]);

/** Scripts that run; what loads and lists them concerns all masters. */
const RUNS = /^(eval|evalsha|fcall)(_ro)?$/;

/** Why a command cannot be part of a transaction, as the error that its client gets; null when it can. */
export function refusalInTransaction(entry: CommandEntry, bytes: Bytes, frame: RequestFrame): string | null {
  const { name, route } = entry;
  if (entry.spec.flags & CommandFlag.no_multi) return 'ERR Command not allowed inside a transaction';
  if (ANYWHERE.has(name) || RUNS.test(name) || KEYED.has(route)) return null;
  if (name === 'select') {
    const index = latin1(bytes, frame.starts[1], frame.ends[1]);
    if (index === '0') return null;
    return /^-?\d{1,9}$/.test(index) ? 'ERR DB index is out of range' : 'ERR value is not an integer or out of range';
  }
  return `ERR unsupported command '${name}' inside MULTI: it ${reasonOf(entry)}`;
}

function reasonOf({ name, route, refusal }: CommandEntry): string {
  if (route === Route.local || route === Route.pubsub || name === 'acl|whoami') {
    return 'concerns the connection to the proxy, and a transaction runs on a server';
  }
  if (route === Route.broadcast || route === Route.scan || route === Route.scripting) {
    return 'concerns all shards, and a transaction runs on one';
  }
  return refusal;
}

/** The lock's words on the nodes: names, lists, ends of connections. */
import { settleBounded } from '../../cluster/bounded.js';
import type { NodeConnection } from '../../cluster/node-connection.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { ForgeError } from '../../errors.js';
import { connectionsOf, type LockClaim, parseClaims } from './name.js';

/** A list of 10,000 clients is about 3 MB: so not many at once. */
const PARALLEL_MAX = 16;
/** The lock's commands are answered at once, or the node hangs. */
export const LOCK_COMMAND_TIMEOUT_MS = 4_000;

export type LockConnections = ReadonlyMap<string, NodeConnection>;

/** Connections of their own to all nodes that answer. */
export async function openLockConnections(
  pool: NodePool,
  ids: readonly string[],
  clientName: string,
): Promise<Map<string, NodeConnection>> {
  const settings = { connectTimeoutMs: LOCK_COMMAND_TIMEOUT_MS, commandTimeoutMs: LOCK_COMMAND_TIMEOUT_MS };
  const results = await settleBounded(ids, PARALLEL_MAX, (id) => pool.dedicated(id, { clientName, settings }));
  const connections = new Map<string, NodeConnection>();
  let denied: ForgeError | undefined;
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') connections.set(ids[index] as string, result.value);
    else if (!(result.reason instanceof ForgeError)) throw result.reason;
    else if (result.reason.kind === 'denied') denied ??= result.reason;
  }
  // A right that is missing on one node is missing on purpose or by mistake, but no reason to go on without the lock.
  if (denied !== undefined) {
    for (const connection of connections.values()) connection.close();
    throw denied;
  }
  return connections;
}

/** Names all of them; returns when every node that still answers has confirmed it. The others are taken out. */
export async function nameAll(connections: Map<string, NodeConnection>, clientName: string): Promise<void> {
  await onAll(connections, (connection) => connection.call('CLIENT', 'SETNAME', clientName));
}

/** Everybody's claims. Nodes that do not answer are taken out of `connections`. */
export async function listClaims(connections: Map<string, NodeConnection>): Promise<Map<string, LockClaim[]>> {
  return onAll(connections, async (connection) => parseClaims(await connection.callText('CLIENT', 'LIST')));
}

/** Closes all connections of these owners on all nodes, at the servers: what they still send is not executed. */
export async function killOwners(connections: Map<string, NodeConnection>, tokens: readonly string[]): Promise<number> {
  const killed = await onAll(connections, async (connection) => {
    const list = await connection.callText('CLIENT', 'LIST');
    let count = 0;
    for (const id of tokens.flatMap((token) => connectionsOf(list, token))) {
      count += Number(await connection.call('CLIENT', 'KILL', 'ID', id));
    }
    return count;
  });
  return [...killed.values()].reduce((sum, count) => sum + count, 0);
}

async function onAll<Result>(
  connections: Map<string, NodeConnection>,
  work: (connection: NodeConnection) => Promise<Result>,
): Promise<Map<string, Result>> {
  const entries = [...connections];
  const results = await settleBounded(entries, PARALLEL_MAX, ([, connection]) => work(connection));
  const values = new Map<string, Result>();
  for (const [index, result] of results.entries()) {
    const [id, connection] = entries[index] as [string, NodeConnection];
    if (result.status === 'fulfilled') values.set(id, result.value);
    else if (!(result.reason instanceof ForgeError) || result.reason.kind === 'denied') throw result.reason;
    else {
      connection.close();
      connections.delete(id);
    }
  }
  return values;
}

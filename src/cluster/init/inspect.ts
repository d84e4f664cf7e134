/** Reaches every node and reads what it is. Nothing is changed. */
import type { NodeAddress } from '../address.js';
import { formatAddress } from '../address.js';
import { settleBounded } from '../bounded.js';
import { type ConnectNodeOptions, connectNode, type NodeConnection } from '../node-connection.js';
import { readFacts, readView } from '../node-view.js';
import type { Member } from './member.js';
import { type Problem, problemFrom, throwProblems } from './problems.js';
import { NODE_TIMEOUT, readSetting } from './temporary-setting.js';

/** Nodes that are connected to at once. */
const PARALLEL_MAX = 64;

export type ConnectSettings = Omit<ConnectNodeOptions, 'host' | 'port'>;

/**
 * Connects to all nodes and looks at them. When one fails, all connections are closed again and every failing node is
 * named.
 * @throws ForgeError of the kind of the worst problem
 */
export async function inspectNodes(addresses: readonly NodeAddress[], settings: ConnectSettings): Promise<Member[]> {
  const opened: NodeConnection[] = [];
  const results = await settleBounded(addresses, PARALLEL_MAX, async (address) => {
    const connection = await connectNode({ ...settings, host: address.host, port: address.port });
    opened.push(connection);
    return inspect(address, connection, settings);
  });
  const members: Member[] = [];
  const problems: Problem[] = [];
  for (const [index, result] of results.entries()) {
    const label = formatAddress(addresses[index] as NodeAddress);
    if (result.status === 'rejected') problems.push(problemFrom(label, result.reason));
    else if ('connection' in result.value) members.push(result.value);
    else problems.push(result.value);
  }
  try {
    settings.signal?.throwIfAborted();
    throwProblems(problems, addresses.length);
  } catch (error) {
    for (const connection of opened) connection.close();
    throw error;
  }
  return members;
}

async function inspect(
  address: NodeAddress,
  connection: NodeConnection,
  settings: ConnectSettings,
): Promise<Member | Problem> {
  const label = connection.label;
  const facts = await readFacts(connection);
  if (!facts.clusterEnabled) {
    return {
      node: label,
      kind: 'refused',
      text: 'is not in cluster mode',
      next: ['Set cluster-enabled yes in its configuration and restart it.'],
    };
  }
  const asksForPassword =
    settings.password !== undefined && settings.username === undefined && !connection.passwordUnused;
  const [view, masterPasswordMissing, nodeTimeoutMs] = await Promise.all([
    readView(connection),
    asksForPassword && lacksMasterPassword(connection),
    readSetting(connection, NODE_TIMEOUT.name),
  ]);
  const myself = view.topology.myself;
  if (myself === undefined) return { node: label, kind: 'verification', text: 'does not list itself in CLUSTER NODES' };
  return {
    label,
    address,
    connection,
    id: myself.id,
    ip: connection.ip,
    busPort: myself.busPort,
    masterPasswordMissing,
    nodeTimeoutMs,
    facts,
    view,
  };
}

/** Only whether there is one: the value is not kept. Where CONFIG is not allowed, nothing is known and nothing said. */
async function lacksMasterPassword(connection: NodeConnection): Promise<boolean> {
  const reply = await connection.call('CONFIG', 'GET', 'masterauth').catch(() => undefined);
  return Array.isArray(reply) && reply[1] === '';
}

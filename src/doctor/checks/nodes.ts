/** Every node by a connection of its own: whether it answers, what its clock says, and its links. */
import { formatAddress } from '../../cluster/address.js';
import { settleBounded } from '../../cluster/bounded.js';
import { probePort } from '../../cluster/bus-port.js';
import { connectNode, type NodeConnection } from '../../cluster/node-connection.js';
import { parseInfo } from '../../cluster/parse-info.js';
import { type BusLink, parseLinks, WAITING_MAX_BYTES } from '../bus-links.js';
import { bestLook, type ClockLook, clockLook, judgeClocks } from '../clocks.js';
import { type DoctorContext, type KnownNode, NODE_STEP_MS, PARALLEL_MAX } from '../context.js';
import { leavesOutTransactions } from '../default-user.js';
import { type DoctorFinding, failing, fromError, pass, warning } from '../finding.js';

/** Looks at each clock; the quickest counts. */
const CLOCK_LOOKS = 3;

export interface SeenNode {
  readonly node: KnownNode;
  /** `Redis 8.0.2`; undefined where the user may not ask. */
  readonly version?: string;
  readonly clock?: ClockLook;
  readonly links: readonly BusLink[];
  /** It would come back from a restart without what transactions have written. */
  readonly leavesOut?: boolean;
  /** Why it does not answer. */
  readonly failure?: unknown;
}

async function clockOf(connection: NodeConnection): Promise<ClockLook | undefined> {
  const looks: ClockLook[] = [];
  for (let look = 0; look < CLOCK_LOOKS; look++) {
    const sent = performance.timeOrigin + performance.now();
    const reply = await connection.call('TIME').catch(() => undefined);
    const received = performance.timeOrigin + performance.now();
    if (!Array.isArray(reply)) return undefined;
    const server = Number(reply[0]) * 1000 + Number(reply[1]) / 1000;
    if (Number.isFinite(server)) looks.push(clockLook(connection.label, server, sent, received));
  }
  return bestLook(looks);
}

async function versionOf(connection: NodeConnection): Promise<string | undefined> {
  const info = parseInfo(await connection.callText('INFO', 'server').catch(() => ''));
  const valkey = info.get('valkey_version');
  if (valkey !== undefined) return `Valkey ${valkey}`;
  const redis = info.get('redis_version');
  return redis === undefined ? undefined : `Redis ${redis}`;
}

/** A user who may not ask learns nothing of it. */
async function leavesOut(connection: NodeConnection): Promise<boolean> {
  const silent = () => undefined;
  const info = await connection.callText('INFO', 'server').catch(() => '');
  const appendOnly = await connection.call('CONFIG', 'GET', 'appendonly').catch(silent);
  const user = await connection.call('ACL', 'GETUSER', 'default').catch(silent);
  return leavesOutTransactions(info, appendOnly, user);
}

/** Asks all nodes. Never fails: what a node does not answer is part of what is seen. */
export async function lookAtNodes(nodes: readonly KnownNode[], context: DoctorContext): Promise<SeenNode[]> {
  const { connect, signal } = context;
  const settled = await settleBounded(nodes, PARALLEL_MAX, async (node): Promise<SeenNode> => {
    const connection = await connectNode({
      ...connect,
      host: node.host,
      port: node.port,
      connectTimeoutMs: NODE_STEP_MS,
      commandTimeoutMs: NODE_STEP_MS,
      signal,
    });
    try {
      const version = await versionOf(connection);
      const clock = await clockOf(connection);
      const links = parseLinks(await connection.call('CLUSTER', 'LINKS').catch(() => []));
      return { node, version, clock, links, leavesOut: await leavesOut(connection) };
    } finally {
      connection.close();
    }
  });
  signal.throwIfAborted();
  return settled.map((result, index) => {
    if (result.status === 'fulfilled') return result.value;
    return { node: nodes[index] as KnownNode, links: [], failure: result.reason };
  });
}

/** @param members addresses that the cluster itself lists */
export function judgeNodes(seen: readonly SeenNode[]): DoctorFinding[] {
  return seen.map(({ node, version, failure, leavesOut: losing = false }) => {
    const address = formatAddress(node);
    if (failure !== undefined) return fromError('nodes', address, failure);
    if (losing) {
      const text = 'a restart would lose what MULTI and scripts have written: the default user may not do everything';
      return failing(
        'nodes',
        address,
        text,
        'ACL SETUSER default off resetpass ~* &* +@all, then ACL SAVE; nobody can log in as it.',
      );
    }
    return pass('nodes', address, version ?? 'it answers');
  });
}

export function clockFindings(seen: readonly SeenNode[]): DoctorFinding[] {
  return judgeClocks(seen.flatMap(({ clock }) => (clock === undefined ? [] : [clock])));
}

/** The bus ports as they are reached from here, and what waits in the links between the nodes. */
export async function checkBus(seen: readonly SeenNode[], clustered: boolean): Promise<DoctorFinding[]> {
  const answering = seen.filter(({ failure }) => failure === undefined);
  if (!clustered || answering.length === 0) return [];
  const probed = await settleBounded(answering, PARALLEL_MAX, ({ node }) =>
    probePort(node.host, node.busPort, NODE_STEP_MS),
  );
  const findings: DoctorFinding[] = [];
  const closed: string[] = [];
  for (const [index, { node }] of answering.entries()) {
    const result = probed[index];
    const state = result?.status === 'fulfilled' ? result.value : 'silent';
    if (state === 'open') continue;
    closed.push(formatAddress(node));
    const about = `${node.host}:${node.busPort}`;
    const text = state === 'refused' ? 'nothing listens on its bus port' : 'its bus port does not answer from here';
    const next =
      'The nodes need it among themselves, both ways (port + 10000, or cluster-port); from here it need not be open.';
    findings.push((state === 'refused' ? failing : warning)('bus', about, text, next));
  }
  for (const { node, links } of answering) {
    const stuck = links.filter(({ waitingBytes }) => waitingBytes > WAITING_MAX_BYTES);
    if (stuck.length === 0) continue;
    const text = `${stuck.length} of its links to other nodes hold more than ${WAITING_MAX_BYTES / 1024 / 1024} MiB that is not taken`;
    findings.push(
      warning('bus', formatAddress(node), text, 'Look at the network between the hosts, and at nodes that hang.'),
    );
  }
  if (closed.length === 0) findings.unshift(pass('bus', 'nodes', `${answering.length} bus ports answer from here`));
  return findings;
}

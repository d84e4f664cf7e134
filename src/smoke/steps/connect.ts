/** Connects, logs in, and finds out what is there. */
import type { ConnectNodeOptions, NodeConnection } from '../../cluster/node-connection.js';
import { parseInfo, parseServerVersion } from '../../cluster/parse-info.js';
import { parseClusterSlots } from '../../cluster/parse-shards.js';
import { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { ClusterClient, EndpointClient, openNode, type SmokeClient } from '../client.js';
import { DEFAULT_TIMEOUT_MS, type SmokeContext, type StepFinding } from '../types.js';

/** Bound of connecting and of each command; less in a short run, so that a node that hangs is named before its end. */
const WAIT_MAX_MS = 5_000;
const WAIT_SHARE = 0.6;

export async function connect(context: SmokeContext): Promise<StepFinding> {
  const { host, port, username, password, tls, admin, timeoutMs } = context.options;
  const waitMs = Math.min(WAIT_MAX_MS, Math.ceil((timeoutMs ?? DEFAULT_TIMEOUT_MS) * WAIT_SHARE));
  const options: ConnectNodeOptions = {
    host,
    port,
    username,
    password,
    ...(tls === undefined ? {} : { tls }),
    connectTimeoutMs: waitMs,
    commandTimeoutMs: waitMs,
    signal: context.signal,
  };
  const started = performance.now();
  const node = await openNode(options);
  try {
    const connectMs = performance.now() - started;
    const pong = await node.call('PING');
    if (pong !== 'PONG') throw new ForgeError('verification', `${node.label} answers PING with something else.`);
    const info = parseInfo(await infoText(node));
    const version = parseServerVersion(info);
    context.target.server = version === undefined ? undefined : `${title(version.product)} ${version.text}`;
    // With --admin the address is a proxy's, whatever INFO says.
    const clustered = admin === undefined && info.get('cluster_enabled') === '1';
    context.target.kind = clustered ? 'cluster node' : 'endpoint';
    context.client = clustered ? await clusterClient(node, options) : new EndpointClient(node);
    const what = clustered ? 'a node of a cluster' : 'an endpoint (a proxy, or a server of no cluster)';
    const note = node.passwordUnused ? '; it asks for no password although one is set' : '';
    return {
      summary: `${context.target.server ?? 'it'} answers: ${what}${note}`,
      data: { kind: context.target.kind, server: context.target.server ?? null, connectMs: round(connectMs) },
    };
  } catch (error) {
    node.close();
    throw error;
  }
}

async function clusterClient(node: NodeConnection, options: ConnectNodeOptions): Promise<SmokeClient> {
  const nodes = parseClusterSlots(await node.call('CLUSTER', 'SLOTS'), node.label);
  return new ClusterClient(node, options, new Topology(nodes));
}

/** INFO as far as it is allowed: a user without it can still test its keys. */
async function infoText(node: NodeConnection): Promise<string> {
  try {
    return await node.callText('INFO');
  } catch (error) {
    if (error instanceof ForgeError && (error.kind === 'denied' || error.kind === 'refused')) return '';
    throw error;
  }
}

const title = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

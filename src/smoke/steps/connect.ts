/** Connects, logs in, and finds out what is there. */
import { type ConnectNodeOptions, connectNode, type NodeConnection } from '../../cluster/node-connection.js';
import { parseInfo, parseServerVersion } from '../../cluster/parse-info.js';
import { parseClusterSlots } from '../../cluster/parse-shards.js';
import { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { ClusterClient, EndpointClient, type SmokeClient } from '../client.js';
import type { SmokeContext, StepFinding } from '../types.js';

const CONNECT_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 5_000;

export async function connect(context: SmokeContext): Promise<StepFinding> {
  const { host, port, username, password, admin } = context.options;
  const options: ConnectNodeOptions = {
    host,
    port,
    username,
    password,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    signal: context.signal,
  };
  const started = performance.now();
  const node = await connectNode(options).catch((error: unknown) => {
    throw asTimeout(error);
  });
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

/** A server that takes connections and never answers has run out a wait: it is there, unlike an unreachable one. */
function asTimeout(error: unknown): unknown {
  const cause = error instanceof ForgeError ? error.cause : undefined;
  if (!(error instanceof ForgeError) || !(cause instanceof Error) || cause.message !== 'Command timed out')
    return error;
  return new ForgeError('timeout', `${error.host} accepts connections but does not answer.`, {
    host: error.host,
    next: 'Check whether the server hangs, is stopped, or is busy with a slow command.',
    cause,
  });
}

const title = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);
const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

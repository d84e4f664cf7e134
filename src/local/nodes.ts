/** The Redis nodes of a local cluster: what they have in common wherever they run, and waiting until they serve. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../errors.js';
import type { RedisNodeOptions } from '../runtime/redis-server.js';
import type { LocalPlace } from './place.js';
import { nodeUsers, type Secrets } from './secrets.js';
import type { ClusterState } from './state.js';
import { viewNode } from './view.js';

export const LOOPBACK = '127.0.0.1';
/**
 * After which silence a node is held to be down, milliseconds. Redis's own 15 s is for networks; on one host silence
 * means that the process is gone. With 2 s a replica has taken over within the proxy's `op_timeout` of 5 s, so that
 * commands which wait for it still succeed.
 */
export const NODE_TIMEOUT_MS = 2_000;
/** Until a started node answers, milliseconds; loading its data comes on top. */
export const NODE_START_MS = 20_000;
/** Loading the append-only file, milliseconds: some 100 GB. */
export const NODE_LOAD_MS = 15 * 60_000;
const POLL_MS = 50;

/** What every node of the cluster is told, besides its place and its port. */
export function nodeOptions(
  state: Pick<ClusterState, 'replicas' | 'sharded'>,
  secrets: Secrets,
): Pick<RedisNodeOptions, 'users' | 'replicationUser' | 'nodeTimeoutMs' | 'hasReplicas' | 'clustered'> {
  return {
    users: nodeUsers(secrets),
    replicationUser: 'replication',
    nodeTimeoutMs: NODE_TIMEOUT_MS,
    hasReplicas: state.replicas > 0,
    clustered: !state.sharded,
  };
}

export interface NodeWait {
  place: LocalPlace;
  port: number;
  adminPassword: string;
  /** Whether it was started just now: then a crash is a failed start, and not something that supervision mends. */
  fresh: boolean;
  signal?: AbortSignal;
  /** Told while the node loads its data, 0 to 100. */
  onLoading?: (percent: number) => void;
}

/**
 * Waits until the node answers and has loaded its data.
 * @throws ForgeError `unreachable` when it ends or does not answer, `timeout` when loading takes too long, `denied`
 */
export async function waitUntilServing(wait: NodeWait): Promise<void> {
  const { place, port, signal } = wait;
  const host = `${LOOPBACK}:${port}`;
  const begun = performance.now();
  let loading = false;
  while (performance.now() - begun < (loading ? NODE_LOAD_MS : NODE_START_MS)) {
    signal?.throwIfAborted();
    const { phase } = await place.runtime.inspect(place.node(port));
    if (phase !== 'running' && (wait.fresh || phase !== 'waiting')) throw await startFailure(wait, host);
    const view = phase === 'running' ? await viewNode(port, wait.adminPassword, signal) : undefined;
    if (view?.loadingPercent === undefined && view?.reachable) return;
    loading = view?.loadingPercent !== undefined;
    if (view?.loadingPercent !== undefined) wait.onLoading?.(view.loadingPercent);
    await sleep(POLL_MS, undefined, { signal });
  }
  throw new ForgeError(
    'timeout',
    loading ? 'The node does not finish loading its data.' : 'The node does not answer.',
    {
      host,
      next: place.logOf(port),
    },
  );
}

async function startFailure(wait: NodeWait, host: string): Promise<ForgeError> {
  const { place, port } = wait;
  const ref = place.node(port);
  // A node that cannot start would only be tried again in vain.
  if (wait.fresh) await place.runtime.stop(ref, { graceMs: 1_000 });
  // What Redis says before it has a log, such as a fault in its configuration, is in the output.
  const lines = [...(await place.nodeLog(port, 3)), ...(await place.runtime.outputTail(ref, 4))];
  const said = lines.filter((line) => !line.startsWith('supervise: '));
  return new ForgeError('unreachable', ['The node ended right after its start.', ...said].join('\n'), {
    host,
    next: place.logOf(port),
  });
}

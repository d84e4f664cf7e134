/** Which processes the nodes of a cluster are: those of a local cluster, of a deployment, or nobody knows. */
import { formatAddress } from '../../../cluster/address.js';
import type { NodePool } from '../../../cluster/node-pool.js';
import type { Settings } from '../../../config/resolve.js';
import type { DockerEngine } from '../../../docker/engine.js';
import { ForgeError } from '../../../errors.js';
import { LOOPBACK } from '../../../local/nodes.js';
import { clusterPaths, forgeHome } from '../../../local/paths.js';
import { openPlace } from '../../../local/place.js';
import { loadSecrets } from '../../../local/secrets.js';
import { loadState } from '../../../local/state.js';
import { parseRestartCommand, runRestartCommand } from '../../../operations/steps/restart-command.js';
import { containerReach } from './container.js';
import { debugReach } from './debug-sleep.js';
import { processReach } from './process.js';
import type { FindReach, Reach, Reached } from './reach.js';

/** How long the operator's own command may take to kill a node. */
const COMMAND_MS = 30_000;

export interface FindOptions {
  readonly settings: Settings;
  /** Nodes were named by their addresses: names are of no use. */
  readonly bySeed: boolean;
  readonly pool: NodePool;
  /** The operator's own way of killing a node. */
  readonly killCommand?: string;
}

/** @throws ForgeError `usage` for a command that is none */
export async function reachOf(options: FindOptions): Promise<FindReach> {
  const { killCommand, pool } = options;
  const found = (await localReach(options)) ?? (await deployedReach(options));
  const command = killCommand === undefined ? undefined : parseRestartCommand(killCommand);
  return async (node) => {
    const reach = (await found?.(node)) ?? (await debugReach(pool, node));
    if (command === undefined) return reach;
    const kill = () => runRestartCommand(command, node, COMMAND_MS);
    // Whoever has a command of their own has a supervisor of their own.
    const { revive: _, ...rest } = reach;
    return { ...rest, words: `${command[0]} for ${node.address}`, kill };
  };
}

async function localReach({ settings: { unknownName }, bySeed }: FindOptions) {
  if (unknownName === undefined || bySeed) return undefined;
  const paths = clusterPaths(forgeHome(), unknownName);
  const state = await loadState(paths);
  if (state === undefined) return undefined;
  // Without a signal: what is put back is put back after it as well.
  const place = await openPlace({ paths, state });
  const engine = state.runtime === 'docker' ? await localEngine() : undefined;
  return async (node: Reached): Promise<Reach | undefined> => {
    if (node.host !== LOOPBACK || !state.nodePorts.includes(node.port)) return undefined;
    const ref = place.node(node.port);
    const { runtime } = place;
    const start = async () => runtime.start(await place.nodeSpec(node.port, await loadSecrets(paths)));
    if (engine === undefined) return processReach({ runtime, ref, start }, node);
    return containerReach(engine, ref.name, 'this machine');
  };
}

async function localEngine(): Promise<DockerEngine> {
  const [{ DockerEngine }, { LOCAL_ENDPOINT }] = await Promise.all([
    import('../../../docker/engine.js'),
    import('../../../docker/endpoint.js'),
  ]);
  return new DockerEngine(LOCAL_ENDPOINT);
}

async function deployedReach({ settings, bySeed }: FindOptions) {
  const { cluster } = settings;
  if (cluster === undefined || bySeed || (cluster.hosts ?? cluster.redis) === undefined) return undefined;
  const [{ loadDeploySettings }, { findLogs }] = await Promise.all([
    import('../../../config/deploy-settings-load.js'),
    import('../../../deploy/logs.js'),
  ]);
  const deployed = await loadDeploySettings(settings);
  const placeOf = (address: string) =>
    findLogs(deployed, address).catch((error: unknown) => {
      // Run by somebody else, or written down by another name.
      if (error instanceof ForgeError && error.kind === 'usage') return undefined;
      throw error;
    });
  return async ({ address, host, port }: Reached): Promise<Reach | undefined> => {
    const place = (await placeOf(address)) ?? (await placeOf(formatAddress({ host, port })));
    return place && containerReach(place.engine, place.container, place.host);
  };
}

/** A local cluster as one that is looked at and changed like any other: its nodes, and whom forge logs in as. */
import { ForgeError } from '../errors.js';
import { LOOPBACK } from './nodes.js';
import { clusterPaths, forgeHome } from './paths.js';
import { secretFile } from './secrets.js';
import { listClusters, loadState } from './state.js';

export interface LocalTarget {
  readonly addresses: readonly string[];
  readonly username: string;
  readonly passwordFile: string;
}

/**
 * The nodes of the local cluster of this name.
 * @param known names of other clusters, for the error
 * @throws ForgeError `usage` when there is none, `refused` when it is no Redis Cluster
 */
export async function localTarget(
  name: string,
  known: readonly string[] = [],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<LocalTarget> {
  const home = forgeHome(undefined, environment);
  const paths = clusterPaths(home, name);
  const state = await loadState(paths);
  if (state === undefined) {
    const names = [...new Set([...known, ...(await listClusters(home))])];
    throw new ForgeError('usage', `There is no cluster ${name}, neither in forge.yaml nor a local one.`, {
      next: names.length === 0 ? 'Name a node instead: --seed HOST:PORT' : `There are: ${names.join(', ')}.`,
    });
  }
  if (state.sharded) {
    throw new ForgeError('refused', `The local cluster ${name} is of independent servers, not a Redis Cluster.`);
  }
  return {
    addresses: state.nodePorts.map((port) => `${LOOPBACK}:${port}`),
    username: 'admin',
    passwordFile: secretFile(paths, 'admin'),
  };
}

/** What is tested when nothing is named: the endpoint of the local cluster when there is one, else Redis's own port. */
import { readCredentials } from '../config/credentials.js';
import { LOOPBACK } from '../local/nodes.js';
import { clusterPaths, DEFAULT_NAME, forgeHome } from '../local/paths.js';
import { secretFile } from '../local/secrets.js';
import { loadState } from '../local/state.js';
import type { SmokeOptions } from './types.js';

export const DEFAULT_PORT = 6379;

export type ChosenTarget = Pick<SmokeOptions, 'host' | 'port' | 'username' | 'password' | 'admin'>;

/**
 * The local cluster's proxy, with its admin page, and its password unless the environment gives another.
 * @throws ForgeError `configuration` when the local cluster's files are damaged
 */
export async function defaultTarget(environment: NodeJS.ProcessEnv = process.env): Promise<ChosenTarget> {
  const paths = clusterPaths(forgeHome(undefined, environment), DEFAULT_NAME);
  const state = await loadState(paths);
  const credentials = await readCredentials({ environment });
  if (!state?.formed || state.proxy === null) return { host: LOOPBACK, port: DEFAULT_PORT, ...credentials };
  return {
    host: LOOPBACK,
    port: state.proxy.port,
    admin: { host: LOOPBACK, port: state.proxy.adminPort },
    ...(credentials.password === undefined
      ? await readCredentials({ passwordFile: secretFile(paths, 'endpoint'), environment: {} })
      : credentials),
  };
}

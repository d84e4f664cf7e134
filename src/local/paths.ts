/** Where local clusters live on the disk. */
import os from 'node:os';
import path from 'node:path';
import { ForgeError } from '../errors.js';

export const DEFAULT_NAME = 'local';

/**
 * The folder that holds one folder per local cluster: what was asked for, else FORGE_HOME, else
 * `$XDG_STATE_HOME/redisforge`, else `~/.local/state/redisforge`. Absolute.
 */
export function forgeHome(asked?: string, environment: NodeJS.ProcessEnv = process.env): string {
  const given = asked ?? environment['FORGE_HOME'];
  if (given) return path.resolve(given);
  const state = environment['XDG_STATE_HOME'];
  // The XDG specification has relative paths ignored.
  const base = state && path.isAbsolute(state) ? state : path.join(os.homedir(), '.local', 'state');
  return path.join(base, 'redisforge');
}

export interface ClusterPaths {
  name: string;
  /** Everything of this cluster. */
  directory: string;
  state: string;
  lock: string;
  secrets: string;
  /** The record, log and configuration of the proxy. */
  proxy: string;
  proxyConfig: string;
  proxyPid: string;
  /** The folder of the node on this port. */
  node(port: number): string;
}

/** @throws ForgeError `usage` for a name that would be no plain folder */
export function clusterPaths(home: string, name: string): ClusterPaths {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) {
    throw new ForgeError('usage', `"${name}" is not a name for a cluster.`, {
      next: 'Take up to 32 lower-case letters, digits and dashes, a letter or digit first.',
    });
  }
  const directory = path.join(home, name);
  const proxy = path.join(directory, 'proxy');
  return {
    name,
    directory,
    state: path.join(directory, 'cluster.json'),
    lock: path.join(directory, 'lock'),
    secrets: path.join(directory, 'secrets'),
    proxy,
    proxyConfig: path.join(proxy, 'proxy.yaml'),
    proxyPid: path.join(proxy, 'proxy.pid'),
    node: (port) => path.join(directory, 'nodes', String(port)),
  };
}

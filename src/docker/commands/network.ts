/** Commands on networks. Pure. */
import { changes, type DockerCommand, reads } from '../command.js';
import { labelArguments } from '../labels.js';

/** Networks that every engine has; the others have to be made. */
export const BUILT_IN_NETWORKS: readonly string[] = ['host', 'bridge', 'none'];

/** Whether a network has to be made: not one that every engine has, and not the one of another container. */
export function isMade(network: string): boolean {
  return !BUILT_IN_NETWORKS.includes(network) && network !== 'default' && !network.startsWith('container:');
}

export interface NetworkOptions {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Such as `172.30.0.0/24`; the engine chooses when not given. */
  subnet?: string;
}

export function createNetwork({ name, labels, subnet }: NetworkOptions): DockerCommand {
  const range = subnet === undefined ? [] : ['--subnet', subnet];
  return changes(['network', 'create', '--driver', 'bridge', ...range, ...labelArguments(labels), name]);
}

/** A JSON list; fails with `network … not found` when one is not there. */
export function inspectNetwork(...names: string[]): DockerCommand {
  return reads(['network', 'inspect', ...names]);
}

/** Names of the networks that a filter finds, one a line. */
export function listLabelledNetworks(filter: string): DockerCommand {
  return reads(['network', 'ls', '--filter', filter, '--format', '{{.Name}}']);
}

/** Removes a network; refused by the engine while a container is in it. */
export function removeNetwork(name: string): DockerCommand {
  return changes(['network', 'rm', name]);
}

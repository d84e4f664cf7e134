/** The network of a container: its host's own, or a bridge network with published ports. Pure. */
import type { DeployNetwork } from '../config/deploy-settings.js';
import type { CreateOptions } from '../docker/commands/container.js';
import type { DesiredContainer } from './container.js';

export interface ContainerNetwork {
  readonly options: Pick<CreateOptions, 'network' | 'publish'>;
  /** What has to be made; empty for the host's own. */
  readonly made: Pick<DesiredContainer, 'network'>;
}

/** @param ports that others reach it by: the same inside and outside */
export function containerNetwork(network: DeployNetwork, ports: readonly number[]): ContainerNetwork {
  if (network.kind === 'host') return { options: { network: 'host', publish: [] }, made: {} };
  const { name, subnet } = network;
  return {
    options: { network: name, publish: ports.map((port) => ({ hostPort: port, containerPort: port })) },
    made: { network: { name, ...(subnet === undefined ? {} : { subnet }) } },
  };
}

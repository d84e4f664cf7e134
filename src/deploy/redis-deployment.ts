/** Redis nodes as forge.yaml wants them: which of them are meant, and what they are as containers. */
import { formatAddress } from '../cluster/address.js';
import { readUserPasswords } from '../config/deploy-secrets.js';
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { ForgeError } from '../errors.js';
import type { DesiredContainer } from './container.js';
import { Deployment } from './deployment.js';
import { adminLogin, nodeFiles } from './node-files.js';
import { notLetIn, refusedLogin } from './passwords.js';
import { type DeployAction, isCutOff } from './plan.js';
import { askRedis, type RedisLogin, readAsked } from './redis-cli.js';
import { nodeContainerName, redisContainer } from './redis-container.js';
import { redisEffect } from './redis-files.js';

export interface NodeChoice {
  /** Names of hosts; all when `all`. */
  readonly hosts: readonly string[];
  /** `host:port`. */
  readonly nodes: readonly string[];
  readonly all: boolean;
}

/**
 * The nodes that are meant: those of the named hosts or addresses, all of them, or else those of this machine.
 * @param isOwn whether a host is this machine
 * @throws ForgeError `usage` for a host or node that forge.yaml does not have, or when none is meant
 */
export function chooseDeployNodes(
  settings: Pick<DeploySettings, 'nodes' | 'hosts'>,
  choice: NodeChoice,
  isOwn: (host: string) => boolean,
): DeployNode[] {
  const { nodes, hosts } = settings;
  if (nodes.length === 0) {
    throw new ForgeError('usage', 'There is no node to deploy.', {
      next: 'List them in forge.yaml under nodes: docs/forge-yaml.md.',
    });
  }
  for (const host of choice.hosts) {
    if (hosts.some(({ name }) => name === host)) continue;
    throw new ForgeError('usage', `There is no host ${host}.`, {
      next: `Hosts: ${hosts.map(({ name }) => name).join(', ')}.`,
    });
  }
  const named = choice.nodes.map((address) => {
    const node = nodes.find((each) => addressesOf(each).includes(address));
    if (node !== undefined) return node;
    throw new ForgeError('usage', `There is no node ${address}.`, {
      next: `Nodes: ${nodes.map((each) => addressesOf(each)[0]).join(', ')}.`,
    });
  });
  if (choice.all) return [...nodes];
  const chosen = nodes.filter((node) => named.includes(node) || choice.hosts.includes(node.dockerHost));
  if (chosen.length > 0 || named.length + choice.hosts.length > 0) return chosen;
  const here = nodes.filter((node) => {
    const host = hosts.find(({ name }) => name === node.dockerHost);
    return host !== undefined && (isOwn(host.address) || host.docker?.startsWith('unix://') === true);
  });
  if (here.length > 0) return here;
  throw new ForgeError('usage', 'No node of forge.yaml is on this machine.', {
    next: 'Deploy on every host with --all, or on some with --host NAME.',
  });
}

/** All addresses by which a node may be named: its own first, then those that it tells others. */
export function addressesOf({ host, port, announce }: DeployNode): string[] {
  const others = [announce.ip, announce.hostname].flatMap((each) =>
    each === undefined ? [] : [formatAddress({ host: each, port: announce.port })],
  );
  return [formatAddress({ host, port }), ...others];
}

/** The node that a container is. Those of two hosts may have one name: nodes of one port do. */
export function nodeOfContainer(
  settings: Pick<DeploySettings, 'cluster'>,
  nodes: readonly DeployNode[],
  { host, options: { name } }: Pick<DesiredContainer, 'host'> & { readonly options: { readonly name: string } },
): DeployNode {
  const node = nodes.find((each) => each.dockerHost === host && nodeContainerName(settings, each) === name);
  if (node === undefined) throw new Error(`deploy: no node ${name} on ${host}`);
  return node;
}

export interface RedisDeploymentOptions {
  readonly settings: DeploySettings;
  readonly nodes: readonly DeployNode[];
  readonly environment: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  /** Further hosts that are looked at. */
  readonly also?: readonly string[];
}

/** @throws ForgeError `configuration` for passwords and certificates that are not where they should be */
export async function redisDeployment({
  settings,
  nodes,
  environment,
  signal,
  also,
}: RedisDeploymentOptions): Promise<RedisDeployment> {
  const users = await readUserPasswords(settings, environment);
  const desired = await Promise.all(
    nodes.map(async (node) => redisContainer(settings, node, await nodeFiles(settings, node, users))),
  );
  const login = adminLogin(users);
  const deployment = new Deployment({
    cluster: settings.cluster,
    hosts: settings.hosts,
    desired,
    login,
    effectOf: (_, changes) => redisEffect(changes, settings.redis.version),
    ...(signal === undefined ? {} : { signal }),
    ...(also === undefined ? {} : { also }),
  });
  return {
    deployment,
    login,
    nodeOf: ({ desired }) => nodeOfContainer(settings, nodes, desired),
    serves: async (action) => {
      if (action.observed?.status !== 'running' || isCutOff(action)) return false;
      const answer = await deployment
        .engine(action.desired.host)
        .run(askRedis(action.desired.options.name, login, ['CLUSTER', 'INFO']));
      const refused = refusedLogin(answer);
      // Whether a cluster counts on it cannot be asked: it must not be replaced as if none did.
      if (refused !== undefined) throw notLetIn(action, refused);
      return isMember(readAsked(answer));
    },
  };
}

export interface RedisDeployment {
  readonly deployment: Deployment;
  /** As whom forge asks a node. */
  readonly login: RedisLogin;
  nodeOf(action: DeployAction): DeployNode;
  /**
   * Whether the node is part of a cluster that has slots: then it must not go away without an order.
   * @throws ForgeError `denied` when it does not let the administrator in
   */
  serves(action: DeployAction): Promise<boolean>;
}

function isMember(info: string): boolean {
  const number = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return number('cluster_known_nodes') > 1 && number('cluster_slots_assigned') > 0;
}

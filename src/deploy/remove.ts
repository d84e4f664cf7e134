/** Takes containers of a cluster off their hosts. Only what carries the cluster's label is ever touched. */
import { formatAddress } from '../cluster/address.js';
import { parseClusterNodes } from '../cluster/parse-nodes.js';
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { type DockerCommand, renderCommand } from '../docker/command.js';
import { listContainers, removeContainer, stopContainer } from '../docker/commands/container.js';
import { listLabelledNetworks, removeNetwork } from '../docker/commands/network.js';
import { removeVolume } from '../docker/commands/volume.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { LABELS, labelFilter } from '../docker/labels.js';
import { ForgeError } from '../errors.js';
import { waitFor } from '../runtime/wait.js';
import { namesOf } from './container.js';
import type { Deployment, ShownCommand } from './deployment.js';
import type { ObservedContainer, ObservedHost, ObservedVolume } from './observed.js';
import { askRedis, type RedisLogin, readAsked } from './redis-cli.js';
import { nodeContainerName } from './redis-container.js';
import { addressesOf } from './redis-deployment.js';
import { judgeRemoval, keyOf, type NodeView, type RemovalVerdict, type StoppedNode } from './remove-guard.js';

/** Containers of one host that are stopped at once. */
const CONTAINERS_AT_ONCE = 6;
/** A node writes its append-only file to the end. */
const STOP_TIMEOUT_S = 60;
/** Until a container is gone that somebody else is removing, milliseconds. */
const REMOVED_MS = 20_000;
const REMOVED_LOOK_MS = 200;

export interface RemovalRequest {
  readonly hosts: readonly string[];
  readonly nodes: readonly DeployNode[];
  readonly all: boolean;
  /** Names of containers, or of volumes that are kept. */
  readonly names: readonly string[];
  /** Their data as well. */
  readonly purge: boolean;
}

export interface HostRemoval {
  readonly host: string;
  readonly containers: readonly ObservedContainer[];
  readonly volumes: readonly ObservedVolume[];
  /** Data that stays. */
  readonly kept: readonly ObservedVolume[];
}

/**
 * What of the hosts that were looked at is to go. Pure.
 * @throws ForgeError `usage` for a name that none of them has
 */
export function planRemoval(
  cluster: string,
  seen: ReadonlyMap<string, ObservedHost>,
  request: RemovalRequest,
): HostRemoval[] {
  const found = new Set<string>();
  const plans = [...seen].map(([host, { containers, volumes }]): HostRemoval => {
    const nodeNames = request.nodes
      .filter(({ dockerHost }) => dockerHost === host)
      .map((node) => nodeContainerName({ cluster }, node));
    const whole = request.all || request.hosts.includes(host);
    const going = containers.filter(({ name }) => {
      if (request.names.includes(name)) found.add(name);
      return whole || request.names.includes(name) || nodeNames.some((node) => isOf(node, name));
    });
    const staying = containers.filter((each) => !going.includes(each));
    const instances = new Set(going.map(({ instance }) => instance).filter(Boolean));
    for (const { name } of request.nodes.filter(({ dockerHost }) => dockerHost === host)) instances.add(name);
    const used = new Set(staying.flatMap((each) => each.volumes));
    const theirs = volumes.filter(({ name, instance }) => {
      if (used.has(name)) return false;
      if (request.names.includes(name)) found.add(name);
      return whole || request.names.includes(name) || instances.has(instance);
    });
    const goes = ({ content }: ObservedVolume) => request.purge || content === 'configuration' || content === 'meeting';
    return {
      host,
      containers: going,
      volumes: theirs.filter(goes),
      kept: theirs.filter((volume) => !goes(volume)),
    };
  });
  const missing = request.names.filter((name) => !found.has(name));
  if (missing.length > 0) {
    throw new ForgeError('usage', `${cluster} has no container or unused volume ${missing.join(', ')}.`, {
      next: 'forge deploy status --all lists them.',
    });
  }
  return plans.filter(({ containers, volumes, kept }) => containers.length + volumes.length + kept.length > 0);
}

const isOf = (node: string, name: string) => namesOf(node).includes(name);

/**
 * Asks every node that runs whether a cluster counts on those that are to go.
 * @param login undefined when no password is at hand: then nobody can be asked
 */
export async function askRemoval(
  deployment: Deployment,
  plans: readonly HostRemoval[],
  settings: Pick<DeploySettings, 'cluster' | 'nodes'>,
  login: RedisLogin | undefined,
): Promise<RemovalVerdict> {
  const running = deployment.hosts.flatMap((host) =>
    (deployment.seen(host)?.containers ?? [])
      .filter(({ role, status }) => role === 'redis' && status === 'running')
      .map(({ name }) => ({ host, container: name })),
  );
  const views: NodeView[] = [];
  for (let index = 0; index < running.length; index += CONTAINERS_AT_ONCE) {
    const some = running.slice(index, index + CONTAINERS_AT_ONCE);
    views.push(...(await Promise.all(some.map((each) => viewOf(deployment, each, login)))));
  }
  const going = plans.flatMap(({ host, containers }) => containers.map((each) => ({ host, each })));
  const stopped = going.flatMap(({ host, each }): StoppedNode[] => {
    if (each.role !== 'redis' || each.status === 'running') return [];
    const node = settings.nodes.find(
      (one) => one.dockerHost === host && nodeContainerName(settings, one) === each.name,
    );
    return node === undefined ? [] : [{ container: each.name, addresses: addressesOf(node) }];
  });
  return judgeRemoval({
    views,
    stopped,
    going: new Set(going.map(({ host, each }) => keyOf({ host, container: each.name }))),
  });
}

async function viewOf(
  deployment: Deployment,
  place: Pick<NodeView, 'host' | 'container'>,
  login: RedisLogin | undefined,
): Promise<NodeView> {
  if (login === undefined) return place;
  try {
    const answer = await deployment.engine(place.host).run(askRedis(place.container, login, ['CLUSTER', 'NODES']));
    // A server that is no member of any cluster.
    if (/cluster support disabled/.test(answer)) return { ...place, nodes: [] };
    return { ...place, nodes: parseClusterNodes(readAsked(answer), place.container) };
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    return place;
  }
}

/** The commands of a host in their order; networks that nobody uses afterwards are found out then. */
export function removalCommands({ containers, volumes }: HostRemoval): DockerCommand[] {
  return [...containers.flatMap((each) => containerCommands(each)), ...volumes.map(({ name }) => removeVolume(name))];
}

/** The same as people see them, of all hosts. */
export function shownCommands(deployment: Deployment, plans: readonly HostRemoval[]): ShownCommand[] {
  return plans.flatMap((plan) => {
    const { endpoint } = deployment.engine(plan.host);
    return removalCommands(plan).map((command) => ({ host: plan.host, line: renderCommand(command, endpoint) }));
  });
}

function containerCommands({ name, status }: ObservedContainer): DockerCommand[] {
  const stops = status === 'running' || status === 'restarting';
  return [...(stops ? [stopContainer(name, STOP_TIMEOUT_S)] : []), removeContainer(name)];
}

export interface RemovalObserver {
  command?(shown: ShownCommand): void;
}

/**
 * Carries it out, host beside host. What is gone already is no failure.
 * @throws ForgeError the first failure of a host, after all hosts have done what they could
 */
export async function carryOutRemoval(
  deployment: Deployment,
  plans: readonly HostRemoval[],
  observer: RemovalObserver = {},
): Promise<void> {
  const results = await Promise.allSettled(
    plans.map(async (plan) => {
      const engine = deployment.engine(plan.host);
      const run = async (command: DockerCommand) => {
        observer.command?.({ host: plan.host, line: renderCommand(command, engine.endpoint) });
        await untilGone(engine, command);
      };
      const left = [...plan.containers];
      const lane = async () => {
        for (let each = left.shift(); each !== undefined; each = left.shift()) {
          for (const command of containerCommands(each)) await run(command);
        }
      };
      await Promise.all(Array.from({ length: CONTAINERS_AT_ONCE }, lane));
      for (const { name } of plan.volumes) await run(removeVolume(name));
      for (const network of await unusedNetworks(engine, deployment.cluster)) await run(removeNetwork(network));
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

const GONE: readonly unknown[] = ['no-container', 'no-volume', 'no-network'];

/** Two hosts of forge.yaml that are one engine have the same containers: who is second waits until they are gone. */
async function untilGone(engine: DockerEngine, command: DockerCommand): Promise<void> {
  let last: unknown;
  const gone = await waitFor(
    () =>
      engine.run(command).then(
        () => true,
        (error: unknown) => {
          if (GONE.includes(failureReason(error))) return true;
          if (failureReason(error) !== 'being-removed') throw error;
          last = error;
          return undefined;
        },
      ),
    { timeoutMs: REMOVED_MS, intervalMs: REMOVED_LOOK_MS },
  );
  if (gone === undefined) throw last;
}

/** Networks that were made for the cluster, and that no container has, running or not. */
async function unusedNetworks(engine: DockerEngine, cluster: string): Promise<string[]> {
  const names = (await engine.run(listLabelledNetworks(labelFilter(LABELS.cluster, cluster))))
    .split('\n')
    .filter(Boolean);
  const used = await Promise.all(names.map((name) => engine.run(listContainers(`network=${name}`))));
  return names.filter((_, index) => used[index]?.trim() === '');
}

/** `host:port` of nodes whose folder of data stays on its host, as no volume holds it. */
export function keptFolders({ redis, nodes }: DeploySettings, plans: readonly HostRemoval[]): string[] {
  const { data } = redis;
  if (data.kind !== 'directory') return [];
  return plans.flatMap(({ host, containers }) =>
    nodes
      .filter((node) => node.dockerHost === host && containers.some(({ instance }) => instance === node.name))
      .map((node) => `${formatAddress(node)}: ${data.path}/${node.name}`),
  );
}

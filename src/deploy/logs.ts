/** What a deployed container has printed. */
import { formatAddress } from '../cluster/address.js';
import type { DeploySettings } from '../config/deploy-settings.js';
import { containerLogs } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { mergeLogs } from '../docker/inspect.js';
import { ForgeError } from '../errors.js';
import { Deployment } from './deployment.js';
import { nodeContainerName } from './redis-container.js';
import { addressesOf } from './redis-deployment.js';

/** Following ends with the reader; this is only what a timer can hold: 24 days. */
const FOLLOW_TIMEOUT_MS = 2 ** 31 - 1;

export interface LogPlace {
  readonly host: string;
  readonly container: string;
  readonly engine: DockerEngine;
}

/** A deployment that only looks: at what is there, whatever it is to be. */
export function lookingDeployment(
  { cluster, hosts }: Pick<DeploySettings, 'cluster' | 'hosts'>,
  also: readonly string[],
  signal?: AbortSignal,
): Deployment {
  return new Deployment({
    cluster,
    hosts,
    desired: [],
    also,
    effectOf: () => ({ kind: 'live', changes: [] }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * Where a container is: a node of forge.yaml by its address, or any container of the cluster by its name.
 * @throws ForgeError `usage` when there is neither; what the engine throws
 */
export async function findLogs(
  settings: Pick<DeploySettings, 'cluster' | 'hosts' | 'nodes'>,
  wanted: string,
  signal?: AbortSignal,
): Promise<LogPlace> {
  const node = settings.nodes.find((each) => addressesOf(each).includes(wanted));
  const hosts = node === undefined ? settings.hosts.map(({ name }) => name) : [node.dockerHost];
  const deployment = lookingDeployment(settings, hosts, signal);
  await deployment.look(() => {});
  const name = node === undefined ? wanted : nodeContainerName(settings, node);
  const found = hosts.filter((host) => deployment.seen(host)?.containers.some((each) => each.name === name));
  const [host] = found;
  if (host === undefined) {
    const names = hosts.flatMap((each) => deployment.seen(each)?.containers.map((one) => one.name) ?? []);
    const known = node === undefined ? [...settings.nodes.map(formatAddress), ...names] : names;
    throw new ForgeError(
      'usage',
      node === undefined ? `There is no node or container ${wanted}.` : `${name} is not deployed.`,
      {
        ...(node === undefined ? {} : { host: node.dockerHost }),
        next: node === undefined ? `There are: ${known.join(', ')}.` : `Deploy it: forge deploy redis --node ${wanted}`,
      },
    );
  }
  if (found.length > 1) {
    throw new ForgeError('usage', `${name} is on several hosts: ${found.join(', ')}.`, {
      next: 'Name the node by its address.',
    });
  }
  return { host, container: name, engine: deployment.engine(host) };
}

export interface LogLine {
  readonly time: string;
  readonly line: string;
}

export interface LogOptions {
  /** At most so many, from the end. */
  readonly lines: number;
  /** A duration back from now, or a time, as `docker logs` takes it. */
  readonly since?: string;
}

/** The last lines, in the order of their times. */
export async function readLogs({ engine, container }: LogPlace, { lines, since }: LogOptions): Promise<LogLine[]> {
  const { stdout, stderr } = await engine.execute(
    containerLogs(container, lines, since === undefined ? {} : { since }),
  );
  // The engine counts the lines of both streams together.
  return mergeLogs(stdout.toString('utf8'), stderr);
}

/** Hands lines on as they come, until the container ends or the signal is aborted. */
export async function followLogs(
  { engine, container }: LogPlace,
  { lines, since }: LogOptions,
  onLine: (line: LogLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const command = containerLogs(container, lines, { follow: true, ...(since === undefined ? {} : { since }) });
  const options = { signal };
  await engine.follow(
    { ...command, timeoutMs: FOLLOW_TIMEOUT_MS },
    (text) => {
      const [line] = mergeLogs(text, '');
      if (line !== undefined) onLine(line);
    },
    options,
  );
}

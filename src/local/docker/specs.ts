/**
 * The containers of a local cluster. All of them share the network of one that does nothing else, and talk to each other
 * over its loopback: so every node has one address, 127.0.0.1 and its port, that is right inside and, by the published
 * ports, on this machine. Pure but for reading the templates.
 */
import { createHash } from 'node:crypto';
import { LABELS } from '../../docker/labels.js';
import { RESTART as PROXY_RESTART } from '../../proxy/control/detached.js';
import { redisInstance } from '../../runtime/redis-server.js';
import type { ContainerSettings, InstanceRef, InstanceSpec } from '../../runtime/runtime.js';
import { LOOPBACK, nodeOptions } from '../nodes.js';
import type { ClusterPaths } from '../paths.js';
import type { PlaceOptions, ProxyPorts } from '../place.js';
import { renderProxyConfig } from '../proxy.js';
import type { Secrets } from '../secrets.js';

/** No account of any image; the same as in templates/redis.Dockerfile. */
const USER = '10001:10001';
/** The data of a node, its configuration and its socket. */
const NODE_DIRECTORY = '/data';
const NODE_SOCKET = `${NODE_DIRECTORY}/redis.sock`;
/** For the record of its supervisor alone. */
const BASE_DIRECTORY = '/forge';
const PROXY_DIRECTORY = '/etc/forge-proxy';
const PROXY_PROGRAM = '/usr/local/bin/forge-proxy';
/** Redis's 10,000 clients, and what it opens itself; no more, as an engine may have a limit of its own. */
const FILES_MAX = 16_384;
const LOG = { maxSizeMb: 10, maxFiles: 3 };
const HEALTH = { intervalMs: 5_000, timeoutMs: 3_000, startMs: 10_000, retries: 3 };
/** Inside, the network is this cluster's alone; what is published is of this machine's loopback. */
const EVERYWHERE = '0.0.0.0';

export interface ContainerNames {
  /** The cluster's label, and how all its names begin. Two clusters of one name, in two homes, are kept apart. */
  cluster: string;
  network: string;
  /** Whose network all others share. */
  base: InstanceRef;
  proxy: InstanceRef;
  proxyImage: string;
  node(port: number): InstanceRef;
}

export function containerNames({ name, directory }: Pick<ClusterPaths, 'name' | 'directory'>): ContainerNames {
  const cluster = `forge-${name}-${createHash('sha256').update(directory).digest('hex').slice(0, 6)}`;
  return {
    cluster,
    network: cluster,
    base: { name: `${cluster}-network`, directory: BASE_DIRECTORY },
    proxy: { name: `${cluster}-proxy`, directory: PROXY_DIRECTORY },
    proxyImage: `redisforge/proxy:${cluster}`,
    node: (port) => ({ name: `${cluster}-${port}`, directory: NODE_DIRECTORY }),
  };
}

/** Does nothing, and publishes the ports of all: what needs no port of this machine, the cluster bus, is not published. */
export function baseSpec(names: ContainerNames, image: string, ports: readonly number[]): InstanceSpec {
  return {
    ...names.base,
    program: 'sleep',
    args: ['infinity'],
    env: {},
    files: [],
    restart: { delayS: 1, delayMaxS: 1, budget: 5, windowS: 60 },
    container: {
      ...common(names, 'network', image),
      network: names.network,
      publish: ports.map((port) => ({ hostIp: LOOPBACK, hostPort: port, containerPort: port })),
      nofile: 1024,
    },
  };
}

export async function nodeSpec(
  names: ContainerNames,
  state: PlaceOptions['state'],
  { image, port, secrets }: { image: string; port: number; secrets: Secrets },
): Promise<InstanceSpec> {
  const redis = await redisInstance({
    ...nodeOptions(state, secrets),
    program: 'redis-server',
    port,
    host: LOOPBACK,
    directory: NODE_DIRECTORY,
  });
  return {
    ...redis,
    ...names.node(port),
    // The command line wins over the file. What Redis says goes to the engine's log.
    args: [
      ...redis.args,
      '--bind',
      EVERYWHERE,
      '--logfile',
      '',
      '--unixsocket',
      NODE_SOCKET,
      '--unixsocketperm',
      '700',
    ],
    env: {},
    container: {
      ...common(names, 'redis', image),
      nofile: FILES_MAX,
      health: { command: ['redis-cli', '-s', NODE_SOCKET, 'PING'], ...HEALTH },
    },
  };
}

export async function proxySpec(
  names: ContainerNames,
  state: PlaceOptions['state'],
  { ports, secrets }: { ports: ProxyPorts; secrets: Secrets },
): Promise<InstanceSpec> {
  const fileOf = (name: 'endpoint' | 'app') => `${PROXY_DIRECTORY}/${name}`;
  const config = `${PROXY_DIRECTORY}/proxy.yaml`;
  const text = await renderProxyConfig({ host: EVERYWHERE, secretFile: fileOf }, state, ports);
  return {
    ...names.proxy,
    program: PROXY_PROGRAM,
    args: ['--config', config],
    env: {},
    files: [
      { path: config, content: text, mode: 0o600 },
      { path: fileOf('endpoint'), content: secrets.endpoint, mode: 0o600 },
      { path: fileOf('app'), content: secrets.app, mode: 0o600 },
    ],
    restart: PROXY_RESTART,
    container: {
      ...common(names, 'proxy', names.proxyImage),
      nofile: FILES_MAX,
      health: { command: [PROXY_PROGRAM, '--health-check', `${LOOPBACK}:${ports.adminPort}`], ...HEALTH },
    },
  };
}

function common(names: ContainerNames, role: string, image: string): Omit<ContainerSettings, 'nofile'> {
  return {
    image,
    user: USER,
    network: `container:${names.base.name}`,
    publish: [],
    mounts: [],
    tmpfs: [],
    log: LOG,
    labels: { [LABELS.cluster]: names.cluster, [LABELS.role]: role },
  };
}

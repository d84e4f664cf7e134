/** A Redis node as a container. Pure. */
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { NOFILE, openFilesNeeded } from '../config/open-files.js';
import type { ArchiveEntry } from '../docker/archive.js';
import type { ContainerMount } from '../docker/commands/container.js';
import { NODE_FILES } from '../runtime/redis-server.js';
import { scratchArguments } from '../runtime/scratch-start.js';
import { CONTAINER_USER, type DesiredContainer } from './container.js';
import { containerNetwork } from './network.js';
import { REDIS_PROBE, REDIS_SOCKET } from './redis-cli.js';
import { REDIS_FILES, REDIS_FILES_TARGET } from './redis-files.js';

export const REDIS_DATA_TARGET = '/data';
/** SHUTDOWN waits ten seconds for replicas, and the append-only file is written to the end. */
const STOP_TIMEOUT_S = 60;
const LOG = { maxSizeMb: 10, maxFiles: 5 };
/** Each look starts three processes in the container: some 0.1 s of processor time. */
const HEALTH = { intervalMs: 10_000, timeoutMs: 3_000, startMs: 10_000, retries: 3 };
/** Only root changes what a node is told; the node reads it. */
const FILE_MODE = 0o640;
const FOLDER_MODE = 0o750;

/** The script mends what a power cut has left, and then becomes the server. */
const START = [`${REDIS_FILES_TARGET}/${REDIS_FILES.start}`, '--once', 'redis-server'];

/** A file that a node reads; its path is below `REDIS_FILES_TARGET`. */
export interface NodeFile {
  readonly path: string;
  readonly content: string;
}

/** How the container of a node is called on its host. */
export function nodeContainerName({ cluster }: Pick<DeploySettings, 'cluster'>, { name }: Pick<DeployNode, 'name'>) {
  return `${cluster}-${name}`;
}

/** @param files what it reads; redis.conf and what starts it among them */
export function redisContainer(
  settings: DeploySettings,
  node: DeployNode,
  files: readonly NodeFile[],
): DesiredContainer {
  const { redis } = settings;
  const name = nodeContainerName(settings, node);
  const volume = `${name}-data`;
  const mount: ContainerMount =
    redis.data.kind === 'volume'
      ? { volume, target: REDIS_DATA_TARGET }
      : { directory: `${redis.data.path}/${node.name}`, target: REDIS_DATA_TARGET };
  const { options: network, made } = containerNetwork(redis.network, [node.port, node.busPort]);
  return {
    cluster: settings.cluster,
    host: node.dockerHost,
    role: 'redis',
    instance: node.name,
    options: {
      name,
      image: redis.image,
      entrypoint: '/bin/sh',
      args: [...START, `${REDIS_FILES_TARGET}/${REDIS_FILES.config}`],
      env: { SUPERVISE_MANIFEST: `${REDIS_DATA_TARGET}/${NODE_FILES.manifest}` },
      workdir: REDIS_DATA_TARGET,
      user: `${CONTAINER_USER.uid}:${CONTAINER_USER.gid}`,
      ...network,
      mounts: [mount],
      tmpfs: ['/tmp'],
      restart: 'unless-stopped',
      ...redis.limits,
      nofile: redis.nofile,
      health: { command: REDIS_PROBE, ...HEALTH },
      log: LOG,
      labels: {},
      stopTimeoutS: STOP_TIMEOUT_S,
      pull: 'never',
    },
    ...made,
    data: [{ target: REDIS_DATA_TARGET, ...('volume' in mount ? { volume } : {}) }],
    files: ownedByRoot(files),
    filesTarget: REDIS_FILES_TARGET,
    probe: REDIS_PROBE,
    trial: {
      args: [
        ...START,
        ...scratchArguments(`${REDIS_FILES_TARGET}/${REDIS_FILES.config}`, REDIS_DATA_TARGET, REDIS_SOCKET),
      ],
      folders: [REDIS_DATA_TARGET],
    },
    ...(redis.nofile === NOFILE ? { nofileLeast: openFilesNeeded(redis.settings) } : {}),
  };
}

/** The files and their folders, as the node may read them and nobody else. */
export function ownedByRoot(files: readonly NodeFile[]): ArchiveEntry[] {
  const owner = { uid: 0, gid: CONTAINER_USER.gid };
  const folders = new Set(['.', ...files.flatMap(({ path }) => parents(path))]);
  return [
    ...[...folders].map((path): ArchiveEntry => ({ path, mode: FOLDER_MODE, ...owner })),
    ...files.map(({ path, content }): ArchiveEntry => ({ path, content, mode: FILE_MODE, ...owner })),
  ];
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** Commands on containers. Pure. */
import { CHANGE_TIMEOUT_MS, changes, type DockerCommand, READ_TIMEOUT_MS, reads } from '../command.js';
import { labelArguments } from '../labels.js';

export interface PublishedPort {
  /** The host's address to listen on; every one when not given. */
  hostIp?: string;
  hostPort: number;
  containerPort: number;
}

/**
 * Exactly one of `volume` (a named one) and `directory` (absolute, of the engine's host). A volume that is not there is made,
 * with its labels; one that is there keeps its own.
 */
export type ContainerMount = {
  target: string;
  readOnly?: boolean;
  /** What the host mounts below the directory later is seen as well; the host's mount has to be a shared one. */
  propagation?: 'rslave';
} & (NamedVolume | { directory: string });

interface NamedVolume {
  volume: string;
  labels?: Readonly<Record<string, string>>;
  /** With labels: an empty one stays as it is, and does not get the content and the owner of the image's folder. */
  keepsOwner?: boolean;
}

export interface HealthCheck {
  /** Program and arguments, run inside the container. Must hold no secret. */
  command: readonly string[];
  intervalMs: number;
  timeoutMs: number;
  /** Failures within this time after the start do not count. */
  startMs: number;
  /** Failures in a row after which it counts as unhealthy. */
  retries: number;
}

export interface LogLimits {
  maxSizeMb: number;
  maxFiles: number;
}

/** What `docker create` is told, in words of the command line. Always hardened: see createContainer. */
export interface CreateOptions {
  name: string;
  image: string;
  /** The image's own when not given. */
  entrypoint?: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  workdir?: string;
  /** `UID:GID`, in numbers, so that no account has to exist. */
  user: string;
  /** `host`, `none`, or the name of a network. */
  network: string;
  /** Names that other containers of the same network find it by. */
  aliases?: readonly string[];
  publish: readonly PublishedPort[];
  mounts: readonly ContainerMount[];
  /** Paths that may be written and are lost with the container. */
  tmpfs: readonly string[];
  restart: 'no' | 'unless-stopped';
  memoryBytes?: number;
  cpus?: number;
  /** Open files: soft and hard limit. */
  nofile: number;
  health?: HealthCheck;
  log: LogLimits;
  labels: Readonly<Record<string, string>>;
  /** How long `docker stop` waits before it kills, whole seconds. */
  stopTimeoutS: number;
  /** `never`: an image that is not there is a mistake to be told, not a download in passing. */
  pull: 'never' | 'missing';
}

/** What a temporary file system inside a container may hold, mebibytes. */
const TMPFS_MB = 64;

/**
 * `docker create`: the root file system read-only, no capabilities, no way to gain privileges, no swap beyond the
 * memory limit, logs that stay within their limit.
 */
export function createContainer(options: CreateOptions): DockerCommand {
  const { memoryBytes, cpus, health } = options;
  return changes([
    ...['create', '--name', options.name, '--pull', options.pull],
    ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', options.user],
    ...['--restart', options.restart, '--stop-timeout', String(options.stopTimeoutS)],
    ...['--network', options.network, ...(options.aliases ?? []).flatMap((alias) => ['--network-alias', alias])],
    ...options.publish.flatMap((port) => ['--publish', publishValue(port)]),
    ...options.mounts.flatMap(mountArguments),
    ...options.tmpfs.flatMap((target) => ['--tmpfs', `${target}:rw,noexec,nosuid,nodev,size=${TMPFS_MB}m`]),
    ...(memoryBytes === undefined ? [] : ['--memory', String(memoryBytes), '--memory-swap', String(memoryBytes)]),
    ...(cpus === undefined ? [] : ['--cpus', String(cpus)]),
    ...['--ulimit', `nofile=${options.nofile}:${options.nofile}`],
    ...(health === undefined ? ['--no-healthcheck'] : healthArguments(health)),
    ...['--log-driver', 'json-file', '--log-opt', `max-size=${options.log.maxSizeMb}m`],
    ...['--log-opt', `max-file=${options.log.maxFiles}`],
    ...labelArguments(options.labels),
    ...Object.entries(options.env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...(options.workdir === undefined ? [] : ['--workdir', options.workdir]),
    ...(options.entrypoint === undefined ? [] : ['--entrypoint', options.entrypoint]),
    ...[options.image, ...options.args],
  ]);
}

export function startContainer(name: string): DockerCommand {
  return changes(['start', name]);
}

/** `docker stop`: asks it to end, and kills it after the grace. @param graceS whole seconds */
export function stopContainer(name: string, graceS: number): DockerCommand {
  return changes(['stop', '-t', String(graceS), name], CHANGE_TIMEOUT_MS + graceS * 1000);
}

export function killContainer(name: string, signal: string): DockerCommand {
  return changes(['kill', '--signal', signal, name]);
}

/** Removes a container, running or not. Named volumes stay. */
export function removeContainer(name: string): DockerCommand {
  return changes(['rm', '--force', name]);
}

export function renameContainer(from: string, to: string): DockerCommand {
  return changes(['rename', from, to]);
}

/** `docker update`: what the engine does when the container ends by itself. */
export function setRestart(name: string, restart: CreateOptions['restart']): DockerCommand {
  return changes(['update', '--restart', restart, name]);
}

/** A JSON list; fails with `No such container` when one of them is not there. */
export function inspectContainer(...names: string[]): DockerCommand {
  return reads(['container', 'inspect', ...names]);
}

/** Numbers of all containers, running or not, one a line. @param filters such as `label=…`, `publish=6379` */
export function listContainers(...filters: string[]): DockerCommand {
  const chosen = filters.flatMap((filter) => ['--filter', filter]);
  return reads(['ps', '--all', '--no-trunc', ...chosen, '--format', '{{.ID}}']);
}

/** Names of all containers, running or not, one a line. @param filters such as `publish=6379` */
export function listContainerNames(...filters: string[]): DockerCommand {
  return reads(['ps', '--all', ...filters.flatMap((filter) => ['--filter', filter]), '--format', '{{.Names}}']);
}

/**
 * A container that is never started: through it, files get into mounts with the owners of an archive, the mounts' own
 * folders included.
 */
export function fillerContainer(
  options: Pick<CreateOptions, 'name' | 'image' | 'mounts' | 'labels' | 'pull'>,
): DockerCommand {
  return changes([
    ...['create', '--name', options.name, '--pull', options.pull, '--network', 'none', '--no-healthcheck'],
    ...options.mounts.flatMap(mountArguments),
    ...labelArguments(options.labels),
    ...['--entrypoint', '/never-started', options.image],
  ]);
}

/** All containers, running or not, one a line: number, name, image and the value of a label, divided by tabs. */
export function listAllContainers(label: string): DockerCommand {
  const format = ['{{.ID}}', '{{.Names}}', '{{.Image}}', `{{.Label "${label}"}}`].join('\t');
  return reads(['ps', '--all', '--no-trunc', '--format', format]);
}

/** What the processes of a container are on its host: number, parent, resident kibibytes, program. */
export function topContainer(name: string): DockerCommand {
  return reads(['top', name, '-eo', 'pid,ppid,rss,comm']);
}

/** Every line with its time, on the stream that it was written to. @param lines at most so many, from the end */
export function containerLogs(name: string, lines: number, options: { follow?: boolean; since?: string } = {}) {
  const { follow = false, since } = options;
  const words = ['logs', '--timestamps', '--tail', String(lines), ...(since === undefined ? [] : ['--since', since])];
  return reads([...words, ...(follow ? ['--follow'] : []), name]);
}

/** Runs a program inside a running container. The arguments must hold no secret. */
export function execInContainer(name: string, words: readonly string[], timeoutMs = READ_TIMEOUT_MS): DockerCommand {
  return changes(['exec', name, ...words], timeoutMs);
}

function publishValue({ hostIp, hostPort, containerPort }: PublishedPort): string {
  const ip = hostIp === undefined ? '' : `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:`;
  return `${ip}${hostPort}:${containerPort}`;
}

function mountArguments(mount: ContainerMount): string[] {
  if (!('volume' in mount) || mount.labels === undefined) return ['--volume', mountValue(mount)];
  const { volume, target, readOnly, labels, keepsOwner } = mount;
  const labelled = labelArguments(labels).filter((word) => word !== '--label');
  const fields = [
    ...['type=volume', `source=${volume}`, `target=${target}`, ...(readOnly === true ? ['readonly'] : [])],
    ...(keepsOwner === true ? ['volume-nocopy'] : []),
    ...labelled.map((label) => `volume-label=${label}`),
  ];
  return ['--mount', fields.map(csvField).join(',')];
}

/** A field of a line of CSV, as `--mount` reads it (RFC 4180). */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function mountValue(mount: ContainerMount): string {
  const source = 'volume' in mount ? mount.volume : mount.directory;
  const words = [
    ...(mount.readOnly === true ? ['ro'] : []),
    ...(mount.propagation === undefined ? [] : [mount.propagation]),
  ].join(',');
  return `${source}:${mount.target}${words === '' ? '' : `:${words}`}`;
}

function healthArguments({ command, intervalMs, timeoutMs, startMs, retries }: HealthCheck): string[] {
  // The command line takes no list: what it takes is given to the container's shell.
  const line = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return [
    ...['--health-cmd', line, '--health-interval', `${intervalMs}ms`, '--health-timeout', `${timeoutMs}ms`],
    ...['--health-start-period', `${startMs}ms`, '--health-retries', String(retries)],
  ];
}

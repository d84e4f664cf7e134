/** A container as it is to be, whatever runs in it. Pure. */
import type { ArchiveEntry } from '../docker/archive.js';
import { archiveInput } from '../docker/archive.js';
import type { DockerCommand } from '../docker/command.js';
import {
  type ContainerMount,
  type CreateOptions,
  createContainer,
  fillerContainer,
  removeContainer,
} from '../docker/commands/container.js';
import { copyInto } from '../docker/commands/copy.js';
import { createNetwork } from '../docker/commands/network.js';
import { createMemoryVolume } from '../docker/commands/volume.js';
import { LABELS } from '../docker/labels.js';

/** What a container of ours does. */
export type ContainerRole =
  | 'redis'
  | 'proxy'
  | 'redis-exporter'
  | 'node-exporter'
  | 'prometheus'
  | 'alertmanager'
  | 'grafana';

export interface DesiredContainer {
  readonly cluster: string;
  /** A name of `DeploySettings.hosts`. */
  readonly host: string;
  readonly role: ContainerRole;
  /** `redis-6379`: unique on its host among those of the cluster. */
  readonly instance: string;
  /** As `docker create` is told. Labels and the volume of the files are added here; they are not part of it. */
  readonly options: CreateOptions;
  /** Made when it is not there. */
  readonly network?: { readonly name: string; readonly subnet?: string };
  /** Volumes that outlive the container, and folders of theirs that the container's user must own. */
  readonly data: readonly { readonly volume?: string; readonly target: string }[];
  /** Its configuration: paths below `filesTarget`. Empty: it reads none, and nothing is ever copied into it or out of it. */
  readonly files: readonly ArchiveEntry[];
  readonly filesTarget: string;
  /**
   * Where a container and the one that is to replace it meet, when the new one takes over while the old one serves: a
   * volume in memory that both have. It is among the mounts.
   */
  readonly meeting?: { readonly volume: string };
  /** Asks, inside the container, whether it serves. */
  readonly probe: readonly string[];
  /**
   * How its program is started with its files while it can be reached by nobody: what proves them before the container
   * that serves is stopped. Its folders are its own to write to, and are gone with it. Undefined: the start itself proves
   * them.
   */
  readonly trial?: { readonly args: readonly string[]; readonly folders: readonly string[] };
  /**
   * The fewest open files that do, where the number in `options` is nobody's wish: an engine that cannot give so many is
   * taken as it is.
   */
  readonly nofileLeast?: number;
}

/** Labels besides those of `docker/labels.ts`. */
export const DEPLOY_LABELS = {
  /** What `docker create` was told, so that a later run can say what is different. Holds no secret. */
  wanted: 'io.redisforge.wanted',
  /** Counts the containers that an instance has had. */
  revision: 'io.redisforge.revision',
} as const;

/** The user that everything of ours runs as inside a container: no account of any image. */
export const CONTAINER_USER = { uid: 10_001, gid: 10_001 } as const;

/** Sockets and a pid file, for the containers' own user alone. */
const MEETING_FOLDER = { ...CONTAINER_USER, mode: 0o700, sizeMb: 1 } as const;

/** Names an instance had its container's predecessor by, while the new one is tried. */
export function previousName(name: string): string {
  return `${name}-previous`;
}

/** The name of a container that is being made while the one before it still runs. */
export function nextName(name: string): string {
  return `${name}-next`;
}

/** The name of a container that only tries the files of the next one. */
export function trialName(name: string): string {
  return `${name}-trial`;
}

/** What a program writes while it only starts, mebibytes. */
const TRIAL_MB = 16;
/** The role by which such a container is known. */
export const TRIAL_ROLE = 'trial';

/** All names that an instance may have containers by. */
export function namesOf(name: string): string[] {
  return [name, previousName(name), nextName(name), trialName(name)];
}

/** The volume of the files of one revision: so the container before it still has its own. */
export function filesVolume(name: string, revision: number): string {
  return `${name}-config-${revision}`;
}

/** What is compared with what a running container was made from: the options in an order of their own. */
export function wantedOf({ options, filesTarget }: DesiredContainer): string {
  const { name: _name, labels: _labels, pull: _pull, ...rest } = options;
  return JSON.stringify(ordered({ ...rest, filesTarget }));
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, each]) => [name, ordered(each)]));
}

export function labelsOf(desired: DesiredContainer, revision: number): Record<string, string> {
  return {
    ...desired.options.labels,
    [LABELS.cluster]: desired.cluster,
    [LABELS.role]: desired.role,
    [LABELS.instance]: desired.instance,
    [DEPLOY_LABELS.wanted]: wantedOf(desired),
    [DEPLOY_LABELS.revision]: String(revision),
  };
}

export interface CreateChoice {
  readonly revision: number;
  /** The network is not there yet. */
  readonly makeNetwork: boolean;
  /** Another name than its own, for the time being. */
  readonly name?: string;
  /** Open files that the engine gives, where it gives fewer than are wanted. */
  readonly nofile?: number;
  /** Another policy, for the time being. */
  readonly restart?: CreateOptions['restart'];
  /** Targets of data whose new volumes have the right owner from the image. */
  readonly owned?: ReadonlySet<string>;
}

/**
 * All that makes the container, but not its start. The same commands for the same input, so that what a dry run shows is
 * what is run.
 */
export function createCommands(
  desired: DesiredContainer,
  {
    revision,
    makeNetwork,
    name = desired.options.name,
    nofile = desired.options.nofile,
    restart = desired.options.restart,
    owned = new Set(),
  }: CreateChoice,
): DockerCommand[] {
  const { options, network, data, files, filesTarget, meeting } = desired;
  const own = { [LABELS.cluster]: desired.cluster, [LABELS.instance]: desired.instance };
  const volume = filesVolume(options.name, revision);
  const reads = files.length > 0;
  const mounts = [
    ...options.mounts.map((mount) =>
      dataMount(mount, data, { labels: { ...own, [LABELS.content]: 'data' }, keepsOwner: !owned.has(mount.target) }),
    ),
    ...(reads ? [{ volume, target: filesTarget, labels: { ...own, [LABELS.content]: 'configuration' } }] : []),
  ];
  const rootOwned = data.filter(({ target }) => !owned.has(target));
  return [
    ...(network !== undefined && makeNetwork
      ? [createNetwork({ ...network, labels: { [LABELS.cluster]: desired.cluster } })]
      : []),
    ...(meeting === undefined
      ? []
      : [createMemoryVolume(meeting.volume, { ...own, [LABELS.content]: 'meeting' }, MEETING_FOLDER)]),
    ...(name === options.name ? ownData({ options: { ...options, mounts }, data: rootOwned }, own) : []),
    createContainer({ ...options, name, mounts, nofile, restart, labels: labelsOf(desired, revision) }),
    ...(reads ? [filesCommand(name, filesTarget, files)] : []),
  ];
}

/**
 * Starts the program with the files of a revision, which are there already: without a network, and without its data.
 * Undefined where the role has no trial.
 */
export function trialCommand(
  desired: DesiredContainer,
  { revision, nofile = desired.options.nofile }: Pick<CreateChoice, 'revision' | 'nofile'>,
): DockerCommand | undefined {
  const { options, trial, filesTarget, cluster, instance } = desired;
  if (trial === undefined) return undefined;
  const { health: _health, aliases: _aliases, ...rest } = options;
  const { args, ...command } = createContainer({
    ...rest,
    name: trialName(options.name),
    args: trial.args,
    network: 'none',
    publish: [],
    mounts: [{ volume: filesVolume(options.name, revision), target: filesTarget, readOnly: true }],
    restart: 'no',
    nofile,
    labels: { [LABELS.cluster]: cluster, [LABELS.instance]: instance, [LABELS.role]: TRIAL_ROLE },
  });
  // A folder of the image keeps its rights, but not its owner, when it is mounted over.
  const { uid, gid } = CONTAINER_USER;
  const rights = `rw,noexec,nosuid,nodev,uid=${uid},gid=${gid},mode=700,size=${TRIAL_MB}m`;
  const folders = trial.folders.flatMap((folder) => ['--tmpfs', `${folder}:${rights}`]);
  // Made and started at once.
  return { ...command, args: ['run', '--detach', ...folders, ...args.slice(1)] };
}

/** Volumes are made together with the container that has them first: one command less for each. */
function dataMount(
  mount: ContainerMount,
  data: DesiredContainer['data'],
  more: { readonly labels: Readonly<Record<string, string>>; readonly keepsOwner: boolean },
): ContainerMount {
  const isData = 'volume' in mount && data.some(({ volume }) => volume === mount.volume);
  return isData ? { ...mount, ...more } : mount;
}

/**
 * A new volume, and a folder of the host, belong to root, unless the image has that folder with another owner. Their owner is changed from a container that is never started,
 * since only one whose root file system may be written takes a folder that is a mount itself. It has the name of one that
 * is being made: so a run that is ended in between is put right by the next.
 */
function ownData(
  { options, data }: Pick<DesiredContainer, 'options' | 'data'>,
  labels: Readonly<Record<string, string>>,
): DockerCommand[] {
  if (data.length === 0) return [];
  const name = nextName(options.name);
  const targets = new Set(data.map(({ target }) => target));
  const mounts = options.mounts.filter(({ target }) => targets.has(target));
  const folders = [...targets].map(
    (target): ArchiveEntry => ({ path: target.replace(/^\//, ''), mode: 0o700, ...CONTAINER_USER }),
  );
  return [
    fillerContainer({ name, image: options.image, mounts, labels, pull: options.pull }),
    copyInto(name, '/', archiveInput(folders, STABLE_TIME)),
    removeContainer(name),
  ];
}

/**
 * The mode of a file that is there while the server is still being told of it. A run that is ended in between leaves it,
 * and so the next one knows that the server may not have taken it.
 */
export const UNTOLD_MODE = 0o440;

/** The same files, marked as not yet told. */
export function untold(files: readonly ArchiveEntry[]): ArchiveEntry[] {
  return files.map((file) => (file.content === undefined ? file : { ...file, mode: UNTOLD_MODE }));
}

export function filesCommand(name: string, target: string, files: readonly ArchiveEntry[]): DockerCommand {
  return copyInto(name, target, archiveInput(files, STABLE_TIME));
}

/** The same archive for the same files, whenever it is made. */
const STABLE_TIME = new Date(0);

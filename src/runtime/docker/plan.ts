/** What an instance becomes on a Docker engine: its container, its volumes, the archive of its files. Pure. */
import path from 'node:path';
import type { ArchiveEntry } from '../../docker/archive.js';
import type { ContainerMount, CreateOptions } from '../../docker/commands/container.js';
import { LABELS } from '../../docker/labels.js';
import { ForgeError } from '../../errors.js';
import type { ContainerSettings, InstanceFile, InstanceRef, InstanceSpec } from '../runtime.js';

/** How an engine takes the name of a container; one letter is too short for it. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/;
const USER = /^(\d+):(\d+)$/;
const STOP_TIMEOUT_S = 30;
/** The folders of an instance hold keys and passwords. */
const FOLDER_MODE = 0o700;

/** Says in the container's labels who restarts it after a crash. */
export const SUPERVISOR_LABEL = 'io.redisforge.supervisor';

/** Containers that exist only while an instance is started: the next one, and one through which volumes are filled. */
export function scratchNames(name: string): { next: string; files: string } {
  return { next: `${name}-next`, files: `${name}-files` };
}

/** The volume that is the instance's `directory`. */
export function configurationVolume(name: string): string {
  return `${name}-config`;
}

export function recordPath(ref: InstanceRef): string {
  return `${ref.directory}/${ref.name}.run`;
}

export interface ContainerPlan {
  settings: ContainerSettings;
  owner: Owner;
  /** Of the container itself: named as the instance. */
  create: CreateOptions;
  /** The volumes that it has; their labels are with its mounts. */
  volumes: string[];
  /** Its network's labels, for when it has to be made. */
  networkLabels: Record<string, string>;
}

export interface Owner {
  uid: number;
  gid: number;
}

/** @throws ForgeError `configuration` when the spec cannot be a container */
export function planContainer(spec: InstanceSpec): ContainerPlan {
  const { container: settings, name, directory } = spec;
  const wrong = (why: string) => new ForgeError('configuration', `${name} cannot be a container: ${why}.`);
  if (settings === undefined) throw wrong('nothing says which image, network and limits it has');
  if (!NAME.test(name)) throw wrong('its name needs two or more letters, digits, dots, dashes');
  if (!path.posix.isAbsolute(directory) || path.posix.normalize(directory) !== directory || directory === '/') {
    throw wrong(`${directory} is no absolute path of a folder`);
  }
  const owner = parseOwner(settings.user);
  if (owner === undefined) throw wrong(`its user "${settings.user}" is not UID:GID in numbers`);
  if (owner.uid === 0) throw wrong('it would run as root');
  const cluster = settings.labels[LABELS.cluster];
  const own = { ...(cluster === undefined ? {} : { [LABELS.cluster]: cluster }), [LABELS.instance]: name };
  const places: ContainerMount[] = [{ volume: configurationVolume(name), target: directory }, ...settings.mounts];
  const mounts = places.map((mount, index): ContainerMount => {
    if (!('volume' in mount)) return mount;
    const labels = { ...own, [LABELS.content]: index === 0 ? 'configuration' : 'data' };
    return { ...mount, labels, keepsOwner: true };
  });
  for (const file of spec.files) {
    if (findMount(mounts, file.path) === undefined) {
      throw wrong(`${file.path} is neither in ${directory} nor in a mount that may be written`);
    }
  }
  const supervisor = settings.supervisor ?? 'instance';
  return {
    settings,
    owner,
    create: {
      name,
      ...pick(settings),
      ...(supervisor === 'instance' ? supervised(spec) : { entrypoint: spec.program, args: spec.args }),
      env: spec.env,
      workdir: directory,
      mounts,
      restart: 'unless-stopped',
      stopTimeoutS: settings.stopTimeoutS ?? STOP_TIMEOUT_S,
      labels: { ...settings.labels, [LABELS.instance]: name, [SUPERVISOR_LABEL]: supervisor },
      pull: settings.pull ?? 'never',
    },
    volumes: mounts.flatMap((mount) => ('volume' in mount ? [mount.volume] : [])),
    networkLabels: cluster === undefined ? { [LABELS.instance]: name } : { [LABELS.cluster]: cluster },
  };
}

/**
 * Everything that has to be in the volumes before the first start, by paths below `/`: the folders that the instance's
 * user owns, its files, and its supervisor with an empty record.
 */
export function initialEntries(spec: InstanceSpec, plan: ContainerPlan, supervisorScript: string): ArchiveEntry[] {
  const targets = plan.create.mounts.filter(({ readOnly }) => readOnly !== true).map(({ target }) => target);
  const folders = targets.map((target) => ({ path: below(target), mode: FOLDER_MODE, ...plan.owner }));
  const supervision: InstanceFile[] =
    plan.create.labels[SUPERVISOR_LABEL] === 'engine'
      ? []
      : [
          { path: supervisorPath(spec), content: supervisorScript, mode: 0o500 },
          { path: recordPath(spec), content: '', mode: 0o600 },
        ];
  return [...folders, ...fileEntries([...supervision, ...spec.files], '/', targets, plan.owner)];
}

/** The files by the mounts that they are in, each group with paths below its mount. @throws ForgeError `configuration` */
export function groupByMount(
  files: readonly InstanceFile[],
  targets: readonly string[],
  owner: Owner,
): { target: string; entries: ArchiveEntry[] }[] {
  const groups = new Map<string, InstanceFile[]>();
  for (const file of files) {
    const target = findTarget(targets, file.path);
    if (target === undefined) {
      throw new ForgeError('configuration', `${file.path} is in no mount of the container that may be written.`);
    }
    groups.set(target, [...(groups.get(target) ?? []), file]);
  }
  return [...groups].map(([target, some]) => ({ target, entries: fileEntries(some, target, targets, owner) }));
}

export function parseOwner(user: string): Owner | undefined {
  const match = USER.exec(user);
  return match === null ? undefined : { uid: Number(match[1]), gid: Number(match[2]) };
}

/** The files with the folders between their mount and them, each folder once. */
function fileEntries(
  files: readonly InstanceFile[],
  base: string,
  targets: readonly string[],
  owner: Owner,
): ArchiveEntry[] {
  const folders = new Set<string>();
  const entries: ArchiveEntry[] = [];
  for (const file of files) {
    const target = findTarget(targets, file.path) ?? base;
    const parts = path.posix
      .relative(target, path.posix.dirname(file.path))
      .split('/')
      .filter((part) => part !== '');
    for (let depth = 1; depth <= parts.length; depth++) {
      const folder = path.posix.join(target, ...parts.slice(0, depth));
      if (folders.has(folder)) continue;
      folders.add(folder);
      entries.push({ path: path.posix.relative(base, folder), mode: FOLDER_MODE, ...owner });
    }
    entries.push({ path: path.posix.relative(base, file.path), content: file.content, mode: file.mode, ...owner });
  }
  return entries;
}

function findMount(mounts: readonly ContainerMount[], file: string): string | undefined {
  const writable = mounts.filter(({ readOnly }) => readOnly !== true).map(({ target }) => target);
  return findTarget(writable, file);
}

/** The innermost of the targets that the file is below; undefined for a path that is not in its plain form. */
function findTarget(targets: readonly string[], file: string): string | undefined {
  if (path.posix.normalize(file) !== file) return undefined;
  return targets.filter((target) => file.startsWith(`${target}/`)).sort((a, b) => b.length - a.length)[0];
}

function below(absolute: string): string {
  return path.posix.relative('/', absolute);
}

function supervisorPath(ref: InstanceRef): string {
  return `${ref.directory}/supervise.sh`;
}

function supervised(spec: InstanceSpec): Pick<CreateOptions, 'entrypoint' | 'args'> {
  const { delayS, delayMaxS, budget, windowS } = spec.restart;
  const limits = [delayS, delayMaxS, budget, windowS].map(String);
  return {
    entrypoint: '/bin/sh',
    args: [supervisorPath(spec), '--stay', recordPath(spec), ...limits, spec.program, ...spec.args],
  };
}

function pick(settings: ContainerSettings) {
  const { image, user, network, aliases, publish, tmpfs, memoryBytes, cpus, nofile, health, log } = settings;
  return { image, user, network, aliases, publish, tmpfs, memoryBytes, cpus, nofile, health, log };
}

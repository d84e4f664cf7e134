/** What is on a Docker host: containers, files and networks of a cluster, and who else has a name that is wanted. */
import { unpackArchive } from '../docker/archive.js';
import { inspectContainer, listAllContainers } from '../docker/commands/container.js';
import { copyFrom } from '../docker/commands/copy.js';
import { inspectImage } from '../docker/commands/image.js';
import { inspectNetwork } from '../docker/commands/network.js';
import { listAllVolumes } from '../docker/commands/volume.js';
import type { DockerEngine } from '../docker/engine.js';
import { type DockerReason, failureReason } from '../docker/failure.js';
import { type ContainerAnswer, containerAnswers, imageAnswers, networkAnswers } from '../docker/inspect.js';
import { LABELS } from '../docker/labels.js';
import { DEPLOY_LABELS, type DesiredContainer, namesOf } from './container.js';
import { HOLDER_LABEL, LOCK_ROLE, type LockHolder, parseHolder } from './deploy-lock.js';

export interface ObservedFile {
  readonly content: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface ObservedContainer {
  readonly name: string;
  readonly id: string;
  readonly instance: string;
  /** What it does, as its label says; empty when it has none. */
  readonly role: string;
  /** What it starts, as the engine knows it. */
  readonly program?: string;
  /** The image's name as it was asked for. */
  readonly image: string;
  /** When it was started last, as docker writes it. */
  readonly startedAt: string;
  /** How often docker itself has started it again. */
  readonly restarts: number;
  /** Its last end was for want of memory. */
  readonly outOfMemory: boolean;
  /** Undefined: no limit. */
  readonly memoryLimitBytes?: number;
  /** `host`, or the name of its network. */
  readonly network: string;
  /** Networks that it is connected to, each with its number; empty for one that it has never been in. */
  readonly networks?: ReadonlyMap<string, string>;
  /** Ports of the host that lead into it: `7001→7001`. */
  readonly published: readonly string[];
  /** Names of the volumes that it has. */
  readonly volumes: readonly string[];
  /** `running`, `exited`, `created`, … as docker has it. */
  readonly status: string;
  readonly health?: string;
  readonly exitCode: number;
  readonly revision: number;
  /** What it was made from; undefined when something else made it. */
  readonly wanted?: string;
  /** The image's id, not its name. */
  readonly imageId: string;
  /** Its files by their paths below `filesTarget`; undefined for those that were not asked for. */
  readonly files?: ReadonlyMap<string, ObservedFile>;
}

export interface ObservedHost {
  readonly containers: readonly ObservedContainer[];
  /** Names that are wanted, and that containers of somebody else have: with what they are. */
  readonly foreign: ReadonlyMap<string, string>;
  /** Of the images that are wanted: their ids; not in it when the host does not have one. */
  readonly images: ReadonlyMap<string, string>;
  /** Folders that the image says belong to the user of our containers, by the image's name. */
  readonly ownedFolders?: ReadonlyMap<string, ReadonlySet<string>>;
  /** Of the networks that are wanted: their numbers; not in it when the host does not have one. */
  readonly networks: ReadonlyMap<string, string>;
  /** Deployments that are at work, or were ended while they were: by the name of the container. */
  readonly locks: ReadonlyMap<string, LockHolder | undefined>;
  /** Volumes of the cluster, whoever has them. */
  readonly volumes: readonly ObservedVolume[];
  /** All that there are, whoever made them. */
  readonly volumeNames?: ReadonlySet<string>;
}

export interface ObservedVolume {
  readonly name: string;
  readonly instance: string;
  /** `data`, `configuration`, or empty when something else made it. */
  readonly content: string;
}

/** How many containers are asked for their files at once; an SSH server lets ten commands share a connection. */
const FILES_AT_ONCE = 6;

/**
 * Looks at one host. Changes nothing.
 * @throws ForgeError what the engine throws: no docker, no permission, no answer
 */
export async function observeHost(
  engine: DockerEngine,
  cluster: string,
  desired: readonly DesiredContainer[],
): Promise<ObservedHost> {
  // Each is a process of its own, over SSH with a way there and back: as much as can be is asked at once.
  const [listed, images, networks, volumes] = await Promise.all([
    engine.run(listAllContainers(LABELS.cluster)),
    Promise.all([...new Set(desired.map(({ options }) => options.image))].map((image) => lookAtImage(engine, image))),
    Promise.all([...networkNames(desired)].map((name) => networkId(engine, name))),
    engine.run(listAllVolumes(LABELS.cluster, LABELS.instance, LABELS.content)),
  ]);
  const all = lines(listed).map(readLine);
  const mine = all.filter(({ label }) => label === cluster);
  const wanted = new Set(desired.flatMap(({ options }) => namesOf(options.name)));
  const foreign = all.flatMap(({ name, image, label }) =>
    wanted.has(name) && label !== cluster ? [[name, image] as const] : [],
  );
  const ids = mine.map(({ id }) => id);
  const [ours, files] = await Promise.all([inspectThose(engine, ids), filesOf(engine, mine, desired)]);
  const found = images.flatMap((each) => (each === undefined ? [] : [each]));
  const everyVolume = lines(volumes).map(readVolume);
  const isLock = ({ Config }: ContainerAnswer) => Config.Labels[LABELS.role] === LOCK_ROLE;
  const containers = ours
    .filter((each) => !isLock(each))
    .map(observedOf)
    .map((each): ObservedContainer => {
      const its = files.get(each.id);
      return its === undefined ? each : { ...each, files: its };
    });
  return {
    containers,
    foreign: new Map(foreign),
    images: new Map(found.map(({ image, id }) => [image, id])),
    ownedFolders: new Map(found.map(({ image, owned }) => [image, owned])),
    networks: new Map(networks.flatMap((each) => (each === undefined ? [] : [each]))),
    locks: new Map(
      ours.filter(isLock).map((each) => [nameOf(each), parseHolder(each.Config.Labels[HOLDER_LABEL])] as const),
    ),
    volumes: everyVolume.filter((volume) => volume.cluster === cluster),
    volumeNames: new Set(everyVolume.map(({ name }) => name)),
  };
}

/** Those that are still there: another deployment of the cluster may remove some at this moment. */
async function inspectThose(engine: DockerEngine, ids: readonly string[]): Promise<readonly ContainerAnswer[]> {
  if (ids.length === 0) return [];
  const all = await orMissing(engine.json(inspectContainer(...ids), containerAnswers));
  if (all !== undefined) return all;
  const each = ids.map((id) => orMissing(engine.json(inspectContainer(id), containerAnswers)));
  return (await Promise.all(each)).flatMap((found) => found ?? []);
}

export function observedOf(answer: ContainerAnswer): ObservedContainer {
  const { Labels } = answer.Config;
  const wanted = Labels[DEPLOY_LABELS.wanted];
  const health = answer.State.Health?.Status;
  return {
    name: nameOf(answer),
    id: answer.Id,
    instance: Labels[LABELS.instance] ?? '',
    role: Labels[LABELS.role] ?? '',
    ...(answer.Path === undefined ? {} : { program: answer.Path }),
    image: answer.Config.Image,
    startedAt: answer.State.StartedAt,
    restarts: answer.RestartCount,
    outOfMemory: answer.State.OOMKilled,
    ...(answer.HostConfig.Memory > 0 ? { memoryLimitBytes: answer.HostConfig.Memory } : {}),
    network: answer.HostConfig.NetworkMode,
    networks: new Map(
      Object.entries(answer.NetworkSettings.Networks).map(([name, { NetworkID }]) => [name, NetworkID ?? '']),
    ),
    published: publishedPorts(answer),
    volumes: answer.Mounts.flatMap(({ Name: volume }) => (volume === undefined ? [] : [volume])),
    status: answer.State.Status,
    ...(health === undefined ? {} : { health }),
    exitCode: answer.State.ExitCode,
    revision: Number.parseInt(Labels[DEPLOY_LABELS.revision] ?? '', 10) || 0,
    ...(wanted === undefined ? {} : { wanted }),
    imageId: answer.Image,
  };
}

function publishedPorts({ HostConfig: { PortBindings } }: ContainerAnswer): string[] {
  return Object.entries(PortBindings).flatMap(([inside, bindings]) =>
    (bindings ?? []).map(({ HostPort }) => `${HostPort ?? '?'}→${inside.replace(/\/tcp$/, '')}`),
  );
}

/** The files of those that read any, by the number of the container. */
async function filesOf(
  engine: DockerEngine,
  containers: readonly { readonly id: string; readonly name: string }[],
  desired: readonly DesiredContainer[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, ObservedFile>>> {
  const targets = new Map(
    desired.flatMap(({ options, filesTarget, files }) =>
      files.length === 0 ? [] : [[options.name, filesTarget] as const],
    ),
  );
  const left = containers.flatMap(({ id, name }) => {
    const target = targets.get(name);
    return target === undefined ? [] : [{ id, target }];
  });
  const found = new Map<string, ReadonlyMap<string, ObservedFile>>();
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      found.set(next.id, await readFiles(engine, next.id, next.target));
    }
  };
  await Promise.all(Array.from({ length: Math.min(FILES_AT_ONCE, left.length) }, lane));
  return found;
}

async function readFiles(
  engine: DockerEngine,
  container: string,
  target: string,
): Promise<ReadonlyMap<string, ObservedFile>> {
  const archive = await orMissing(engine.execute(copyFrom(container, target)));
  // A container that is on its way out, or was made and never filled: that is a difference, not a failure.
  if (archive === undefined) return new Map();
  const files = await unpackArchive(archive.stdout);
  // The first part is the name of the folder itself.
  return new Map(
    files.map(({ path, content, mode, uid, gid }) => [path.slice(path.indexOf('/') + 1), { content, mode, uid, gid }]),
  );
}

interface SeenImage {
  readonly image: string;
  readonly id: string;
  readonly owned: ReadonlySet<string>;
}

async function lookAtImage(engine: DockerEngine, image: string): Promise<SeenImage | undefined> {
  const [answer] = (await orMissing(engine.json(inspectImage(image), imageAnswers))) ?? [];
  if (answer === undefined) return undefined;
  const folders = answer.Config?.Labels?.[LABELS.owned]?.split(' ') ?? [];
  return { image, id: answer.Id, owned: new Set(folders) };
}

async function networkId(engine: DockerEngine, name: string): Promise<readonly [string, string] | undefined> {
  const [answer] = (await orMissing(engine.json(inspectNetwork(name), networkAnswers))) ?? [];
  return answer === undefined ? undefined : [name, answer.Id];
}

const NOT_THERE: readonly unknown[] = ['no-container', 'no-image', 'no-network'] satisfies DockerReason[];

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  return await answer.catch((error: unknown) => {
    if (NOT_THERE.includes(failureReason(error))) return undefined;
    throw error;
  });
}

function networkNames(desired: readonly DesiredContainer[]): Set<string> {
  return new Set(desired.flatMap(({ network }) => (network === undefined ? [] : [network.name])));
}

const nameOf = ({ Name }: ContainerAnswer) => Name.replace(/^\//, '');

const lines = (text: string) => text.split('\n').filter((line) => line !== '');

function readLine(line: string): { id: string; name: string; image: string; label: string } {
  const [id = '', name = '', image = '', label = ''] = line.split('\t');
  return { id, name, image, label };
}

function readVolume(line: string): ObservedVolume & { readonly cluster: string } {
  const [name = '', cluster = '', instance = '', content = ''] = line.split('\t');
  return { name, cluster, instance, content };
}

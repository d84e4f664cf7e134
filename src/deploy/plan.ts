/** What has to be done so that containers are as they are to be. Pure. */

import { type ContainerRole, type DesiredContainer, namesOf, UNTOLD_MODE, wantedOf } from './container.js';
import type { FileChange, FileEffect, LiveChange } from './effect.js';
import type { ObservedContainer, ObservedFile, ObservedHost } from './observed.js';
import { optionDifferences } from './reasons.js';

export type DeployActionKind =
  /** It is as it is to be. */
  | 'unchanged'
  /** There is none yet. */
  | 'create'
  /** It is right, and does not run. */
  | 'start'
  /** It takes what is different while it runs. */
  | 'live'
  /** A new container takes its place; its data stays. */
  | 'replace';

export interface DeployAction {
  readonly kind: DeployActionKind;
  readonly desired: DesiredContainer;
  readonly observed?: ObservedContainer;
  /** Of the container that is made; that of the present one otherwise. */
  readonly revision: number;
  /** Why, a line each. */
  readonly reasons: readonly string[];
  /** For `live`: told to the server after its files are there. */
  readonly live: readonly LiveChange[];
  /** For `create`: targets of data whose volumes are new, and get their owner from the image. */
  readonly owned?: ReadonlySet<string>;
}

/** Why nothing may be done on a host. */
export interface DeployObstacle {
  readonly host: string;
  readonly kind: 'name-taken' | 'no-image';
  readonly name: string;
  readonly message: string;
}

export interface DeployPlan {
  readonly actions: readonly DeployAction[];
  readonly obstacles: readonly DeployObstacle[];
}

export type EffectOf = (desired: DesiredContainer, changes: readonly FileChange[]) => FileEffect;

/**
 * @param hosts what was seen, by the host's name
 * @param effectOf how a role takes changes of its files
 * @param builds images that are made on the hosts before: they need not be there
 */
export function planDeploy(
  desired: readonly DesiredContainer[],
  hosts: ReadonlyMap<string, ObservedHost>,
  effectOf: EffectOf,
  builds: ReadonlySet<string> = new Set(),
): DeployPlan {
  const obstacles: DeployObstacle[] = [];
  const actions = desired.map((each): DeployAction => {
    const host = hosts.get(each.host);
    if (host === undefined) throw new Error(`deploy: the host ${each.host} was not looked at`);
    obstacles.push(...obstaclesOf(each, host, builds));
    return actionOf(each, host, effectOf);
  });
  return { actions, obstacles };
}

function obstaclesOf(desired: DesiredContainer, host: ObservedHost, builds: ReadonlySet<string>): DeployObstacle[] {
  const { name, image, pull } = desired.options;
  const found: DeployObstacle[] = [];
  for (const taken of namesOf(name)) {
    const by = host.foreign.get(taken);
    if (by === undefined) continue;
    const message = `A container of the name ${taken} is there already (${by}), and is not one of this cluster's.`;
    found.push({ host: desired.host, kind: 'name-taken', name: taken, message });
  }
  if (!host.images.has(image) && !builds.has(image) && pull === 'never') {
    const message = `The image ${image} is not there.`;
    found.push({ host: desired.host, kind: 'no-image', name: image, message });
  }
  return found;
}

function actionOf(desired: DesiredContainer, host: ObservedHost, effectOf: EffectOf): DeployAction {
  const { name } = desired.options;
  const observed = host.containers.find((each) => each.name === name);
  const revision = Math.max(0, ...host.containers.filter((each) => sameInstance(each, desired)).map(revisionOf));
  const common = {
    desired,
    ...(observed === undefined ? {} : { observed }),
    live: [],
  };
  if (observed === undefined) {
    return { kind: 'create', ...common, revision: revision + 1, reasons: [], owned: ownedByImage(desired, host) };
  }
  const anew = optionReasons(desired, observed, host);
  const changes = fileChanges(desired, observed.files ?? new Map());
  const owners = ownerChanges(desired, observed.files ?? new Map());
  const effect = changes.length === 0 ? undefined : effectOf(desired, changes);
  const needs = [...anew, ...(effect?.kind === 'replace' ? effect.reasons : [])];
  if (needs.length > 0) return { kind: 'replace', ...common, revision: revision + 1, reasons: needs };
  const files = [...changes.map(({ path }) => path), ...owners];
  const current = observed.revision;
  if (observed.status !== 'running') {
    return { kind: 'start', ...common, revision: current, reasons: [stateReason(observed), ...files] };
  }
  if (effect?.kind === 'live' || owners.length > 0) {
    const live = effect?.kind === 'live' ? effect.changes : [];
    const reasons = live.length > 0 ? live.map(({ shown }) => shown) : files;
    return { kind: 'live', ...common, revision: current, reasons, live };
  }
  return { kind: 'unchanged', ...common, revision: current, reasons: [] };
}

/** Why one that is right is to be started. */
export function stateReason({ status, exitCode }: Pick<ObservedContainer, 'status' | 'exitCode'>): string {
  return `it is ${status}${status === 'exited' ? ` (${exitCode})` : ''}`;
}

const sameInstance = (each: ObservedContainer, { instance }: DesiredContainer) => each.instance === instance;
const revisionOf = ({ revision }: ObservedContainer) => revision;

/** An empty volume takes the owner of the folder in the image that it is mounted over; one that has been there keeps its own. */
function ownedByImage({ data, options }: DesiredContainer, host: ObservedHost): Set<string> {
  const folders = host.ownedFolders?.get(options.image);
  const isNew = (volume: string | undefined) => volume !== undefined && host.volumeNames?.has(volume) === false;
  return new Set(
    data.flatMap(({ volume, target }) => (folders?.has(target) === true && isNew(volume) ? [target] : [])),
  );
}

/** What `docker create` would be told differently. */
function optionReasons(desired: DesiredContainer, observed: ObservedContainer, host: ObservedHost): string[] {
  if (observed.wanted === undefined) return ['it was made by something else'];
  const wanted = wantedOf(desired);
  if (wanted !== observed.wanted) return optionDifferences(observed.wanted, wanted);
  const imageId = host.images.get(desired.options.image);
  if (imageId !== undefined && imageId !== observed.imageId) return [`${desired.options.image} is a newer image`];
  return networkReasons(desired, observed, host);
}

/** Whether the container that is there was taken off its network, so that nobody reaches it. */
export function isCutOff({ desired, observed }: Pick<DeployAction, 'desired' | 'observed'>): boolean {
  const networks = observed?.networks;
  return desired.network !== undefined && networks !== undefined && !networks.has(desired.network.name);
}

/** A container keeps the number of its network: with another one of the same name it cannot be started. */
function networkReasons({ network }: DesiredContainer, { networks }: ObservedContainer, host: ObservedHost): string[] {
  if (network === undefined || networks === undefined) return [];
  const { name } = network;
  const there = host.networks.get(name);
  const its = networks.get(name);
  if (there === undefined) return [`its network ${name} is gone`];
  if (its === undefined) return [`it was taken off its network ${name}`];
  return its === '' || its === there ? [] : [`its network ${name} is gone, and another has the name`];
}

/** Files whose content is another, or of which the server may not know yet. @returns in the order of their paths */
export function fileChanges(
  { files }: Pick<DesiredContainer, 'files'>,
  observed: ReadonlyMap<string, ObservedFile>,
): FileChange[] {
  const wanted = new Map(
    files.flatMap(({ path, content }) => (content === undefined ? [] : [[path, textOf(content)] as const])),
  );
  const paths = [...new Set([...wanted.keys(), ...observed.keys()])].sort();
  return paths.flatMap((path): FileChange[] => {
    const file = observed.get(path);
    const before = file?.content.toString('utf8');
    const after = wanted.get(path);
    const again = file?.mode === UNTOLD_MODE;
    if (before === after && !again) return [];
    return [
      {
        path,
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
        ...(again ? { again } : {}),
      },
    ];
  });
}

/** Files of the right content that others could read, or that belong to somebody else. */
function ownerChanges({ files }: DesiredContainer, observed: ReadonlyMap<string, ObservedFile>): string[] {
  return files.flatMap(({ path, content, mode, uid, gid }) => {
    const file = observed.get(path);
    if (content === undefined || file === undefined) return [];
    return file.mode === mode && file.uid === uid && file.gid === gid ? [] : [`the owner of ${path}`];
  });
}

const textOf = (content: string | Uint8Array) =>
  typeof content === 'string' ? content : Buffer.from(content).toString('utf8');

/** Roles whose place is taken in an order, so that nobody who uses them notices. */
export const ROLLING_ROLES: ReadonlySet<ContainerRole> = new Set<ContainerRole>(['redis', 'proxy']);

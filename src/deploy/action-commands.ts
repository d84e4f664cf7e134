/** The docker commands that an action of a plan comes to. Pure. */
import { changes, type DockerCommand } from '../docker/command.js';
import {
  execInContainer,
  removeContainer,
  renameContainer,
  startContainer,
  stopContainer,
} from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import {
  type CreateChoice,
  createCommands,
  type DesiredContainer,
  filesCommand,
  filesVolume,
  nextName,
  previousName,
  trialCommand,
  trialName,
  UNTOLD_MODE,
  untold,
} from './container.js';
import type { LiveChange } from './effect.js';
import type { DeployAction } from './plan.js';
import { type RedisLogin, tellRedis } from './redis-cli.js';

/** A program that takes a change reads files. */
const LIVE_TIMEOUT_MS = 40_000;

export interface CommandChoice {
  /** For settings that are taken live; undefined for roles that need none. */
  readonly login?: RedisLogin;
  /** Whether the network of the container has to be made. */
  readonly makeNetwork: boolean;
  /** Open files that the engine gives, where it gives fewer than are wanted. */
  readonly nofile?: number;
}

/** Commands that an action comes to, as `--dry-run` shows them, in their order. */
export function commandsOf(action: DeployAction, choice: CommandChoice): DockerCommand[] {
  const { desired, observed } = action;
  const { name } = desired.options;
  const trial = trialCommand(desired, createChoice(action, choice));
  switch (action.kind) {
    case 'unchanged':
      return [];
    case 'create':
      return [...createCommands(desired, createChoice(action, choice)), startContainer(name)];
    case 'start':
      return [...changedFiles(action), startContainer(name), ...superfluousFiles(action)];
    case 'live':
      return liveSequence(action, choice.login);
    case 'replace':
      return [
        ...createCommands(desired, { ...createChoice(action, choice), name: nextName(name) }),
        ...(trial === undefined ? [] : [trial, removeContainer(trialName(name))]),
        stopContainer(name, desired.options.stopTimeoutS),
        renameContainer(name, previousName(name)),
        renameContainer(nextName(name), name),
        startContainer(name),
        removeContainer(previousName(name)),
        ...(observed === undefined || desired.files.length === 0
          ? []
          : [removeVolume(filesVolume(name, observed.revision))]),
      ];
  }
}

export function createChoice({ revision, owned }: DeployAction, { makeNetwork, nofile }: CommandChoice): CreateChoice {
  return {
    revision,
    makeNetwork,
    ...(nofile === undefined ? {} : { nofile }),
    ...(owned === undefined ? {} : { owned }),
  };
}

function liveSequence(action: DeployAction, login: RedisLogin | undefined): DockerCommand[] {
  const { name } = action.desired.options;
  const files =
    action.live.length === 0
      ? changedFiles(action)
      : [
          // Files that are told of are marked as long as they were not.
          untoldFiles(action),
          ...action.live.map((change) => liveCommand(name, change, login)),
          allFiles(action.desired),
        ];
  return [...files, ...superfluousFiles(action)];
}

/** All files, where one of them is missing or another; nothing otherwise. */
export function changedFiles({ desired, observed }: DeployAction): DockerCommand[] {
  const different = desired.files.some(({ path, content, mode, uid, gid }) => {
    if (content === undefined) return false;
    const file = observed?.files?.get(path);
    if (file === undefined || file.mode !== mode || file.uid !== uid || file.gid !== gid) return true;
    return !file.content.equals(Buffer.from(content));
  });
  return different ? [allFiles(desired)] : [];
}

/** Takes away what is there and no longer wanted: from a container that runs, as only there a program can do it. */
export function superfluousFiles({ desired, observed }: DeployAction): DockerCommand[] {
  const wanted = new Set(desired.files.map(({ path }) => path));
  const paths = [...(observed?.files?.keys() ?? [])]
    .filter((path) => !wanted.has(path))
    .map((path) => `${desired.filesTarget}/${path}`);
  if (paths.length === 0) return [];
  // As root, whose files they are; without any capability.
  return [changes(['exec', '--user', '0:0', desired.options.name, 'rm', '-f', '--', ...paths])];
}

export function allFiles({ options, filesTarget, files }: DesiredContainer): DockerCommand {
  return filesCommand(options.name, filesTarget, files);
}

export function untoldFiles({ desired, observed }: DeployAction): DockerCommand {
  const same = (path: string, content: string | Uint8Array) =>
    observed?.files?.get(path)?.content.equals(Buffer.from(content)) === true &&
    observed.files.get(path)?.mode !== UNTOLD_MODE;
  const changed = desired.files.filter(({ path, content }) => content === undefined || !same(path, content));
  return filesCommand(desired.options.name, desired.filesTarget, untold(changed));
}

export function liveCommand(
  name: string,
  { to, words, shown }: LiveChange,
  login: RedisLogin | undefined,
): DockerCommand {
  if (to === 'program') return execInContainer(name, words, LIVE_TIMEOUT_MS);
  if (login === undefined) throw new Error('deploy: no login for a live change');
  return tellRedis(name, login, [words], shown);
}

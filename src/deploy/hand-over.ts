/**
 * Replaces a container by one that takes over from it while it serves: both run side by side, and the old one is ended
 * when the new one has its listeners and its clients. Until then nothing of the old one is touched.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DockerCommand } from '../docker/command.js';
import {
  removeContainer,
  renameContainer,
  setRestart,
  startContainer,
  stopContainer,
} from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import type { DockerEngine } from '../docker/engine.js';
import { UPGRADE_MS } from '../proxy/config/control-path.js';
import { type CommandChoice, createChoice } from './action-commands.js';
import { type CarryOutOptions, runAll, undo, undone, withNext } from './carry-out.js';
import { createCommands, type DesiredContainer, filesVolume, nextName } from './container.js';
import type { DeployAction } from './plan.js';
import { lookAt, type Started, serving } from './serving.js';

/** Until the new one has taken over, milliseconds: it gives up by itself before. */
const TAKE_OVER_MS = UPGRADE_MS + 5_000;
/** Until the old one serves again when the new one has failed: at worst the engine starts it anew. */
const BACK_MS = 20_000;
const LOOK_MS = 150;

/** Whether the container of this action can be taken over from: it runs, and both have the same place to meet. */
export function handsOver({ kind, desired, observed }: Pick<DeployAction, 'kind' | 'desired' | 'observed'>): boolean {
  if (kind !== 'replace' || desired.meeting === undefined || observed?.status !== 'running') return false;
  return meetsAt(observed.wanted, desired.meeting.volume);
}

/** @param wanted what it was made from */
function meetsAt(wanted: string | undefined, volume: string): boolean {
  try {
    const { network, mounts } = JSON.parse(wanted ?? '') as { network?: unknown; mounts?: readonly unknown[] };
    return network === 'host' && (mounts ?? []).some((mount) => (mount as { volume?: unknown })?.volume === volume);
  } catch {
    return false;
  }
}

/** How clients fare when a container is replaced, in words for a plan; undefined where none is, or it has no clients. */
export function wordsForClients(action: DeployAction, wanted = true): string | undefined {
  const { kind, desired, observed } = action;
  if (kind !== 'replace' || observed?.status !== 'running') return undefined;
  if (handsOver(action) && wanted) return 'clients stay connected: the new one takes over from the old one';
  if (desired.meeting === undefined) {
    return `clients reconnect: ports of the network ${desired.options.network} end with their container`;
  }
  return wanted ? 'clients reconnect: the container there cannot hand over' : 'clients reconnect: --now';
}

/** The exact commands, in their order. */
export function handOverCommands(action: DeployAction, choice: CommandChoice): DockerCommand[] {
  return [
    ...beginCommands(action, choice),
    ...endCommands(action.desired, 'running'),
    ...oldFiles(action).map(removeVolume),
  ];
}

function beginCommands(action: DeployAction, choice: CommandChoice): DockerCommand[] {
  const { desired } = action;
  const name = nextName(desired.options.name);
  // One that dies while it takes over is not to try again behind our back.
  return [...createCommands(desired, { ...createChoice(action, choice), name, restart: 'no' }), startContainer(name)];
}

/**
 * What is left to do when the new one serves.
 * @param old the status of the one before; undefined: it is gone
 */
export function endCommands({ options }: Pick<DesiredContainer, 'options'>, old: string | undefined): DockerCommand[] {
  const { name, restart, stopTimeoutS } = options;
  return [
    setRestart(nextName(name), restart),
    ...(old === 'running' ? [stopContainer(name, stopTimeoutS)] : []),
    ...(old === undefined ? [] : [removeContainer(name)]),
    renameContainer(nextName(name), name),
  ];
}

function oldFiles({ desired, observed, revision }: DeployAction): string[] {
  if (observed === undefined || observed.revision === revision) return [];
  return [filesVolume(desired.options.name, observed.revision)];
}

/**
 * Carries it out.
 * @throws ForgeError what the engine throws; `unreachable`, `timeout` when the new one does not take over: the old one
 *   serves on then
 */
export async function handOver(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { desired, revision } = action;
  const { name } = desired.options;
  const next = nextName(name);
  const { undoEngine = engine, onCommand, serveMs = TAKE_OVER_MS } = options;
  try {
    await runAll(engine, beginCommands(action, options), options);
    await serving(engine, startedOf(desired, next), { ...options, serveMs });
  } catch (error) {
    const failure = await undone(undoEngine, [next], [filesVolume(name, revision)], error);
    throw withNext(failure, await servesOn(undoEngine, desired));
  }
  // The new one has the clients: there is no way back, not even after a signal.
  await runAll(undoEngine, endCommands(desired, 'running'), onCommand === undefined ? {} : { onCommand });
  await undo(undoEngine, oldFiles(action).map(removeVolume));
}

function startedOf({ role, host, probe }: DesiredContainer, name: string): Started {
  return { name, role, host, probe };
}

/** Waits for the old one, which notices by itself that the other is gone. @returns what has become of it, in words */
async function servesOn(engine: DockerEngine, desired: DesiredContainer): Promise<string> {
  const begun = performance.now();
  while (performance.now() - begun < BACK_MS) {
    if ((await lookAt(engine, startedOf(desired, desired.options.name))) === 'serving')
      return 'The container before it serves on.';
    await sleep(LOOK_MS);
  }
  const { name } = desired.options;
  await undo(engine, [stopContainer(name, 0), startContainer(name)]);
  return 'The container before it was started anew.';
}

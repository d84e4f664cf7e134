/**
 * Does what a plan says on one host. A container is only ever taken away when the one in its place serves; until then it
 * is kept, stopped, under another name, and comes back when the new one fails.
 */
import type { DockerCommand } from '../docker/command.js';
import { removeContainer, renameContainer, startContainer, stopContainer } from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { ForgeError } from '../errors.js';
import {
  allFiles,
  type CommandChoice,
  changedFiles,
  commandsOf,
  createChoice,
  liveCommand,
  superfluousFiles,
  untoldFiles,
} from './action-commands.js';
import { createCommands, filesCommand, filesVolume, nextName, previousName, untold } from './container.js';
import { notLetIn, refusedLogin } from './passwords.js';
import type { DeployAction } from './plan.js';
import { readTold } from './redis-cli.js';
import { healthyAgain, type Started, serving, stateOf } from './serving.js';
import { tryFiles } from './trial.js';

export interface CarryOutOptions extends CommandChoice {
  /** Told before each command that changes something. */
  readonly onCommand?: (command: DockerCommand) => void;
  readonly signal?: AbortSignal;
  /** Undoes what failed: without the signal, as after Ctrl-C the one before has to come back, too. */
  readonly undoEngine?: DockerEngine;
  /** Bounds for tests. */
  readonly serveMs?: number;
}

/**
 * Carries one action out and waits until the node serves.
 * @throws ForgeError what the engine throws; `unreachable` when it does not come up: then what was there before is
 *   there again, or `next` says that it is not
 */
export async function carryOut(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  switch (action.kind) {
    case 'unchanged':
      return;
    case 'create':
      return await create(engine, action, options);
    case 'start':
      await runAll(engine, [...changedFiles(action), startContainer(action.desired.options.name)], options);
      await serving(engine, startedOf(action), options);
      return await runAll(engine, superfluousFiles(action), options);
    case 'live':
      await takeLive(engine, action, options);
      return await runAll(engine, superfluousFiles(action), options);
    case 'replace':
      return await replace(engine, action, options);
  }
}

function startedOf({ desired: { options, role, host, probe } }: DeployAction): Started {
  return { name: options.name, role, host, probe };
}

async function create(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const {
    options: { name },
    meeting,
  } = action.desired;
  try {
    await runAll(engine, commandsOf(action, options), options);
    await serving(engine, startedOf(action), options);
  } catch (error) {
    // Its data, if there was any, stays; a container that does not come up would be in the way of the next run.
    const { undoEngine = engine } = options;
    const volumes = [filesVolume(name, action.revision), ...(meeting === undefined ? [] : [meeting.volume])];
    throw await undone(undoEngine, [name, nextName(name)], volumes, error);
  }
}

async function takeLive(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { desired, observed, live } = action;
  const { name } = desired.options;
  if (live.length === 0) return await runAll(engine, changedFiles(action), options);
  await runAll(engine, [untoldFiles(action)], options);
  for (const [index, change] of live.entries()) {
    const command = liveCommand(name, change, options.login);
    options.onCommand?.(command);
    const fault = await engine.run(command).then(
      (output) => (change.to === 'redis' ? readTold(output, 1) : undefined),
      (error: unknown) => (error instanceof ForgeError ? error.message : Promise.reject(error)),
    );
    if (fault === undefined) continue;
    const files = [...(observed?.files ?? [])].map(([path, file]) => ({ path, ...file }));
    // What was told already holds until the next deployment tells it what is in its files.
    const before = index === 0 ? files : untold(files);
    const back = before.length === 0 ? [] : [filesCommand(name, desired.filesTarget, before)];
    const failed = await undo(options.undoEngine ?? engine, back);
    if (refusedLogin(fault) !== undefined) {
      const notBack = `Its files could not be put back (${failed.join('; ')}): deploying again puts them right.`;
      throw notLetIn(action, fault, failed.length === 0 ? [] : [notBack]);
    }
    throw new ForgeError('refused', `${name} does not take ${change.shown}: ${fault}`, {
      host: desired.host,
      next:
        failed.length === 0
          ? 'Its files are as they were before. Correct the setting and deploy again.'
          : `Its files could not be put back (${failed.join('; ')}). Correct the setting and deploy again: that puts them right.`,
    });
  }
  await runAll(engine, [allFiles(desired)], options);
}

async function replace(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { desired, revision, observed } = action;
  const { name } = desired.options;
  const [previous, next] = [previousName(name), nextName(name)];
  const { undoEngine = engine } = options;
  try {
    await runAll(engine, createCommands(desired, { ...createChoice(action, options), name: next }), options);
    await tryFiles(engine, action, {
      ...options,
      undoEngine,
      run: async (through, command) => {
        options.onCommand?.(command);
        await through.run(command);
      },
    });
  } catch (error) {
    throw await undone(undoEngine, [next], [filesVolume(name, revision)], error);
  }
  try {
    await runAll(engine, [stopContainer(name, desired.options.stopTimeoutS), renameContainer(name, previous)], options);
    await runAll(engine, [renameContainer(next, name), startContainer(name)], options);
    await serving(engine, startedOf(action), options);
  } catch (error) {
    await backToPrevious(undoEngine, action);
    await undo(undoEngine, [removeVolume(filesVolume(name, revision))]);
    throw withNext(error, await whatIsBack(undoEngine, action));
  }
  await runAll(engine, [removeContainer(previous)], options);
  const old = observed === undefined || observed.revision === revision ? [] : [filesVolume(name, observed.revision)];
  await undo(undoEngine, old.map(removeVolume));
}

const ranBefore = ({ observed }: DeployAction) => observed?.status === 'running';

/** Whatever is there of the three names, the container before is the one that runs at the end. */
async function backToPrevious(engine: DockerEngine, action: DeployAction): Promise<void> {
  const { name, stopTimeoutS } = action.desired.options;
  const [previous, next] = [previousName(name), nextName(name)];
  // Where that cannot be asked, the others fail as well, and nothing is taken away.
  const there = await stateOf(engine, previous).catch(() => undefined);
  const commands =
    there === undefined
      ? [removeContainer(next)]
      : [
          stopContainer(name, stopTimeoutS),
          removeContainer(name),
          removeContainer(next),
          renameContainer(previous, name),
        ];
  await undo(engine, [...commands, ...(ranBefore(action) ? [startContainer(name)] : [])]);
}

/** What a look says after that, for people. */
async function whatIsBack(engine: DockerEngine, action: DeployAction): Promise<string> {
  const { observed, desired } = action;
  const { name } = desired.options;
  let state: Awaited<ReturnType<typeof stateOf>>;
  try {
    state = await stateOf(engine, name);
  } catch {
    return `Whether the container before it runs is not known. ${SAME_AGAIN}`;
  }
  const isIt = state !== undefined && state.id === observed?.id;
  if (isIt && !ranBefore(action)) return 'The container before it is back.';
  if (isIt && state?.status === 'running') {
    return (await healthyAgain(engine, name, state.healthCommand))
      ? 'The container before it serves again, as it was.'
      : 'The container before it runs again, as it was, and does not answer yet.';
  }
  const found =
    state === undefined ? 'there is none of this name' : isIt ? `it is ${state.status}` : 'the new one is there';
  return `The container before it does not run (${found}). ${SAME_AGAIN}`;
}

const SAME_AGAIN = 'The same command again puts that right first.';

/** Takes away what was made. @returns the error, which says what could not be taken away */
export async function undone(
  engine: DockerEngine,
  containers: readonly string[],
  volumes: readonly string[],
  error: unknown,
): Promise<unknown> {
  // Whoever took the name in between has a container that is not ours.
  const ours = failureReason(error) === 'name-taken' ? [] : containers.map(removeContainer);
  const failed = await undo(engine, [...ours, ...volumes.map(removeVolume)]);
  return failed.length === 0
    ? error
    : withNext(error, `Not all that was made could be taken away (${failed.join('; ')}). ${SAME_AGAIN}`);
}

export async function runAll(
  engine: DockerEngine,
  commands: readonly DockerCommand[],
  { onCommand, signal }: Pick<CarryOutOptions, 'onCommand' | 'signal'>,
): Promise<void> {
  for (const command of commands) {
    signal?.throwIfAborted();
    onCommand?.(command);
    await engine.run(command);
  }
}

const GONE: readonly unknown[] = ['no-container', 'no-volume'];

/**
 * Tries all of them: one that fails since there is nothing to undo must not keep the others.
 * @returns what failed otherwise, in words
 */
export async function undo(engine: DockerEngine, commands: readonly DockerCommand[]): Promise<string[]> {
  const failed: string[] = [];
  for (const command of commands) {
    await engine.run(command).catch((cause: unknown) => {
      if (!GONE.includes(failureReason(cause))) failed.push(cause instanceof Error ? cause.message : String(cause));
    });
  }
  return failed;
}

export function withNext(error: unknown, more: string): unknown {
  if (!(error instanceof ForgeError)) return error;
  return new ForgeError(error.kind, error.message, {
    ...(error.host === undefined ? {} : { host: error.host }),
    next: [...error.next, more],
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

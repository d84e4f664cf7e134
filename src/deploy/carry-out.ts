/**
 * Does what a plan says on one host. A container is only ever taken away when the one in its place serves; until then it
 * is kept, stopped, under another name, and comes back when the new one fails.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { changes, type DockerCommand } from '../docker/command.js';
import {
  containerLogs,
  execInContainer,
  inspectContainer,
  removeContainer,
  renameContainer,
  startContainer,
  stopContainer,
} from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import type { DockerEngine } from '../docker/engine.js';
import { containerAnswers } from '../docker/inspect.js';
import { ForgeError } from '../errors.js';
import {
  createCommands,
  type DesiredContainer,
  filesCommand,
  filesVolume,
  nextName,
  previousName,
  UNTOLD_MODE,
  untold,
} from './container.js';
import type { LiveChange } from './effect.js';
import type { DeployAction } from './plan.js';
import { type Ping, type RedisLogin, readPing, readTold, tellRedis } from './redis-cli.js';

/** Until a started node answers, milliseconds; loading its data comes on top. */
const SERVE_MS = 20_000;
/** Loading the append-only file: some 100 GB. */
const LOAD_MS = 15 * 60_000;
const LOOK_MS = 150;
/** A look is repeated; one that hangs must not use up the time of all. */
const PROBE_TIMEOUT_MS = 5_000;
/** A program that takes a change reads files. */
const LIVE_TIMEOUT_MS = 40_000;
const LOG_LINES = 5;

export interface CarryOutOptions {
  /** For settings that are taken live; undefined for roles that need none. */
  readonly login?: RedisLogin;
  /** Whether the network of the container has to be made. */
  readonly makeNetwork: boolean;
  /** Told before each command that changes something. */
  readonly onCommand?: (command: DockerCommand) => void;
  readonly signal?: AbortSignal;
  /** Undoes what failed: without the signal, as after Ctrl-C the one before has to come back, too. */
  readonly undoEngine?: DockerEngine;
  /** Bounds for tests. */
  readonly serveMs?: number;
}

/** Commands that a plan's action comes to, as `--dry-run` shows them, in their order. */
export function commandsOf(
  action: DeployAction,
  options: Pick<CarryOutOptions, 'login' | 'makeNetwork'>,
): DockerCommand[] {
  const { desired, revision, observed } = action;
  const { name } = desired.options;
  const choice = { revision, makeNetwork: options.makeNetwork };
  switch (action.kind) {
    case 'unchanged':
      return [];
    case 'create':
      return [...createCommands(desired, choice), startContainer(name)];
    case 'start':
      return [...filesCommands(action), startContainer(name)];
    case 'live':
      return liveSequence(action, liveCommands(action, options.login));
    case 'replace':
      return [
        ...createCommands(desired, { ...choice, name: nextName(name) }),
        stopContainer(name, desired.options.stopTimeoutS),
        renameContainer(name, previousName(name)),
        renameContainer(nextName(name), name),
        startContainer(name),
        removeContainer(previousName(name)),
        ...(observed === undefined ? [] : [removeVolume(filesVolume(name, observed.revision))]),
      ];
  }
}

function filesCommands({ desired, observed }: DeployAction): DockerCommand[] {
  const different = desired.files.some(({ path, content, mode, uid, gid }) => {
    if (content === undefined) return false;
    const file = observed?.files?.get(path);
    if (file === undefined || file.mode !== mode || file.uid !== uid || file.gid !== gid) return true;
    return !file.content.equals(Buffer.from(content));
  });
  const { name } = desired.options;
  const wanted = new Set(desired.files.map(({ path }) => path));
  const superfluous = [...(observed?.files?.keys() ?? [])].filter((path) => !wanted.has(path));
  return [
    ...(different ? [filesCommand(name, desired.filesTarget, desired.files)] : []),
    // In a container that does not run nothing can be removed: the next run does.
    ...(superfluous.length > 0 && observed?.status === 'running'
      ? [
          removeFiles(
            name,
            superfluous.map((path) => `${desired.filesTarget}/${path}`),
          ),
        ]
      : []),
  ];
}

/** As root, whose files they are; without any capability. */
function removeFiles(name: string, paths: readonly string[]): DockerCommand {
  return changes(['exec', '--user', '0:0', name, 'rm', '-f', '--', ...paths]);
}

/** Files that are told of are marked as long as they were not. */
function liveSequence(action: DeployAction, told: readonly DockerCommand[]): DockerCommand[] {
  if (told.length === 0) return filesCommands(action);
  return [untoldCommand(action), ...told, toldCommand(action)];
}

function untoldCommand({ desired, observed }: DeployAction): DockerCommand {
  const same = (path: string, content: string | Uint8Array) =>
    observed?.files?.get(path)?.content.equals(Buffer.from(content)) === true &&
    observed.files.get(path)?.mode !== UNTOLD_MODE;
  const changed = desired.files.filter(({ path, content }) => content === undefined || !same(path, content));
  return filesCommand(desired.options.name, desired.filesTarget, untold(changed));
}

function toldCommand({ desired }: DeployAction): DockerCommand {
  return filesCommand(desired.options.name, desired.filesTarget, desired.files);
}

function liveCommands({ desired, live }: DeployAction, login: RedisLogin | undefined): DockerCommand[] {
  return live.map((change) => liveCommand(desired.options.name, change, login));
}

function liveCommand(name: string, { to, words, shown }: LiveChange, login: RedisLogin | undefined): DockerCommand {
  if (to === 'program') return execInContainer(name, words, LIVE_TIMEOUT_MS);
  if (login === undefined) throw new Error('deploy: no login for a live change');
  return tellRedis(name, login, [words], shown);
}

/**
 * Carries one action out and waits until the node serves.
 * @throws ForgeError what the engine throws; `unreachable` when it does not come up: then what was there before is
 *   there again
 */
export async function carryOut(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  switch (action.kind) {
    case 'unchanged':
      return;
    case 'create':
      return await create(engine, action, options);
    case 'start':
      await runAll(engine, commandsOf(action, options), options);
      return await serving(engine, action, options);
    case 'live':
      return await takeLive(engine, action, options);
    case 'replace':
      return await replace(engine, action, options);
  }
}

async function create(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { name } = action.desired.options;
  try {
    await runAll(engine, commandsOf(action, options), options);
    await serving(engine, action, options);
  } catch (error) {
    // Its data, if there was any, stays; a container that does not come up would be in the way of the next run.
    await undo(
      options.undoEngine ?? engine,
      [removeContainer(name), removeVolume(filesVolume(name, action.revision))],
      error,
    );
    throw error;
  }
}

async function takeLive(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { desired, observed, live } = action;
  const { name } = desired.options;
  if (live.length === 0) return await runAll(engine, filesCommands(action), options);
  await runAll(engine, [untoldCommand(action)], options);
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
    const error = new ForgeError('refused', `${name} does not take ${change.shown}: ${fault}`, {
      host: desired.host,
      next: 'Its files are as they were before. Correct the setting and deploy again.',
    });
    await undo(
      options.undoEngine ?? engine,
      before.length === 0 ? [] : [filesCommand(name, desired.filesTarget, before)],
      error,
    );
    throw error;
  }
  await runAll(engine, [toldCommand(action)], options);
}

async function replace(engine: DockerEngine, action: DeployAction, options: CarryOutOptions): Promise<void> {
  const { desired, revision, observed } = action;
  const { name } = desired.options;
  const [previous, next] = [previousName(name), nextName(name)];
  const made = { revision, makeNetwork: options.makeNetwork, name: next };
  const { undoEngine = engine } = options;
  try {
    await runAll(engine, createCommands(desired, made), options);
  } catch (error) {
    await undo(undoEngine, [removeContainer(next), removeVolume(filesVolume(name, revision))], error);
    throw error;
  }
  const wasRunning = observed?.status === 'running';
  try {
    await runAll(engine, [stopContainer(name, desired.options.stopTimeoutS), renameContainer(name, previous)], options);
    await runAll(engine, [renameContainer(next, name), startContainer(name)], options);
    await serving(engine, action, options);
  } catch (error) {
    await backToPrevious(undoEngine, name, { wasRunning, graceS: desired.options.stopTimeoutS }, error);
    await undo(undoEngine, [removeVolume(filesVolume(name, revision))], error);
    throw withNext(
      error,
      wasRunning ? 'The container before it runs again, as it was.' : 'The container before it is back.',
    );
  }
  await runAll(engine, [removeContainer(previous)], options);
  const old = observed === undefined || observed.revision === revision ? [] : [filesVolume(name, observed.revision)];
  await undo(undoEngine, old.map(removeVolume), undefined);
}

/** Whatever is there of the three names, the container before is the one that runs at the end. */
async function backToPrevious(
  engine: DockerEngine,
  name: string,
  { wasRunning, graceS }: { wasRunning: boolean; graceS: number },
  error: unknown,
): Promise<void> {
  const [previous, next] = [previousName(name), nextName(name)];
  const there = await statusOf(engine, previous);
  const commands =
    there === undefined
      ? [removeContainer(next)]
      : [stopContainer(name, graceS), removeContainer(name), removeContainer(next), renameContainer(previous, name)];
  await undo(engine, [...commands, ...(wasRunning ? [startContainer(name)] : [])], error);
}

async function runAll(
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

/** Tries all of them: one that fails since there is nothing to undo must not keep the others. */
async function undo(engine: DockerEngine, commands: readonly DockerCommand[], error: unknown): Promise<void> {
  for (const command of commands) {
    await engine.run(command).catch((cause: unknown) => {
      if (error instanceof ForgeError && error.details !== undefined) error.details['undo'] = String(cause);
    });
  }
}

async function statusOf(engine: DockerEngine, name: string): Promise<string | undefined> {
  const answer = await engine.json(inspectContainer(name), containerAnswers).catch((error: unknown) => {
    if (error instanceof ForgeError && error.details?.['reason'] === 'no-container') return undefined;
    throw error;
  });
  return answer?.[0]?.State.Status;
}

/** Waits until what was started serves. @throws ForgeError `unreachable` when it ends, `timeout` */
async function serving(
  engine: DockerEngine,
  { desired }: DeployAction,
  { signal, serveMs = SERVE_MS }: CarryOutOptions,
): Promise<void> {
  const { name } = desired.options;
  const begun = performance.now();
  let loading = false;
  for (;;) {
    signal?.throwIfAborted();
    const status = await statusOf(engine, name);
    if (status !== 'running') throw await ended(engine, desired.host, name, status);
    const answer = await lookAt(engine, desired);
    if (answer === 'serving') return;
    loading ||= answer === 'loading';
    if (performance.now() - begun > (loading ? LOAD_MS : serveMs)) {
      throw new ForgeError('timeout', `${name} does not ${loading ? 'finish loading its data' : 'answer'}.`, {
        host: desired.host,
        next: `Look at its log: docker logs ${name}`,
        details: { log: await lastLines(engine, name) },
      });
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}

async function lookAt(engine: DockerEngine, { role, options, probe }: DesiredContainer): Promise<Ping> {
  const answer = await engine.run(execInContainer(options.name, probe, PROBE_TIMEOUT_MS)).catch((error: unknown) => {
    if (error instanceof ForgeError) return undefined;
    throw error;
  });
  if (answer === undefined) return 'silent';
  return role === 'redis' ? readPing(answer) : 'serving';
}

async function ended(
  engine: DockerEngine,
  host: string,
  name: string,
  status: string | undefined,
): Promise<ForgeError> {
  const lines = await lastLines(engine, name);
  return new ForgeError('unreachable', [`${name} is ${status ?? 'gone'} right after its start.`, ...lines].join('\n'), {
    host,
    next: 'Correct what it says and deploy again.',
    details: { log: lines },
  });
}

async function lastLines(engine: DockerEngine, name: string): Promise<string[]> {
  const output = await engine.execute(containerLogs(name, LOG_LINES)).catch(() => undefined);
  const text = `${output?.stdout.toString('utf8') ?? ''}\n${output?.stderr ?? ''}`;
  return text
    .split('\n')
    .map((line) => line.replace(/^\S+Z /, '').trim())
    .filter((line) => line !== '')
    .slice(-LOG_LINES);
}

function withNext(error: unknown, more: string): unknown {
  if (!(error instanceof ForgeError)) return error;
  return new ForgeError(error.kind, error.message, {
    ...(error.host === undefined ? {} : { host: error.host }),
    next: [...error.next, more],
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

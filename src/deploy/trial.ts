/** Tries on a host, before anything of it is changed, what could only fail there. */
import { changes } from '../docker/command.js';
import { removeContainer } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { ForgeError } from '../errors.js';
import { type CommandChoice, createChoice } from './action-commands.js';
import { trialCommand, trialName } from './container.js';
import type { DeployAction } from './plan.js';
import { type ServingOptions, serving } from './serving.js';

export interface TrialOptions extends CommandChoice, ServingOptions {
  /** Takes the container away again, after a signal too. */
  readonly undoEngine: DockerEngine;
  readonly run: (engine: DockerEngine, command: ReturnType<typeof removeContainer>) => Promise<void>;
}

/**
 * Starts the program of a container that is to take another's place with its files, and waits until it answers: the one
 * that serves is not touched before.
 * @throws ForgeError `configuration` with the program's own words for what it refuses; what the engine throws
 */
export async function tryFiles(engine: DockerEngine, action: DeployAction, options: TrialOptions): Promise<void> {
  const { desired } = action;
  const command = trialCommand(desired, createChoice(action, options));
  if (command === undefined) return;
  const name = trialName(desired.options.name);
  let isOurs = true;
  try {
    await options.run(engine, command).catch((error: unknown) => {
      isOurs = failureReason(error) !== 'name-taken';
      throw error;
    });
    await serving(engine, { name, role: desired.role, host: desired.host, probe: desired.probe }, options);
  } catch (error) {
    throw refusal(desired.options.name, error);
  } finally {
    if (isOurs) await options.run(options.undoEngine, removeContainer(name)).catch(() => undefined);
  }
}

function refusal(name: string, error: unknown): unknown {
  if (!(error instanceof ForgeError) || error.kind !== 'unreachable' || !Array.isArray(error.details?.['log'])) {
    return error;
  }
  const said = error.details['log'].map(String);
  return new ForgeError('configuration', [`${name} would not start with what it is to be given.`, ...said].join('\n'), {
    ...(error.host === undefined ? {} : { host: error.host }),
    next: 'Correct what it says, and deploy again. The container that runs was not touched.',
    details: error.details,
    cause: error,
  });
}

const LIMIT_TIMEOUT_MS = 20_000;

/**
 * How many open files a container of an engine has when nothing is said: what the engine itself may have.
 * @returns undefined when it cannot be found out
 */
export async function fileLimit(engine: DockerEngine, image: string): Promise<number | undefined> {
  const words = ['run', '--rm', '--pull', 'never', '--network', 'none', '--entrypoint', 'sh', image];
  const answer = await engine.run(changes([...words, '-c', 'ulimit -Hn'], LIMIT_TIMEOUT_MS)).catch((error: unknown) => {
    if (error instanceof ForgeError) return '';
    throw error;
  });
  const limit = Number(answer.trim());
  return Number.isSafeInteger(limit) && limit > 0 ? limit : undefined;
}

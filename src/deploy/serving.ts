/** Whether a container that was started serves, and what it said when it does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { containerLogs, execInContainer, inspectContainer } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { containerAnswers } from '../docker/inspect.js';
import { ForgeError } from '../errors.js';
import type { ContainerRole } from './container.js';
import { type Ping, readPing } from './redis-cli.js';

/** Until what was started answers, milliseconds, on a busy host as well; loading its data comes on top. */
const SERVE_MS = 45_000;
/** Loading the append-only file: some 100 GB. */
const LOAD_MS = 15 * 60_000;
const LOOK_MS = 150;
/** Until what ran before serves again, milliseconds: somebody waits for the error that is said after it. */
const HEALTHY_AGAIN_MS = 20_000;
/** A look is repeated; one that hangs must not use up the time of all. */
const PROBE_TIMEOUT_MS = 5_000;
const LOG_LINES = 5;
/** What to look at when something runs and does not answer. */
const NEXT: Record<ContainerRole, string> = {
  redis: 'Look at what else the host does, and deploy again.',
  proxy:
    'It is ready when it knows a cluster of its nodes: forge init-cluster forms one, forge cluster status shows it.',
  'redis-exporter': 'Correct what it says and deploy again.',
  'node-exporter': 'Correct what it says and deploy again.',
  prometheus: 'Correct what it says and deploy again.',
  alertmanager: 'Correct what it says and deploy again.',
  grafana: 'Correct what it says and deploy again.',
};

/** A container that was started. */
export interface Started {
  readonly name: string;
  readonly role: ContainerRole;
  /** A name of `DeploySettings.hosts`. */
  readonly host: string;
  /** Asks, inside the container, whether it serves. */
  readonly probe: readonly string[];
}

export interface ServingOptions {
  readonly signal?: AbortSignal;
  /** Until it answers, milliseconds; 45 seconds when not given. */
  readonly serveMs?: number;
}

/** What the engine has under a name. */
export interface ContainerState {
  readonly id: string;
  /** As docker has it: `running`, `exited`, `created`, … */
  readonly status: string;
  /** By which docker tells whether it is healthy, as it was made; empty when there is none. */
  readonly healthCommand: readonly string[];
}

/** Undefined when there is no such container. @throws ForgeError what the engine throws */
export async function stateOf(engine: DockerEngine, name: string): Promise<ContainerState | undefined> {
  const answer = await engine.json(inspectContainer(name), containerAnswers).catch((error: unknown) => {
    if (failureReason(error) === 'no-container') return undefined;
    throw error;
  });
  const [first] = answer ?? [];
  if (first === undefined) return undefined;
  const [kind, ...words] = first.Config.Healthcheck?.Test ?? [];
  const healthCommand = kind === 'CMD' ? words : kind === 'CMD-SHELL' ? ['sh', '-c', ...words] : [];
  return { id: first.Id, status: first.State.Status, healthCommand };
}

/** Waits, not for long, until a container that runs again is healthy; true when it has no way to tell. */
export async function healthyAgain(engine: DockerEngine, name: string, command: readonly string[]): Promise<boolean> {
  if (command.length === 0) return true;
  const begun = performance.now();
  for (;;) {
    const healthy = await engine.run(execInContainer(name, command, PROBE_TIMEOUT_MS)).then(
      () => true,
      () => false,
    );
    if (healthy || performance.now() - begun > HEALTHY_AGAIN_MS) return healthy;
    await sleep(LOOK_MS);
  }
}

/**
 * Waits until what was started serves.
 * @throws ForgeError `unreachable` when it ends, with its last words; `timeout` when it does not answer in time
 */
export async function serving(
  engine: DockerEngine,
  started: Started,
  { signal, serveMs = SERVE_MS }: ServingOptions,
): Promise<void> {
  const { name, host, role } = started;
  const begun = performance.now();
  let loading = false;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await lookAt(engine, started);
    if (answer === 'serving') return;
    const state = await stateOf(engine, name);
    if (state?.status !== 'running') throw await ended(engine, host, name, state?.status);
    loading ||= answer === 'loading';
    if (performance.now() - begun > (loading ? LOAD_MS : serveMs)) {
      // It may be removed now, and its log with it.
      const log = await lastLines(engine, name);
      const what = `${name} does not ${loading ? 'finish loading its data' : 'answer'}.`;
      throw new ForgeError(
        'timeout',
        [what, ...(log.length > 0 ? ['The last that it said:', ...log] : [])].join('\n'),
        {
          host,
          next: NEXT[role],
          details: { log },
        },
      );
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
}

export async function lookAt(engine: DockerEngine, { name, role, probe }: Started): Promise<Ping> {
  const answer = await engine.run(execInContainer(name, probe, PROBE_TIMEOUT_MS)).catch((error: unknown) => {
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

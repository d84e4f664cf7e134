/**
 * One deployment at a time for each instance, whoever runs it and wherever: a container that is never started and whose
 * name says that somebody is at work. The engine gives a name once only, so that operators on two machines see it, too.
 */
import os from 'node:os';
import { fillerContainer, inspectContainer, removeContainer } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { containerAnswers } from '../docker/inspect.js';
import { LABELS } from '../docker/labels.js';
import { ForgeError } from '../errors.js';
import type { DesiredContainer } from './container.js';

/** The role by which such a container is known. */
export const LOCK_ROLE = 'lock';
export const HOLDER_LABEL = 'io.redisforge.holder';
/** No deployment of one instance takes longer: loading its data is waited for 15 minutes at most. */
export const LOCK_MAX_MS = 60 * 60_000;
/** One that was left behind is taken away and made anew; another may be quicker each time. */
const TRIES_MAX = 3;

export interface LockHolder {
  readonly user: string;
  readonly machine: string;
  readonly pid: number;
  /** When it was taken: milliseconds since 1970, by the clock of that machine. */
  readonly since: number;
}

export function lockName(container: string): string {
  return `${container}-lock`;
}

export function thisHolder(): LockHolder {
  return { user: userName(), machine: os.hostname(), pid: process.pid, since: Date.now() };
}

function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A number without an account.
    return String(process.getuid?.() ?? '?');
  }
}

const NOTHING = () => {};

export interface TakenLock {
  /** Of the container. */
  readonly id: string;
  /** Gives it back; to be called in any case. Never fails: what could not be given back is left behind. */
  release(): Promise<void>;
}

/** Undefined for what is none. Pure. */
export function parseHolder(text: string | undefined): LockHolder | undefined {
  try {
    const { user, machine, pid, since } = JSON.parse(text ?? '') as Record<string, unknown>;
    if (typeof user !== 'string' || typeof machine !== 'string') return undefined;
    if (!Number.isSafeInteger(pid) || !Number.isSafeInteger(since)) return undefined;
    return { user, machine, pid: pid as number, since: since as number };
  } catch {
    return undefined;
  }
}

/** Whether whoever took it is gone: its process, where that can be seen, or its time. Pure. */
export function isLeftBehind(
  holder: LockHolder | undefined,
  { machine, now, isAlive }: { machine: string; now: number; isAlive: (pid: number) => boolean },
): boolean {
  if (holder === undefined) return false;
  return now - holder.since > LOCK_MAX_MS || (holder.machine === machine && !isAlive(holder.pid));
}

/** The same for a lock that was seen just now. */
export function isLeftBehindNow(holder: LockHolder | undefined): boolean {
  return isLeftBehind(holder, { machine: os.hostname(), now: Date.now(), isAlive });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Takes the lock of an instance.
 * @param image any that the host has
 * @param releasing gives it back, after a signal too
 * @throws ForgeError `locked` when another deployment has it; what the engine throws
 */
export async function takeLock(
  engine: DockerEngine,
  { cluster, instance, options }: Pick<DesiredContainer, 'cluster' | 'instance' | 'options'>,
  image: string,
  releasing: DockerEngine = engine,
): Promise<TakenLock> {
  const name = lockName(options.name);
  const labels = {
    [LABELS.cluster]: cluster,
    [LABELS.instance]: instance,
    [LABELS.role]: LOCK_ROLE,
    [HOLDER_LABEL]: JSON.stringify(thisHolder()),
  };
  for (let tries = 1; ; tries += 1) {
    try {
      const filler = { name, image, mounts: [], labels, pull: options.pull };
      const id = (await engine.run(fillerContainer(filler))).trim();
      // By its number: another may have taken it since, after an hour.
      return { id, release: () => releasing.run(removeContainer(id)).then(NOTHING, NOTHING) };
    } catch (error) {
      if (failureReason(error) !== 'name-taken') throw error;
      const present = await lookAt(engine, name);
      if (present === undefined && tries < TRIES_MAX) continue;
      if (present === undefined || !isLeftBehindNow(present.holder) || tries >= TRIES_MAX) {
        throw taken(engine, name, present?.holder);
      }
      await engine.run(removeContainer(present.id));
    }
  }
}

async function lookAt(engine: DockerEngine, name: string): Promise<{ id: string; holder?: LockHolder } | undefined> {
  try {
    const [answer] = await engine.json(inspectContainer(name), containerAnswers);
    if (answer === undefined) return undefined;
    const holder = parseHolder(answer.Config.Labels[HOLDER_LABEL]);
    return { id: answer.Id, ...(holder === undefined ? {} : { holder }) };
  } catch (error) {
    if (failureReason(error) === 'no-container') return undefined;
    throw error;
  }
}

function taken(engine: DockerEngine, name: string, holder: LockHolder | undefined): ForgeError {
  const who =
    holder === undefined
      ? 'somebody'
      : `${holder.user} on ${holder.machine} (process ${holder.pid}, since ${new Date(holder.since).toISOString()})`;
  return new ForgeError('locked', `${name.replace(/-lock$/, '')} is being deployed by ${who}.`, {
    host: engine.endpoint.name,
    next: `Wait until that has ended, and deploy again. When that process is gone for certain: docker rm ${name} on that host.`,
    details: { lock: name, ...(holder === undefined ? {} : { holder }) },
  });
}

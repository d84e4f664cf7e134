/**
 * One deployment at a time for each instance, whoever runs it and wherever: a container that is never started and whose
 * name says that somebody is at work. The engine gives a name once only, so that operators on two machines see it, too.
 */
import os from 'node:os';
import type { DockerCommand } from '../docker/command.js';
import { fillerContainer, inspectContainer, removeContainer } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { failureReason } from '../docker/failure.js';
import { containerAnswers } from '../docker/inspect.js';
import { LABELS } from '../docker/labels.js';
import { ForgeError } from '../errors.js';
import { startedAtMs } from '../runtime/process/identity.js';
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

/** A process's start is known to about two seconds, and clocks are set. */
const START_SLACK_MS = 5_000;

/**
 * Whether whoever took it is gone: its process, where that can be seen, or its time. Pure.
 * @param startedAt when the process of its number was started, milliseconds since 1970: one that was started after the
 *   lock was taken has only got the number. Undefined: there is none; `unknown`: there is one of somebody else's
 */
export function isLeftBehind(
  holder: LockHolder | undefined,
  { machine, now, startedAt }: { machine: string; now: number; startedAt: number | 'unknown' | undefined },
): boolean {
  if (holder === undefined) return false;
  if (now - holder.since > LOCK_MAX_MS) return true;
  if (holder.machine !== machine || startedAt === 'unknown') return false;
  return startedAt === undefined || startedAt > holder.since + START_SLACK_MS;
}

/** The same for a lock that was seen just now. */
export async function isLeftBehindNow(holder: LockHolder | undefined): Promise<boolean> {
  if (holder === undefined) return false;
  const startedAt = (await startedAtMs(holder.pid)) ?? (isHidden(holder.pid) ? 'unknown' : undefined);
  return isLeftBehind(holder, { machine: os.hostname(), now: Date.now(), startedAt });
}

/** A process that is there, of which this user may see nothing (man 5 proc: hidepid). */
function isHidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** How the lock is taken and given back. Pure. */
export function lockCommands(
  { cluster, instance, options }: Pick<DesiredContainer, 'cluster' | 'instance' | 'options'>,
  image: string,
  holder: LockHolder,
): { readonly take: DockerCommand; readonly give: DockerCommand } {
  const name = lockName(options.name);
  const labels = {
    [LABELS.cluster]: cluster,
    [LABELS.instance]: instance,
    [LABELS.role]: LOCK_ROLE,
    [HOLDER_LABEL]: JSON.stringify(holder),
  };
  return {
    take: fillerContainer({ name, image, mounts: [], labels, pull: options.pull }),
    give: removeContainer(name),
  };
}

/**
 * Takes the lock of an instance.
 * @param image any that the host has
 * @param releasing gives it back, after a signal too
 * @throws ForgeError `locked` when another deployment has it; what the engine throws
 */
export async function takeLock(
  engine: DockerEngine,
  desired: Pick<DesiredContainer, 'cluster' | 'instance' | 'options'>,
  image: string,
  releasing: DockerEngine = engine,
): Promise<TakenLock> {
  const name = lockName(desired.options.name);
  const { take } = lockCommands(desired, image, thisHolder());
  for (let tries = 1; ; tries += 1) {
    try {
      const id = (await engine.run(take)).trim();
      // By its number: another may have taken it since, after an hour.
      return { id, release: () => releasing.run(removeContainer(id)).then(NOTHING, NOTHING) };
    } catch (error) {
      if (failureReason(error) !== 'name-taken') throw error;
      const present = await lookAt(engine, name);
      if (present === undefined && tries < TRIES_MAX) continue;
      if (present === undefined || !(await isLeftBehindNow(present.holder)) || tries >= TRIES_MAX) {
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

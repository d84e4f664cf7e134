/** One at a time: a lock file that dies with its process. */
import { createHash, randomBytes } from 'node:crypto';
import { link, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../errors.js';
import { makePrivateDirectory } from './files.js';
import { identifyProcess, isAlive, type ProcessIdentity } from './process/identity.js';

/** A free lock is taken at the first attempt, a dead one at the second; more only while others take it over, too. */
const ATTEMPTS_MAX = 10;
const PAUSE_MS = 20;
/** Processes that died in a row while they cleared away the lock of one that had died. */
const DEPTH_MAX = 5;
/** What a process writes beside a lock before it takes it: the process, and what makes it unlike any other's. */
const SCRATCH = /^(\d{1,10})-[0-9a-f]{16}$/;
/** What stands for the right to remove a dead lock. */
const RIGHT = /^[0-9a-f]{16}$/;

interface LockOwner extends ProcessIdentity {
  /** What it does, for messages: `forge up`. */
  purpose: string;
}

export interface LockPaths {
  /** The folder that `lock` is in; made when it is missing. */
  readonly directory: string;
  /** The lock file. */
  readonly lock: string;
}

export interface LockOptions {
  /** What the holder is at work on, for the message to others; `this cluster` when not told. */
  readonly what?: string;
}

/**
 * Runs `work` while holding the lock. The lock of a process that has died is taken over.
 * @param purpose what the work is, for the message to others: `forge up`
 * @throws ForgeError `locked` (exit code 6) at once when somebody else holds it
 */
export async function withLock<T>(
  paths: LockPaths,
  purpose: string,
  work: () => Promise<T>,
  { what = 'this cluster' }: LockOptions = {},
): Promise<T> {
  await makePrivateDirectory(paths.directory);
  const mine = await takeLock(paths.lock, purpose, what);
  try {
    await sweep(paths);
    return await work();
  } finally {
    // The folder, and the lock in it, may have been deleted by the work; and what is there now may be another's.
    if ((await readFile(paths.lock, 'utf8').catch(() => undefined)) === mine) await rm(paths.lock, { force: true });
  }
}

/** @returns the content of the lock file, which is unlike any other's */
async function takeLock(file: string, purpose: string, what: string): Promise<string> {
  const self = await identifyProcess(process.pid);
  const token = randomBytes(8).toString('hex');
  const content = JSON.stringify({ ...self, purpose, token });
  const scratch = `${file}.${process.pid}-${token}`;
  try {
    // Nobody reads it before it is linked: it need not come into being at once.
    await writeFile(scratch, content, { mode: 0o600, flag: 'wx' });
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await place(scratch, file)) return content;
      const owner = parseOwner((await readText(file)) ?? '');
      if (owner !== undefined && (await isAlive(owner))) throw lockedBy(owner, file, what);
      await removeDead(scratch, file);
      await sleep(PAUSE_MS);
    }
  } finally {
    await rm(scratch, { force: true });
  }
  throw new ForgeError('locked', `${file} cannot be taken: others take it at the same time.`, {
    next: 'Try again in a moment.',
  });
}

/** Makes `file` appear with its content, if there is none. */
async function place(scratch: string, file: string): Promise<boolean> {
  try {
    await link(scratch, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes the lock of a dead process. Between looking at a lock and removing it, another process may have done so and
 * put its own in place; so only whoever holds a second lock, named after the content of the dead one, may remove it. That
 * one is kept for microseconds; should its holder die in them, it is a dead lock like any other.
 */
async function removeDead(scratch: string, file: string, depth = 0): Promise<void> {
  const text = await readText(file);
  if (text === undefined || depth > DEPTH_MAX) return;
  const owner = parseOwner(text);
  if (owner !== undefined && (await isAlive(owner))) return;
  const right = `${file}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  if (!(await place(scratch, right))) return await removeDead(scratch, right, depth + 1);
  try {
    if ((await readText(file)) === text) await rm(file, { force: true });
  } finally {
    await rm(right, { force: true });
  }
}

/** Takes away what processes that died on their way to the lock, or beside it, have left. Called with the lock held. */
async function sweep({ directory, lock }: LockPaths): Promise<void> {
  const prefix = `${path.basename(lock)}.`;
  for (const name of await readdir(directory)) {
    if (!name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const file = path.join(directory, name);
    const pid = SCRATCH.exec(rest)?.[1];
    if (pid !== undefined) {
      if (!exists(Number(pid))) await rm(file, { force: true });
    } else if (RIGHT.test(rest)) {
      const owner = parseOwner((await readText(file)) ?? '');
      if (owner === undefined || !(await isAlive(owner))) await rm(file, { force: true });
    }
  }
}

/** Whether there is a process of this number, be it another one by now. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const { pid, start, purpose } = JSON.parse(text) as Partial<LockOwner>;
    if (typeof pid !== 'number' || typeof start !== 'string') return undefined;
    return { pid, start, purpose: typeof purpose === 'string' ? purpose : 'forge' };
  } catch {
    return undefined;
  }
}

function lockedBy(owner: LockOwner, file: string, what: string): ForgeError {
  return new ForgeError('locked', `${owner.purpose} (process ${owner.pid}) is at work on ${what}.`, {
    next: 'Wait until it is done, or end it, and run this again.',
    details: { lock: file, pid: owner.pid },
  });
}

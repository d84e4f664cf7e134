// @ts-check
// One set-up or build at a time in a folder, across processes.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, SetupFailure } from './failure.js';

const POLL_MS = 100;
/** The longest work done under the lock is installing everything over a slow network. */
const WAIT_MS = 15 * 60_000;

/**
 * Whether a process of that id exists.
 * @param {number} pid
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/**
 * Takes the lock file, which then holds our process id; the file of a process that is gone is taken over.
 * @param {string} file
 * @returns {number | undefined} the process that holds the lock, or undefined when we do now
 */
function tryLock(file) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    // A link appears with its content or not at all, so a reader never sees an empty lock.
    linkSync(own, file);
    return undefined;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    const holder = readPid(file);
    if (holder !== undefined && !isAlive(holder)) rmSync(file, { force: true });
    return holder ?? 0;
  } finally {
    rmSync(own, { force: true });
  }
}

/**
 * The process id in a file; undefined without the file.
 * @param {string} file
 */
export function readPid(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Does `work` while holding the lock. Waits for whoever holds it; the lock is given back also when the process exits.
 * @template T
 * @param {string} file the lock file
 * @param {() => Promise<T>} work
 * @param {{ waitMs?: number, onWait?: (pid: number) => void }} [options]
 * @returns {Promise<T>}
 */
export async function withLock(file, work, { waitMs = WAIT_MS, onWait } = {}) {
  mkdirSync(path.dirname(file), { recursive: true });
  const deadline = Date.now() + waitMs;
  let told = false;
  for (let holder = tryLock(file); holder !== undefined; holder = tryLock(file)) {
    if (Date.now() > deadline) {
      throw new SetupFailure(`process ${holder} has held ${file} for more than ${waitMs / 1000} s`, {
        next: `Look at process ${holder}; when it is not a set-up or build of this folder, delete the file.`,
        exitCode: EXIT.locked,
      });
    }
    if (!told && holder > 0 && isAlive(holder)) onWait?.(holder);
    told = told || holder > 0;
    await sleep(POLL_MS);
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

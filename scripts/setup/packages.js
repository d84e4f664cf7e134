// @ts-check
// Whether node_modules is what package-lock.json says, and how to make it so.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../support/failure.js';
import { isAlive, readPid } from '../support/lock.js';
import { runOrThrow } from '../support/run.js';

const INSTALL_MS = 10 * 60_000;
const ORPHAN_MS = 3 * 60_000;
const POLL_MS = 200;
/** npm writes this list of what is installed when an installation is complete. */
const INSTALLED = 'node_modules/.package-lock.json';

/** @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} LockEntry */

/**
 * The entries of a lock file by folder.
 * @param {string} file
 * @returns {Record<string, LockEntry> | undefined} undefined when the file is missing or broken
 */
function readEntries(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/**
 * True when every package of the lock file is installed in its version. Packages for other platforms are optional and
 * may be absent.
 * @param {string} root
 */
export function packagesAreInstalled(root) {
  const wanted = readEntries(path.join(root, 'package-lock.json'));
  const installed = readEntries(path.join(root, INSTALLED));
  if (wanted === undefined || installed === undefined) return false;
  return Object.entries(wanted).every(([folder, entry]) => {
    if (folder === '') return true;
    const there = installed[folder];
    if (there === undefined) return entry.optional === true;
    return (
      there.version === entry.version &&
      there.integrity === entry.integrity &&
      existsSync(path.join(root, folder, 'package.json'))
    );
  });
}

/**
 * `npm ci`, development packages included.
 * @param {string} root
 */
export async function installPackages(root) {
  const pidFile = path.join(root, '.cache', 'npm-ci.pid');
  await awaitOrphan(pidFile);
  if (packagesAreInstalled(root)) return;
  // npm takes its list away late; without it, an installation that was killed half-way is seen as none.
  rmSync(path.join(root, INSTALLED), { force: true });
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  // Under `npm run`, npm says where it is itself.
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  await runOrThrow(command, [...first, ...args], {
    cwd: root,
    onStart: (pid) => {
      mkdirSync(path.dirname(pidFile), { recursive: true });
      writeFileSync(pidFile, String(pid));
    },
    timeoutMs: INSTALL_MS,
    capture: true,
    exitCode: EXIT.missing,
    next: 'Check the network and npm’s settings (npm config list), then run the same command again.',
  });
  rmSync(pidFile, { force: true });
}

/**
 * An npm whose set-up was killed works on; two of them in one folder would undo each other's work.
 * @param {string} pidFile
 */
async function awaitOrphan(pidFile) {
  const pid = readPid(pidFile);
  const deadline = Date.now() + ORPHAN_MS;
  while (pid !== undefined && isAlive(pid) && Date.now() < deadline) await sleep(POLL_MS);
}

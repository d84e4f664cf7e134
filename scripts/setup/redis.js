// @ts-check
// A redis-server for the local cluster and the tests.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { EXIT, SetupFailure } from '../support/failure.js';
import { run } from '../support/run.js';

/** The oldest server whose commands the local cluster uses, as [major, minor]. */
const OLDEST = [6, 2];
const PROBE_MS = 5_000;
const INSTALL_MS = 10 * 60_000;
/** Folders that a login shell has and a cron job or a service may not. */
const USUAL_FOLDERS = ['/usr/bin', '/usr/local/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', '/snap/bin'];

/**
 * The first executable of that name on the path or in the usual folders.
 * @param {string} name
 */
function which(name) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...USUAL_FOLDERS];
  return folders
    .filter(Boolean)
    .map((folder) => path.join(folder, name))
    .find((file) => existsSync(file));
}

/**
 * The version in the words of `redis-server --version` or `valkey-server --version`.
 * @param {string} text
 * @returns {[number, number] | undefined} major and minor
 */
export function parseVersion(text) {
  const match = /\bv=(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** @param {[number, number]} version */
export function isRecentEnough([major, minor]) {
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/**
 * The redis-server to use; undefined when there is none or it is too old.
 * @returns {Promise<string | undefined>}
 */
export async function findRedis() {
  const file = which('redis-server');
  if (file === undefined) return undefined;
  const { code, output } = await run(file, ['--version'], { timeoutMs: PROBE_MS, capture: true });
  const version = parseVersion(output);
  return code === 0 && version !== undefined && isRecentEnough(version) ? file : undefined;
}

const INSTALL_GUIDE = 'https://redis.io/docs/latest/operate/oss_and_stack/install/';

/**
 * @typedef {object} PackageManager
 * @property {string} name
 * @property {boolean} root whether it needs root's rights
 * @property {string[][]} commands tried in order until redis-server is there
 * @property {string} byHand what the reader types when we may not
 */

const APT_INSTALL = ['apt-get', '-o', 'DPkg::Lock::Timeout=120', 'install', '-y', 'redis-server'];

/** Which package managers are asked, and how. @type {PackageManager[]} */
export const PACKAGE_MANAGERS = [
  {
    name: 'apt-get',
    root: true,
    commands: [APT_INSTALL, ['apt-get', 'update'], APT_INSTALL],
    byHand: 'sudo apt-get update && sudo apt-get install -y redis-server',
  },
  {
    name: 'dnf',
    root: true,
    commands: [['dnf', 'install', '-y', 'redis']],
    byHand: 'sudo dnf install -y redis',
  },
  { name: 'brew', root: false, commands: [['brew', 'install', 'redis']], byHand: 'brew install redis' },
];

/** Nothing may ask, and the package must not start its own server on port 6379 (RUNLEVEL: where there is no systemd). */
const INSTALL_ENVIRONMENT = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', NONINTERACTIVE: '1' };

/**
 * What to put before a command that needs root: nothing for root, `sudo -n` where it works without a password.
 * @returns {Promise<string[] | undefined>} undefined when we may not
 */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (which('sudo') === undefined) return undefined;
  const { code } = await run('sudo', ['-n', 'true'], { timeoutMs: PROBE_MS, capture: true });
  return code === 0
    ? ['sudo', '-n', 'env', ...Object.entries(INSTALL_ENVIRONMENT).map((pair) => pair.join('='))]
    : undefined;
}

/**
 * Installs with a package manager. Returns false when that did not bring a redis-server.
 * @param {PackageManager} manager
 * @param {string[]} prefix
 * @param {(text: string) => void} say
 */
async function install(manager, prefix, say) {
  for (const command of manager.commands) {
    const [program = '', ...args] = [...prefix, ...command];
    say(`${command.join(' ')} …`);
    await run(program, args, { timeoutMs: INSTALL_MS, env: INSTALL_ENVIRONMENT, capture: true });
    if ((await findRedis()) === undefined) continue;
    await stopPackagedService(prefix);
    return true;
  }
  return false;
}

/**
 * On Debian with systemd the package starts a server of its own on port 6379 and at every boot. It was not there before
 * us and nobody asked for it: it is stopped and stays off. `systemctl enable --now redis-server` brings it back.
 * @param {string[]} prefix
 */
async function stopPackagedService(prefix) {
  if (!existsSync('/run/systemd/system')) return;
  const [program = '', ...args] = [...prefix, 'systemctl', 'disable', '--now', 'redis-server'];
  await run(program, args, { timeoutMs: PROBE_MS * 6, capture: true });
}

/** The version of a Docker engine that answers, or undefined. */
async function dockerVersion() {
  if (which('docker') === undefined) return undefined;
  const format = ['info', '--format', '{{.ServerVersion}}'];
  const { code, output } = await run('docker', format, { timeoutMs: PROBE_MS, capture: true });
  return code === 0 ? output.trim() : undefined;
}

/** The first package manager that is there, and what to put before its commands; no prefix when we may not use it. */
async function usableManager() {
  const manager = PACKAGE_MANAGERS.find(({ name }) => which(name) !== undefined);
  const prefix = manager === undefined ? undefined : manager.root ? await rootPrefix() : [];
  return { manager, prefix };
}

/**
 * Whether nodes can be run as things are: with a redis-server, or, where none could be installed, with Docker.
 * @returns {Promise<boolean>}
 */
export async function redisIsThere() {
  if ((await findRedis()) !== undefined) return true;
  const { prefix } = await usableManager();
  return prefix === undefined && (await dockerVersion()) !== undefined;
}

/**
 * Sees to a redis-server: installs one, or settles for a Docker engine, or says what to type.
 * @param {(text: string) => void} say
 * @throws {SetupFailure} exit code 10 with the exact command
 */
export async function ensureRedis(say) {
  const { manager, prefix } = await usableManager();
  if (manager !== undefined && prefix !== undefined && (await install(manager, prefix, say))) return;
  const docker = await dockerVersion();
  if (docker !== undefined) {
    say(`no redis-server could be installed; Docker ${docker} is running (forge up --runtime docker)`);
    return;
  }
  throw new SetupFailure(`a redis-server ${OLDEST.join('.')} or newer is needed, and none could be installed`, {
    next: manager === undefined ? `See ${INSTALL_GUIDE}` : `Run: ${manager.byHand}`,
    exitCode: EXIT.missing,
  });
}

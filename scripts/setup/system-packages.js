// @ts-check
// Installs what npm cannot bring, with the system's package manager, where we may and without ever asking.
import { existsSync } from 'node:fs';
import { EXIT, SetupFailure } from '../support/failure.js';
import { run } from '../support/run.js';
import { dockerVersion, REQUIREMENTS, which } from './requirements.js';

/** @typedef {import('./requirements.js').Requirement} Requirement */

const PROBE_MS = 5_000;
const SERVICE_MS = 30_000;
const INSTALL_MS = 10 * 60_000;
const INSTALL_GUIDE = 'https://redis.io/docs/latest/operate/oss_and_stack/install/';

/**
 * @typedef {object} PackageManager
 * @property {string} name
 * @property {boolean} root whether it needs root's rights
 * @property {string[]} install
 * @property {string[]} [refresh] when the list of packages is missing or old
 */

/** In the order in which they are looked for. @type {PackageManager[]} */
const MANAGERS = [
  {
    name: 'apt-get',
    root: true,
    install: ['apt-get', '-o', 'DPkg::Lock::Timeout=120', 'install', '-y'],
    refresh: ['apt-get', 'update'],
  },
  { name: 'dnf', root: true, install: ['dnf', 'install', '-y'] },
  { name: 'brew', root: false, install: ['brew', 'install'] },
];

/** Nothing may ask; and where there is no systemd, RUNLEVEL keeps a package from starting its own server. */
const ENVIRONMENT = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', NONINTERACTIVE: '1' };

/**
 * What to put before a command that needs root: nothing for root, `sudo -n` where it works without a password.
 * @returns {Promise<string[] | undefined>} undefined when we may not
 */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (which('sudo') === undefined) return undefined;
  if ((await run('sudo', ['-n', 'true'], { timeoutMs: PROBE_MS, capture: true })).code !== 0) return undefined;
  // sudo drops the environment.
  return ['sudo', '-n', 'env', ...Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`)];
}

/** The package manager that is there, and what to put before its commands; no prefix when we may not use it. */
async function usableManager() {
  const manager = MANAGERS.find(({ name }) => which(name) !== undefined);
  if (manager === undefined) return { manager, prefix: undefined };
  return { manager, prefix: manager.root ? await rootPrefix() : [] };
}

/**
 * The requirements that are not met. A Docker engine stands in for redis-server where none can be installed.
 * @param {Requirement[]} requirements
 */
export async function missing(requirements) {
  const open = [];
  for (const requirement of requirements) if (!(await requirement.isThere())) open.push(requirement);
  if (open.length !== 1 || open[0] !== REQUIREMENTS.redis) return open;
  const { prefix } = await usableManager();
  return prefix === undefined && (await dockerVersion()) !== undefined ? [] : open;
}

/**
 * The command that installs the requirements, as it is typed by hand.
 * @param {PackageManager} manager
 * @param {string[]} packages
 */
export function byHand(manager, packages) {
  const sudo = manager.root ? 'sudo ' : '';
  const refresh = manager.refresh === undefined ? '' : `${sudo}${manager.refresh.join(' ')} && `;
  return `${refresh}${sudo}${manager.name} install ${manager.root ? '-y ' : ''}${packages.join(' ')}`;
}

/**
 * On Debian with systemd some packages start a server at once and at every boot. It was not there before us and nobody
 * asked for it: it is stopped and stays off. `systemctl enable --now NAME` brings it back.
 * @param {string[]} prefix
 * @param {string} service
 */
async function stopPackagedService(prefix, service) {
  if (!existsSync('/run/systemd/system')) return;
  const [program = '', ...args] = [...prefix, 'systemctl', 'disable', '--now', service];
  await run(program, args, { timeoutMs: SERVICE_MS, capture: true });
}

/**
 * Installs what is missing, in one go.
 * @param {PackageManager} manager
 * @param {string[]} prefix
 * @param {Requirement[]} requirements
 * @param {(text: string) => void} say
 */
async function install(manager, prefix, requirements, say) {
  const packages = requirements.flatMap((requirement) => requirement.packages[manager.name] ?? []);
  if (packages.length === 0) return;
  const command = [...manager.install, ...packages];
  const attempts = manager.refresh === undefined ? [command] : [command, manager.refresh, command];
  let installed = false;
  for (const attempt of attempts) {
    const [program = '', ...args] = [...prefix, ...attempt];
    say(`${attempt.join(' ')} …`);
    const { code } = await run(program, args, { timeoutMs: INSTALL_MS, env: ENVIRONMENT, capture: true });
    // The list of packages is fetched only when it seems to be what is missing: that takes long.
    installed = attempt === command && code === 0;
    if (installed) break;
  }
  for (const { service } of installed ? requirements : []) {
    if (service !== undefined) await stopPackagedService(prefix, service);
  }
}

/** Asked only when the requirement is not met: then a redis-server that is there is too old. */
const hasOldRedis = () => which('redis-server') !== undefined;

/**
 * Sees to the requirements: installs them, or settles for a Docker engine, or says what to type.
 * @param {Requirement[]} requirements those that are missing
 * @param {(text: string) => void} say
 * @throws {SetupFailure} exit code 10 with the exact command
 */
export async function ensure(requirements, say) {
  const { manager, prefix } = await usableManager();
  let open = requirements;
  if (manager !== undefined && prefix !== undefined) {
    // Somebody's server may be running from an old redis-server: that one is neither upgraded nor stopped.
    const wanted = requirements.filter((requirement) => requirement !== REQUIREMENTS.redis || !hasOldRedis());
    await install(manager, prefix, wanted, say);
    open = await missing(requirements);
  }
  if (open.length === 1 && open[0] === REQUIREMENTS.redis) {
    const docker = await dockerVersion();
    if (docker !== undefined) {
      say(`no redis-server could be installed; Docker ${docker} is running: use forge up --runtime docker`);
      return;
    }
  }
  if (open.length === 0) return;
  throw new SetupFailure(`this is needed and could not be installed: ${open.map(({ what }) => what).join('; ')}`, {
    next: advice(open, manager),
    exitCode: EXIT.missing,
  });
}

/**
 * @param {Requirement[]} open
 * @param {PackageManager | undefined} manager
 */
function advice(open, manager) {
  if (open.includes(REQUIREMENTS.redis) && hasOldRedis()) {
    return `The redis-server that is installed is too old. Newer ones: ${INSTALL_GUIDE}`;
  }
  const packages = open.flatMap((requirement) => requirement.packages[manager?.name ?? ''] ?? []);
  return manager && packages.length > 0 ? `Run: ${byHand(manager, packages)}` : `See ${INSTALL_GUIDE}`;
}

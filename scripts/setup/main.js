// @ts-check
// The set-up in order; the lock is taken only when there is something to do.
import path from 'node:path';
import { parseArgs } from 'node:util';
import { isStale } from '../build/parts.js';
import { EXIT, report, SetupFailure } from '../support/failure.js';
import { withLock } from '../support/lock.js';
import { CACHE, ROOT } from '../support/paths.js';
import { runOrThrow } from '../support/run.js';
import { installPackages, packagesAreInstalled } from './packages.js';
import { REQUIREMENTS } from './requirements.js';
import { ensure, missing } from './system-packages.js';

const BUILD_MS = 10 * 60_000;

/** @param {string} text */
const say = (text) => console.error(`setup: ${text}`);

/** @param {string[]} argv */
function parse(argv) {
  const boolean = /** @type {const} */ ({ type: 'boolean', default: false });
  try {
    return parseArgs({ args: argv, options: { redis: boolean, tests: boolean, bench: boolean, quiet: boolean } })
      .values;
  } catch (error) {
    throw new SetupFailure(/** @type {Error} */ (error).message, {
      next: 'Usage: node bin/setup.js [--redis] [--tests] [--bench] [--quiet]',
      exitCode: EXIT.usage,
    });
  }
}

/** @param {{ redis: boolean, tests: boolean, bench: boolean }} flags */
function requirementsOf({ redis, tests, bench }) {
  const server = redis || tests || bench ? [REQUIREMENTS.redis] : [];
  const { redisCli, pythonClient, rubyClient, haproxy, openssl, nutcracker } = REQUIREMENTS;
  const { prometheus, alertmanager, redisExporter, nodeExporter, registry, sshd, swift } = REQUIREMENTS;
  const watching = [prometheus, alertmanager, redisExporter, nodeExporter];
  const others = tests
    ? [redisCli, pythonClient, rubyClient, haproxy, openssl, ...watching, registry, sshd, swift]
    : [];
  return [...server, ...others, ...(bench ? [nutcracker, haproxy, openssl] : [])];
}

/**
 * What is left to do, in order. Looked at twice: without the lock, and again with it, since another set-up may have
 * done the work while this one waited.
 * @param {import('./requirements.js').Requirement[]} requirements
 */
async function openWork(requirements) {
  const work = [];
  if (!packagesAreInstalled(ROOT)) work.push({ what: 'installing packages', act: () => installPackages(ROOT) });
  const open = await missing(requirements);
  if (open.length > 0) {
    work.push({ what: `installing ${open.map(({ what }) => what).join('; ')}`, act: () => ensure(open, say) });
  }
  if (isStale('cli') || isStale('proxy')) work.push({ what: 'building', act: build });
  return work;
}

function build() {
  return runOrThrow(process.execPath, [path.join(ROOT, 'scripts/build.js'), '--stale'], {
    cwd: ROOT,
    timeoutMs: BUILD_MS,
  });
}

/** @param {string[]} argv */
export async function main(argv) {
  try {
    const { quiet, ...flags } = parse(argv);
    const requirements = requirementsOf(flags);
    if ((await openWork(requirements)).length === 0) {
      if (!quiet) say('everything is in place');
      return;
    }
    const lock = path.join(CACHE, 'setup.lock');
    const doAll = async () => {
      for (const { what, act } of await openWork(requirements)) {
        say(`${what} …`);
        await act();
      }
    };
    await withLock(lock, doAll, { onWait: (pid) => say(`waiting for another set-up (process ${pid})`) });
    if (!quiet) say('ready');
  } catch (error) {
    process.exitCode = report('setup', error);
  }
}

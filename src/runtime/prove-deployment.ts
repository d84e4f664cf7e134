/** Whether the server of a deployment's version takes what its nodes would be given, where this machine has that server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DeploySettings } from '../config/deploy-settings.js';
import { compareVersions, type ServerVersion, serverVersionOf } from '../redis-config/version.js';
import { deployedRedisFiles } from './deployed-redis.js';
import { findProgram } from './redis-server.js';
import { proveRedisFiles } from './scratch-start.js';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 5_000;
/** Takes the place of every password: the proof needs none of them. */
const NO_SECRET = 'not-a-password';

/**
 * Starts the server with the files of the first node (the others differ in ports, addresses and certificates only): with
 * its settings, the rules of all users, and its certificate. No password is read.
 * @returns `unproven` where this machine has no server of this version
 * @throws ForgeError `configuration` with the server's own words for what it refuses
 */
export async function proveDeployment(
  settings: DeploySettings,
  environment: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
): Promise<'proven' | 'unproven'> {
  const [node] = settings.nodes;
  const program = await findServerOf(settings.redis.version, environment);
  if (node === undefined || program === undefined) return 'unproven';
  const users = settings.redis.users.map((user) => ({ ...user, secret: NO_SECRET }));
  await proveRedisFiles(program, (places) => deployedRedisFiles(settings, node, users, places), signal);
  return 'proven';
}

/** The path of a server of this product, major and minor: FORGE_REDIS_SERVER, else of the PATH; undefined without one. */
export async function findServerOf(wanted: ServerVersion, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = environment['FORGE_REDIS_SERVER'];
  for (const name of given ? [given] : [`${wanted.product}-server`, 'redis-server']) {
    const program = findProgram(name, environment['PATH']);
    if (program === undefined) continue;
    const output = await run(program, ['--version'], { timeout: VERSION_TIMEOUT_MS }).catch(() => undefined);
    const found = output === undefined ? undefined : serverVersionOf(output.stdout);
    if (found?.product === wanted.product && compareVersions(found, wanted) === 0) return program;
  }
  return undefined;
}

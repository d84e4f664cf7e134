/** The files of a deployed node, as they lie in the volume of its container. */
import path from 'node:path';
import type { UserWithPassword } from '../config/deploy-secrets.js';
import type { DeployNode, DeploySettings } from '../config/deploy-settings.js';
import { deployedRedisFiles } from '../runtime/deployed-redis.js';
import { readTemplate } from '../runtime/template.js';
import type { RedisLogin } from './redis-cli.js';
import { type NodeFile, REDIS_DATA_TARGET } from './redis-container.js';
import { REDIS_FILES, REDIS_FILES_TARGET } from './redis-files.js';

/** As whom forge itself logs in to a node. */
export function adminLogin(users: readonly UserWithPassword[]): RedisLogin {
  const admin = users.find(({ role }) => role === 'admin');
  if (admin === undefined) throw new Error('deploy: no administrator among the users');
  return { username: admin.name, password: admin.secret };
}

/**
 * The files of one node, for below `REDIS_FILES_TARGET`: redis.conf, the replication password, users, certificates, and what
 * starts it.
 * @throws ForgeError `configuration` for certificates that cannot be read
 */
export async function nodeFiles(
  settings: DeploySettings,
  node: DeployNode,
  users: readonly UserWithPassword[],
): Promise<readonly NodeFile[]> {
  const files = await deployedRedisFiles(settings, node, users, {
    config: REDIS_FILES_TARGET,
    data: REDIS_DATA_TARGET,
  });
  return [
    ...files.map((file) => ({ path: path.posix.relative(REDIS_FILES_TARGET, file.path), content: file.content })),
    await startFile(),
  ];
}

/** What every node is started by. */
export async function startFile(): Promise<NodeFile> {
  return { path: REDIS_FILES.start, content: await readTemplate('supervise.sh') };
}

/** The passwords of deployed nodes' users, from the places that forge.yaml names. */
import { createHmac } from 'node:crypto';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { readPasswordFile } from './credentials.js';
import type { DeploySettings, DeployUser } from './deploy-settings.js';
import type { SecretPlace } from './schema-values.js';

/** What the example of the bash suite had in place of passwords. */
const PLACEHOLDER = /^<?CHANGE_?ME/i;

export interface UserWithPassword extends DeployUser {
  /** In clear. */
  readonly secret: string;
}

/**
 * Every user with its password, the administrator first.
 * @throws ForgeError `configuration` for a place that holds none, with all such places
 */
export async function readUserPasswords(
  settings: Pick<DeploySettings, 'cluster' | 'folder' | 'redis'>,
  environment: NodeJS.ProcessEnv,
): Promise<readonly UserWithPassword[]> {
  const { cluster, folder, redis } = settings;
  const faults: string[] = [];
  const read = async (place: SecretPlace, name: string): Promise<string> => {
    try {
      return await readSecret(place, folder, environment);
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      faults.push(`The user ${name} has no password: ${error.message}`);
      return '';
    }
  };
  const given = await Promise.all(
    redis.users.map(async (user) => ({
      ...user,
      secret: 'derived' in user.password ? undefined : await read(user.password, user.name),
    })),
  );
  if (faults.length > 0) {
    throw new ForgeError('configuration', [...new Set(faults)].join('\n'), {
      next: 'Set the variable, in the environment or in .env, or name another place in redis.users of forge.yaml.',
    });
  }
  const admin = given.find(({ role }) => role === 'admin')?.secret ?? '';
  return given.map((user) => ({ ...user, secret: user.secret ?? derivedPassword(admin, cluster, user.role) }));
}

/**
 * A password for work inside the system, made of the administrator's: the same at every deployment, kept nowhere, and no
 * way back to what it is made of.
 */
export function derivedPassword(admin: string, cluster: string, role: string): string {
  return createHmac('sha256', admin).update(`redisforge ${cluster} ${role}`, 'utf8').digest('base64url');
}

/** The text at a place. @throws ForgeError `configuration` when there is none, or still the example's */
export async function readSecret(place: SecretPlace, folder: string, environment: NodeJS.ProcessEnv): Promise<string> {
  if (place.filename !== undefined) return readPasswordFile(path.resolve(folder, place.filename));
  const variable = place.environment ?? '';
  const value = environment[variable];
  if (!value) throw new ForgeError('configuration', `${variable} is not set.`, { next: `Set ${variable}.` });
  if (PLACEHOLDER.test(value)) {
    throw new ForgeError('configuration', `${variable} still holds the example's text.`, { next: `Set ${variable}.` });
  }
  return value;
}

/** The passwords of a local cluster: made once, kept in files that only their user can read. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { type AclUser, ADMIN_RULES, APP_RULES, REPLICATION_RULES } from '../runtime/acl.js';
import { makePrivateDirectory, writeFileAtomic } from '../runtime/files.js';
import type { ClusterPaths } from './paths.js';

/**
 * - `endpoint`: what applications give to the proxy
 * - `app`: what the proxy gives to the nodes
 * - `admin`: what forge, and an operator, give to the nodes
 * - `replication`: what replicas give to their masters
 */
export const SECRET_NAMES = ['endpoint', 'app', 'admin', 'replication'] as const;
export type SecretName = (typeof SECRET_NAMES)[number];
export type Secrets = Record<SecretName, string>;

/** 192 bits, in letters that need no quoting anywhere. */
const SECRET_BYTES = 24;

export function secretFile(paths: ClusterPaths, name: SecretName): string {
  return path.join(paths.secrets, name);
}

/** Reads the passwords, and makes those that are missing. The files have no line end: `cat` gives just the password. */
export async function ensureSecrets(paths: ClusterPaths): Promise<Secrets> {
  await makePrivateDirectory(paths.secrets);
  const secrets = {} as Secrets;
  for (const name of SECRET_NAMES) {
    const file = secretFile(paths, name);
    const known = await readSecret(file);
    secrets[name] = known ?? randomBytes(SECRET_BYTES).toString('base64url');
    if (known === undefined) await writeFileAtomic(file, secrets[name], 0o600);
  }
  return secrets;
}

/** Reads the passwords. @throws ForgeError `configuration` when one is missing */
export async function loadSecrets(paths: ClusterPaths): Promise<Secrets> {
  const secrets = {} as Secrets;
  for (const name of SECRET_NAMES) {
    const file = secretFile(paths, name);
    const secret = await readSecret(file);
    if (secret === undefined) {
      throw new ForgeError('configuration', `The password file ${file} is missing or empty.`, {
        next: `Restore it, or make the cluster anew: forge down --purge --name ${paths.name}`,
      });
    }
    secrets[name] = secret;
  }
  return secrets;
}

/** The users of every node. */
export function nodeUsers(secrets: Secrets): AclUser[] {
  return [
    { name: 'admin', password: secrets.admin, rules: ADMIN_RULES },
    { name: 'app', password: secrets.app, rules: APP_RULES },
    { name: 'replication', password: secrets.replication, rules: REPLICATION_RULES },
  ];
}

async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

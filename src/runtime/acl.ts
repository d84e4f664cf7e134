import { createHash } from 'node:crypto';

/** One user of a Redis node, with the rules it gets besides its password. */
export interface AclUser {
  name: string;
  /** In clear; only its hash is rendered. */
  password: string;
  /** ACL rules in Redis's own words, such as `~* &* +@all`. */
  rules: string;
}

/** Every right: for the operator and for forge's own cluster administration. */
export const ADMIN_RULES = '~* &* +@all';
/** Every command on data, none that administers a server; ROLE only tells. What the proxy logs in with. */
export const APP_RULES = '~* &* +@all -@admin +role';
/** What a replica needs at its master, and nothing more (redis.io: ACL rules for Sentinel and replicas). */
export const REPLICATION_RULES = 'resetkeys resetchannels -@all +psync +replconf +ping';

/** The SHA-256 of a password, in the lower-case hexadecimal that Redis takes after `#`. */
export function aclHash(password: string): string {
  return createHash('sha256').update(password, 'utf8').digest('hex');
}

/**
 * An ACL file with hashes only. The nameless `default` user is switched off, so that whoever connects has to say who
 * it is.
 */
export function renderAcl(users: readonly AclUser[]): string {
  const lines = users.map((user) => {
    if (!/^[A-Za-z0-9_-]+$/.test(user.name)) throw new Error(`acl: "${user.name}" is not a user name`);
    if (user.password === '') throw new Error(`acl: the user ${user.name} has no password`);
    return `user ${user.name} on sanitize-payload #${aclHash(user.password)} ${user.rules}`;
  });
  return `${['user default off resetpass resetkeys resetchannels -@all', ...lines].join('\n')}\n`;
}

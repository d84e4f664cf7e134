/** The ACL file of a node: users by name, rules and the hash of a password. Pure. */
import { createHash } from 'node:crypto';

/** One user of a Redis node, with the rules it gets besides its password. */
export interface AclUser {
  name: string;
  /** In clear; only its hash is rendered. */
  password: string;
  /** ACL rules in Redis's own words, such as `~* &* +@all`. */
  rules: string;
}

/** The SHA-256 of a password, in the lower-case hexadecimal that Redis takes after `#`. */
export function aclHash(password: string): string {
  return createHash('sha256').update(password, 'utf8').digest('hex');
}

/**
 * Nobody can log in as the default user, and yet it may do everything: Redis before 8.6 loads each transaction of its
 * append-only file with its rights, and leaves out, without a word, what it may not do. After a crash everything would be gone
 * that was written by MULTI or by a script that writes more than once.
 */
const DEFAULT_OFF = 'user default off resetpass ~* &* +@all';

/**
 * An ACL file with hashes only. Unless it is one of the users, the nameless `default` user is switched off, so that
 * whoever connects has to say who it is.
 */
export function renderAcl(users: readonly AclUser[]): string {
  const lines = users.map((user) => {
    if (!/^[A-Za-z0-9_-]+$/.test(user.name)) throw new Error(`acl: "${user.name}" is not a user name`);
    if (user.password === '') throw new Error(`acl: the user ${user.name} has no password`);
    if (/\p{Cc}/u.test(user.rules)) throw new Error(`acl: the rules of ${user.name} have more than one line`);
    return `user ${user.name} on sanitize-payload #${aclHash(user.password)} ${user.rules}`;
  });
  const off = users.some(({ name }) => name === 'default') ? [] : [DEFAULT_OFF];
  return `${[...off, ...lines].join('\n')}\n`;
}

import type { FurtherProblem } from '../config/load.js';
import { nearest } from '../config/nearest.js';
import type { ProxyConfig } from '../config/schema.js';
import { parseRules, RuleError } from '../engine/access/rules.js';
import { type AccessSettings, OPEN_ACCESS, type UserSettings } from '../engine/access/settings.js';
import { Catalog } from '../engine/commands/catalog.js';
import { OWN_COMMANDS } from '../engine/commands/own.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import type { Secrets } from './secrets.js';

/** What the user of `downstream_auth_passwords` may do. */
const EVERYTHING = '+@all ~* &*';

/** What is wrong with users, their rules above all. */
export function checkUsers({ listeners }: ProxyConfig): FurtherProblem[] {
  const problems: FurtherProblem[] = [];
  const users = listeners.flatMap((listener, at) => listener.users.map((user, index) => ({ user, at, index })));
  if (users.length === 0) return problems;
  const catalog = new Catalog([...COMMANDS, ...OWN_COMMANDS]);
  for (const { user, at, index } of users) {
    const wrong = (setting: string, message: string) =>
      problems.push({ path: ['listeners', at, 'users', index, setting], message });
    try {
      const { nopass, on } = parseRules(user.rules, catalog);
      if (nopass && user.passwords.length > 0)
        wrong('passwords', "the rules say 'nopass': any password is right; give one of them");
      else if (!nopass && on !== false && user.enabled && user.passwords.length === 0) {
        wrong('passwords', "missing: nobody can log in; without one the rules need 'nopass' or 'off'");
      }
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      wrong('rules', ruleProblem(error));
    }
  }
  return problems;
}

function ruleProblem({ word, message, known, prefix }: RuleError): string {
  const guess = nearest(word.slice(prefix.length).toLowerCase(), known);
  return `'${word}': ${message}${guess === null ? '' : `; did you mean '${prefix}${guess}'?`}`;
}

/** What the workers are told about users. */
export function usersOf({ listeners: [listener] }: ProxyConfig, secrets: Secrets): AccessSettings {
  const failureDelayMs = listener.auth_failure_delay;
  // Redis knows the users.
  if (listener.upstream_auth !== undefined) return { users: [], defaultUser: 'default', failureDelayMs };
  const simple = secrets.downstreamPasswords.length > 0;
  if (!simple && listener.users.length === 0) return { ...OPEN_ACCESS, failureDelayMs };
  const defaultUser = (simple ? listener.downstream_auth_username : undefined) ?? 'default';
  const users: UserSettings[] = listener.users.map((user, index) => ({
    name: user.name,
    enabled: user.enabled,
    passwords: secrets.userPasswords[index] as string[],
    rules: user.rules,
    readOnly: user.read_only,
    sourceCidrs: user.source_cidrs,
  }));
  if (simple) {
    const passwords = secrets.downstreamPasswords;
    users.unshift({ name: defaultUser, enabled: true, passwords, rules: EVERYTHING, readOnly: false, sourceCidrs: [] });
  }
  return { users, defaultUser, failureDelayMs };
}

import type { UserConfig } from '../config/access.js';
import type { FurtherProblem } from '../config/load.js';
import { nearest } from '../config/nearest.js';
import type { ProxyConfig } from '../config/schema.js';
import { parseRules, RuleError } from '../engine/access/rules.js';
import { type AccessSettings, OPEN_ACCESS, type UserSettings } from '../engine/access/settings.js';
import { User } from '../engine/access/user.js';
import { Catalog } from '../engine/commands/catalog.js';
import { OWN_COMMANDS } from '../engine/commands/own.js';
import { COMMANDS } from '../engine/commands/table.generated.js';
import type { WarningLog } from './log-lines.js';
import type { Secrets } from './secrets.js';

/** Users that one warning names. */
const WARNED_MAX = 20;
const SCRIPTS_ESCAPE =
  'users that may not do everything may run scripts, and what these do is not limited by rules: -@scripting takes it from them';

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

/** Says which users may do more by scripts than their rules allow. */
export function warnOfScripts({ listeners: [{ users }] }: ProxyConfig, log: WarningLog): void {
  if (users.length === 0) return;
  const catalog = new Catalog([...COMMANDS, ...OWN_COMMANDS]);
  const escaping = users.filter((user) => new User(plain(user, []), catalog).escapes).map(({ name }) => name);
  if (escaping.length === 0) return;
  log.warn(SCRIPTS_ESCAPE, { users: escaping.slice(0, WARNED_MAX).join(' '), count: escaping.length });
}

function plain(user: UserConfig, passwords: readonly string[]): UserSettings {
  const { name, enabled, rules, read_only: readOnly, source_cidrs: sourceCidrs } = user;
  return { name, enabled, passwords, rules, readOnly, sourceCidrs };
}

/** What the workers are told about users. */
export function usersOf({ listeners: [listener] }: ProxyConfig, secrets: Secrets): AccessSettings {
  const failureDelayMs = listener.auth_failure_delay;
  // Redis knows the users.
  if (listener.upstream_auth !== undefined) return { users: [], defaultUser: 'default', failureDelayMs };
  const simple = secrets.downstreamPasswords.length > 0;
  if (!simple && listener.users.length === 0) return { ...OPEN_ACCESS, failureDelayMs };
  const defaultUser = (simple ? listener.downstream_auth_username : undefined) ?? 'default';
  const users = listener.users.map((user, index) => plain(user, secrets.userPasswords[index] as string[]));
  if (simple) {
    const passwords = secrets.downstreamPasswords;
    users.unshift({ name: defaultUser, enabled: true, passwords, rules: EVERYTHING, readOnly: false, sourceCidrs: [] });
  }
  return { users, defaultUser, failureDelayMs };
}

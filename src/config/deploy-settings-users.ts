/** The users of deployed nodes, and where each one's password is. Pure. */
import type { DeployUser, DeployUserRole, PasswordPlace } from './deploy-settings.js';
import type { UsersSection } from './deploy-settings-schema.js';
import { type DeployProblem, USER_VARIABLES } from './deploy-settings-variables.js';
import type { SecretPlace } from './schema-values.js';

/** Names that the bash suite gave. */
const NAMES = {
  admin: 'admin',
  app: 'app_user',
  readonly: 'readonly_user',
  monitor: 'monitor_user',
  replication: 'replication_user',
} as const;
type Named = keyof typeof NAMES;

/** These do work inside the system; without a password of their own they have one made of the administrator's. */
const DERIVED: ReadonlySet<DeployUserRole> = new Set(['app', 'monitor', 'replication']);

/** What forge.yaml, else the variables of the bash suite, say about users. */
export function resolveUsers(
  section: UsersSection,
  environment: NodeJS.ProcessEnv,
  named: boolean,
): { readonly users: readonly DeployUser[]; readonly problems: readonly DeployProblem[] } {
  const problems: DeployProblem[] = [];
  const users: DeployUser[] = [];
  const admin: SecretPlace = section.admin?.password ?? { environment: USER_VARIABLES.admin.password };
  for (const role of Object.keys(NAMES) as Named[]) {
    const said = section[role];
    if (said === false) continue;
    const password = role === 'admin' ? admin : passwordOf(role, said?.password, environment);
    if (password === undefined) {
      // Somebody asked for it by name.
      if (said !== undefined) {
        const variable = USER_VARIABLES[role].password;
        problems.push({ path: ['redis', 'users', role], message: `has no password: set ${variable}, or password` });
      }
      continue;
    }
    const rules = said !== undefined && 'rules' in said ? said.rules : undefined;
    const name = nameOf(role, said?.name, environment, named, problems);
    users.push({ role, name, password, ...(rules === undefined ? {} : { rules }) });
  }
  if (section.default !== false) {
    users.push({ role: 'default', name: 'default', password: section.default?.password ?? admin });
  }
  for (const [name, { password, rules }] of Object.entries(section.further ?? {})) {
    users.push({ role: 'further', name, password, rules });
  }
  return { users, problems: [...problems, ...repeated(users)] };
}

function passwordOf(
  role: Exclude<Named, 'admin'>,
  said: SecretPlace | undefined,
  environment: NodeJS.ProcessEnv,
): PasswordPlace | undefined {
  if (said !== undefined) return said;
  const variable = USER_VARIABLES[role].password;
  if (environment[variable]) return { environment: variable };
  return DERIVED.has(role) ? { derived: true } : undefined;
}

function nameOf(
  role: Named,
  said: string | undefined,
  environment: NodeJS.ProcessEnv,
  named: boolean,
  problems: DeployProblem[],
): string {
  const variable = role === 'admin' ? undefined : USER_VARIABLES[role].name;
  const given = variable === undefined ? undefined : environment[variable]?.trim() || undefined;
  const name = (named ? (said ?? given) : (given ?? said)) ?? NAMES[role];
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
    const path = ['redis', 'users', role, 'name'];
    problems.push({ path, message: 'up to 64 letters, digits, dashes and underscores', from: variable });
  }
  return name;
}

function repeated(users: readonly DeployUser[]): DeployProblem[] {
  const seen = new Map<string, DeployUserRole>();
  return users.flatMap(({ name, role }) => {
    const other = seen.get(name);
    seen.set(name, role);
    if (other === undefined) return [];
    const path = role === 'further' ? ['redis', 'users', 'further', name] : ['redis', 'users', role];
    return [{ path, message: `the user ${other} is named ${name} as well` }];
  });
}

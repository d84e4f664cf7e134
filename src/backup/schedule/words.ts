/** The flags of a command as the words of another run of it, from any folder. Pure, but for the working folder. */
import path from 'node:path';

/** Flags whose values are paths. `to` is one unless it is a bucket. */
const PATHS: ReadonlySet<string> = new Set([
  'config',
  'env-file',
  'password-file',
  'cacert',
  'cert',
  'key',
  's3-ca',
  'encryption-key-file',
  'log',
  'textfile',
]);
const SCHEME = /^[a-z0-9]+:\/\//i;

/** What is needed of a flag's definition. */
interface Definition {
  readonly type: 'boolean' | 'option';
  readonly default?: unknown;
}

/**
 * `--to /var/backups --partial …`: those that were given, and are not as they are without it.
 * @param values as they were parsed
 * @param definitions of the flags that are passed on; the others are not
 * @param found for flags that were not given, what was found in their place: the forge.yaml of this folder
 */
export function backupWords(
  values: Readonly<Record<string, unknown>>,
  definitions: Readonly<Record<string, Definition>>,
  found: Readonly<Record<string, string | undefined>>,
): string[] {
  const words = ['--quiet'];
  for (const [name, definition] of Object.entries(definitions)) {
    const value = values[name] ?? found[name];
    if (value === undefined || value === definition.default) continue;
    if (definition.type === 'boolean') words.push(value === true ? `--${name}` : `--no-${name}`);
    else
      for (const each of Array.isArray(value) ? value : [value]) words.push(`--${name}`, absolute(name, String(each)));
  }
  return words;
}

function absolute(name: string, value: string): string {
  if (name === 'data-dir') {
    const at = value.indexOf('=');
    return `${value.slice(0, at + 1)}${path.resolve(value.slice(at + 1))}`;
  }
  const isPath = PATHS.has(name) || (name === 'to' && !SCHEME.test(value));
  return isPath ? path.resolve(value) : value;
}

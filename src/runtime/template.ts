import { readFile } from 'node:fs/promises';
import { ForgeError } from '../errors.js';
import { packageFile } from '../package-root.js';

/** Absolute path of a file in the package's `templates` folder. */
export function templatePath(name: string): string {
  return packageFile('templates', name);
}

/** The text of a template. @throws ForgeError `missing` when the installation is incomplete */
export async function readTemplate(name: string): Promise<string> {
  try {
    return await readFile(templatePath(name), 'utf8');
  } catch (cause) {
    throw new ForgeError('missing', `The template ${templatePath(name)} cannot be read.`, {
      next: 'Install redisforge again; its package is incomplete.',
      cause,
    });
  }
}

/**
 * Replaces every `{{name}}`. A placeholder without a value, a value without a placeholder, and a value that would
 * start a line of its own are faults: a configuration is never quietly something else than it looks.
 */
export function renderTemplate(template: string, values: Readonly<Record<string, string | number>>): string {
  const unused = new Set(Object.keys(values));
  const rendered = template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`template: no value for {{${name}}}`);
    if (/[\r\n\0]/.test(String(value))) throw new Error(`template: the value for {{${name}}} has more than one line`);
    unused.delete(name);
    return String(value);
  });
  if (unused.size > 0) throw new Error(`template: no placeholder for ${[...unused].join(', ')}`);
  return rendered;
}

/**
 * A value as redis.conf and redis-cli read it back, whatever blanks, quotes, `#` or ends of lines it holds: always one line
 * (redis: sds.c, sdssplitargs).
 */
export function redisConfQuote(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what would not stay within the line.
  const escaped = value.replace(/[\\"]/g, '\\$&').replace(/[\0-\x1f\x7f]/g, (each) => {
    return `\\x${each.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}

/** The other way round, for one whole value. */
export function redisConfUnquote(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, code: string | undefined, other: string) =>
      code === undefined ? other : String.fromCharCode(Number.parseInt(code, 16)),
    );
}

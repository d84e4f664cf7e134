/** Which changes of a node's files it takes while it runs, and how it is told. Pure. */
import { isLive } from '../redis-config/settings.js';
import type { ServerVersion } from '../redis-config/version.js';
import { DEPLOYED_FILES } from '../runtime/deployed-redis.js';
import { NODE_FILES } from '../runtime/redis-server.js';
import { redisConfUnquote } from '../runtime/template.js';
import type { FileChange, FileEffect, LiveChange } from './effect.js';

/** The files of a node below `filesTarget`. */
export const REDIS_FILES = {
  config: NODE_FILES.config,
  /** What it logs in with at its master; apart, as it holds a password in clear. */
  auth: NODE_FILES.auth,
  acl: NODE_FILES.acl,
  /** What starts it, when what a power cut has left in its append-only file is cut off. */
  start: 'supervise.sh',
} as const;

/** Settings that are read again from their files by CONFIG SET, though the name of the file is the same. */
const TLS_FILE_OF = {
  'tls-cert-file': DEPLOYED_FILES.certificate,
  'tls-key-file': DEPLOYED_FILES.key,
  'tls-ca-cert-file': DEPLOYED_FILES.authority,
} as const;
type TlsSetting = keyof typeof TLS_FILE_OF;
const TLS_SETTINGS = Object.keys(TLS_FILE_OF) as TlsSetting[];
const TLS_FILES: ReadonlySet<string> = new Set(Object.values(TLS_FILE_OF));
const isTlsSetting = (name: string): name is TlsSetting => Object.hasOwn(TLS_FILE_OF, name);

/** How a running node takes these changes: by commands, or only by a start. */
export function redisEffect(changes: readonly FileChange[], version: ServerVersion): FileEffect {
  const live: LiveChange[] = [];
  const reasons: string[] = [];
  const tlsPaths = new Map<TlsSetting, string>();
  let tls = false;
  for (const change of changes) {
    if (change.path === REDIS_FILES.acl) {
      if (change.after === undefined || change.before === undefined) reasons.push('users begin to come from a file');
      else live.push({ to: 'redis', words: ['ACL', 'LOAD'], shown: 'ACL LOAD' });
    } else if (change.path === REDIS_FILES.auth) {
      for (const [name, values] of directivesOf(change.after ?? '')) live.push(configSet(name, values, true));
    } else if (change.path === REDIS_FILES.start) {
      // Its next start will be by this one.
    } else if (TLS_FILES.has(change.path)) {
      if (change.before === undefined || change.after === undefined) reasons.push(`${change.path} comes or goes`);
      tls = true;
    } else if (change.path === REDIS_FILES.config) {
      const result = configEffect(change, version);
      live.push(...result.live);
      reasons.push(...result.reasons);
      for (const [name, values] of directivesOf(change.after ?? '')) {
        if (isTlsSetting(name) && values.length === 1) tlsPaths.set(name, values[0] ?? '');
      }
    } else {
      reasons.push(`${change.path} is another`);
    }
  }
  // One command for all of them: a certificate without its key would be refused.
  if (tls) {
    const words = TLS_SETTINGS.flatMap((name) => [name, tlsPaths.get(name) ?? tlsPathOf(name)]);
    live.push({ to: 'redis', words: ['CONFIG', 'SET', ...words], shown: `CONFIG SET ${words.join(' ')}` });
  }
  return reasons.length > 0 ? { kind: 'replace', reasons } : { kind: 'live', changes: live };
}

/** Where its files lie inside a node's container. */
export const REDIS_FILES_TARGET = '/etc/redisforge';

/** The file that a node is told by a setting of its certificate. */
export function tlsPathOf(setting: TlsSetting): string {
  return `${REDIS_FILES_TARGET}/${TLS_FILE_OF[setting]}`;
}

function configEffect({ before, after, again }: FileChange, version: ServerVersion) {
  const live: LiveChange[] = [];
  const reasons: string[] = [];
  const [old, now] = [directivesOf(before ?? ''), directivesOf(after ?? '')];
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const [was, is] = [old.get(name), now.get(name)];
    if (was !== undefined && is !== undefined && was.join('\n') === is.join('\n')) {
      // Whether it was told is not known; telling it twice does no harm.
      if (again === true && isLive(name, version)) live.push(configSet(name, is, false));
      continue;
    }
    if (is === undefined) reasons.push(`${name} is no longer set`);
    else if (!isLive(name, version))
      reasons.push(`${name} ${shown(was)} → ${shown(is)}, which is taken at a start only`);
    else live.push(configSet(name, is, false));
  }
  return { live, reasons };
}

const shown = (values: readonly string[] | undefined) => (values === undefined ? 'unset' : values.join(', ') || '""');

function configSet(name: string, values: readonly string[], secret: boolean): LiveChange {
  // What takes several lines in the file takes them as one value, divided by blanks.
  const value = values.join(' ');
  return {
    to: 'redis',
    words: ['CONFIG', 'SET', name, value],
    shown: `CONFIG SET ${name} ${secret ? '…' : value === '' ? '""' : value}`,
  };
}

/** The directives of a redis.conf, each with its values by line: unquoted, comments and blank lines left out. */
export function directivesOf(text: string): Map<string, string[]> {
  const directives = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const blank = trimmed.search(/\s/);
    const name = (blank < 0 ? trimmed : trimmed.slice(0, blank)).toLowerCase();
    const value = blank < 0 ? '' : unquote(trimmed.slice(blank).trim());
    directives.set(name, [...(directives.get(name) ?? []), value]);
  }
  return directives;
}

/** One word in quotes as redis.conf reads it; several words stay as they are. */
function unquote(text: string): string {
  return /^"(?:[^"\\]|\\.)*"$/.test(text) ? redisConfUnquote(text) : text;
}

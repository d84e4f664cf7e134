/** Which changes of a node's files it takes while it runs, and how it is told. Pure. */
import { isLive } from '../redis-config/settings.js';
import type { ServerVersion } from '../redis-config/version.js';
import type { FileChange, FileEffect, LiveChange } from './effect.js';

/** The files of a node below `filesTarget`. */
export const REDIS_FILES = {
  config: 'redis.conf',
  /** What it logs in with at its master; apart, as it holds a password in clear. */
  auth: 'replication-auth.conf',
  acl: 'users.acl',
  tls: 'tls/',
} as const;

/** Settings that are read again from their files by CONFIG SET, though the name of the file is the same. */
const TLS_SETTINGS = ['tls-cert-file', 'tls-key-file', 'tls-ca-cert-file'];

/** How a running node takes these changes: by commands, or only by a start. */
export function redisEffect(changes: readonly FileChange[], version: ServerVersion): FileEffect {
  const live: LiveChange[] = [];
  const reasons: string[] = [];
  const tlsPaths = new Map<string, string>();
  let tls = false;
  for (const change of changes) {
    if (change.path === REDIS_FILES.acl) {
      if (change.after === undefined || change.before === undefined) reasons.push('users begin to come from a file');
      else live.push({ to: 'redis', words: ['ACL', 'LOAD'], shown: 'ACL LOAD' });
    } else if (change.path === REDIS_FILES.auth) {
      for (const [name, values] of directivesOf(change.after ?? '')) live.push(configSet(name, values, true));
    } else if (change.path.startsWith(REDIS_FILES.tls)) {
      if (change.before === undefined || change.after === undefined) reasons.push(`${change.path} comes or goes`);
      tls = true;
    } else if (change.path === REDIS_FILES.config) {
      const result = configEffect(change, version);
      live.push(...result.live);
      reasons.push(...result.reasons);
      for (const [name, values] of directivesOf(change.after ?? '')) {
        if (TLS_SETTINGS.includes(name) && values.length === 1) tlsPaths.set(name, values[0] ?? '');
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

/** Where the files of TLS lie inside a node's container. */
export const REDIS_FILES_TARGET = '/etc/redisforge';

const TLS_FILE_OF: Readonly<Record<string, string>> = {
  'tls-cert-file': 'server.crt',
  'tls-key-file': 'server.key',
  'tls-ca-cert-file': 'ca.crt',
};

export function tlsPathOf(setting: string): string {
  return `${REDIS_FILES_TARGET}/${REDIS_FILES.tls}${TLS_FILE_OF[setting] ?? ''}`;
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
  const match = /^"((?:[^"\\]|\\.)*)"$/.exec(text);
  return match?.[1] === undefined ? text : match[1].replace(/\\(.)/g, '$1');
}

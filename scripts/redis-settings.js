// What a server says of its own settings: their names, whether CONFIG SET takes them, and which values they may have.
// Nothing is taken from documentation: values are tried, and the server's refusals are read.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const TRY_TIMEOUT_MS = 10_000;
/** Comes after what is tried: a complaint about it means that everything before was taken. */
const SENTINEL = 'port none';

/** Old and new words for the same setting; the key is what they have in common. */
export function settingKey(name) {
  if (name === 'lua-time-limit') return 'busy-reply-threshold';
  return name
    .replaceAll('_', '-')
    .replace('slave', 'replica')
    .replace('ziplist', 'listpack')
    .replace(/^primary(?=auth$|user$)/, 'master');
}

/**
 * The settings of a server: name, whether it is taken live, and the kind of its value.
 * @param redis a connection to a running server of this kind
 * @param executable the same server's executable, for what can only be tried at its start
 */
export async function readSettings(redis, executable) {
  const flat = await redis.call('CONFIG', 'GET', '*');
  const values = new Map();
  for (let index = 0; index < flat.length; index += 2) values.set(flat[index], flat[index + 1]);
  const folder = mkdtempSync(path.join(tmpdir(), 'forge-settings-'));
  try {
    const settings = [];
    for (const [name, value] of values) {
      const key = settingKey(name);
      if (key !== name && values.has(key)) continue;
      const live = await redis.call('CONFIG', 'SET', name, value).then(
        () => true,
        (error) => !/can't set (immutable|protected)/.test(error.message),
      );
      settings.push({ name, live, kind: kindOf(executable, folder, name) });
    }
    return settings.sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * `bool`, `enum a b`, `enums a b` (several words), `int MIN MAX`, `memory`, `memory MIN MAX`, `percent` (or memory),
 * `octal`, `text`, `special` (a grammar of its own).
 */
function kindOf(executable, folder, name) {
  const refusal = (value) => tryLine(executable, folder, `${name} ${value}`);
  const word = refusal('no-such-value');
  if (/must be 'yes' or 'no'/.test(word)) return 'bool';
  const words = /must be one of the following: (.*)$/.exec(word)?.[1]?.split(', ');
  if (words !== undefined) return `${refusal(`${words[0]} ${words[1]}`) === '' ? 'enums' : 'enum'} ${words.join(' ')}`;
  if (/octal/.test(word)) return 'octal';
  if (/memory or percent/.test(word)) return 'percent';
  if (/memory value/.test(word)) {
    const [least, most] = range(refusal, ['0', '1', '9223372036854775807']) ?? [0, undefined];
    return most === undefined ? 'memory' : `memory ${least} ${most}`;
  }
  if (/parsed into an integer/.test(word)) {
    const [least, most] = range(refusal, ['-9223372036854775807', '9223372036854775807']) ?? [];
    return least === undefined ? 'int' : `int ${least} ${most}`;
  }
  return word === '' ? 'text' : 'special';
}

/** Bounds that a refusal names; those that no number of JavaScript can hold are left open. */
function range(refusal, values) {
  for (const value of values) {
    const match = /must be between (-?\d+) and (-?\d+) inclusive/.exec(refusal(value));
    if (match === null) continue;
    const open = (text) => (Number.isSafeInteger(Number(text)) ? text : '*');
    return [open(match[1]), open(match[2])];
  }
  return undefined;
}

/** What the server refuses a line of its configuration with; nothing when it takes it. It never gets as far as to run. */
function tryLine(executable, folder, line) {
  const result = spawnSync(executable, ['-'], {
    cwd: folder,
    input: `${line}\n${SENTINEL}\n`,
    encoding: 'utf8',
    timeout: TRY_TIMEOUT_MS,
  });
  const lines = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.split('\n').map((each) => each.trim());
  const at = lines.findIndex((each) => each.startsWith('>>>'));
  if (result.error || at < 0)
    throw new Error(`${executable} with "${line}": ${result.error?.message ?? lines.join(' ')}`);
  return lines[at].includes(`'${SENTINEL}'`) ? '' : (lines.slice(at + 1).find((each) => each !== '') ?? 'refused');
}

/** The table of all servers as the source of a module. Where they agree, a setting has one row. */
export function renderSettings(servers, tables) {
  const rows = new Map();
  for (const server of Object.keys(servers)) {
    for (const { name, live, kind } of tables[server]) {
      const rest = `${live ? 'live' : 'restart'}|${kind}`;
      const same = rows.get(name) ?? new Map();
      rows.set(name, same.set(rest, [...(same.get(rest) ?? []), server]));
    }
  }
  const all = Object.keys(servers).length;
  const lines = [...rows.keys()].sort().flatMap((name) =>
    [...rows.get(name)].map(([rest, where]) => {
      const [when, kind] = rest.split('|');
      return `${name}|${where.length === all ? '*' : where.join(' ')}|${when}|${kind}`;
    }),
  );
  const versions = Object.entries(servers).map(([server, version]) => `${server} (${version})`);
  return `// Generated by scripts/generate-redis-settings.js from running servers: ${versions.join(', ')}. Do not edit.

/** The servers' versions that the table was generated from. */
export const GENERATED_FROM = {
${Object.entries(servers)
  .map(([server, version]) => `  '${server}': '${version}',`)
  .join('\n')}
} as const;

/** NAME|SERVERS, where * is all|live or restart|KIND: what CONFIG GET tells, what CONFIG SET and a start refuse. */
export const SETTING_ROWS = \`
${lines.join('\n')}
\`;
`;
}

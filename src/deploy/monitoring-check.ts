/**
 * Proves the files of Prometheus and Alertmanager by their own tools, in a scratch container of the image that will run
 * them. It has no network, and is gone when the tool has spoken.
 */
import { createHash } from 'node:crypto';
import type { ArchiveEntry } from '../docker/archive.js';
import { changes, type DockerCommand } from '../docker/command.js';
import { CONTAINER_USER, type DesiredContainer } from './container.js';

const FOLDER = '/tmp/check';
const TIMEOUT_MS = 60_000;
const MEMORY = '512m';
const HASH_CHARACTERS = 16;
/** What the script says last. */
const VERDICTS = { right: 'REDISFORGE right', wrong: 'REDISFORGE wrong', none: 'REDISFORGE none' } as const;
/** Only configuration is proved: a secret has no place in a scratch container. */
const SECRETS = /^secrets\//;
const LINES_MAX = 12;

const TOOLS: Readonly<Partial<Record<DesiredContainer['role'], readonly [string, ...string[]]>>> = {
  prometheus: ['promtool', 'check', 'config', `${FOLDER}/prometheus.yml`],
  alertmanager: ['amtool', 'check-config', `${FOLDER}/alertmanager.yml`],
};

/** The check of a container's files; undefined for roles that have none. */
export function checkCommand({ role, options, files }: DesiredContainer): DockerCommand | undefined {
  const tool = TOOLS[role];
  if (tool === undefined) return undefined;
  const user = `${CONTAINER_USER.uid}:${CONTAINER_USER.gid}`;
  return {
    ...changes(
      [
        ...['run', '--rm', '--interactive', '--pull', options.pull, '--network', 'none', '--no-healthcheck'],
        ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', user],
        ...['--memory', MEMORY, '--tmpfs', '/tmp:rw,noexec,nosuid,nodev', '--log-driver', 'none'],
        ...['--entrypoint', 'sh', options.image, '-s'],
      ],
      TIMEOUT_MS,
    ),
    input: {
      bytes: Buffer.from(checkScript(files, tool)),
      description: `the files of ${options.name} and: ${tool.slice(0, -1).join(' ')}`,
    },
  };
}

/** A script that lays the files out and has the tool look at them. */
export function checkScript(files: readonly ArchiveEntry[], tool: readonly [string, ...string[]]): string {
  const lines = ['set -eu', `mkdir ${FOLDER}`];
  for (const { path, content } of files) {
    if (SECRETS.test(path)) continue;
    const target = `'${FOLDER}/${path.replaceAll("'", `'\\''`)}'`;
    if (content === undefined) {
      lines.push(`mkdir -p ${target}`);
      continue;
    }
    const text = Buffer.from(content).toString('utf8');
    // No line of the text is its own hash.
    const end = `END-${createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS)}`;
    lines.push(`cat >${target} <<'${end}'`, text.replace(/\n$/, ''), end);
  }
  return [
    ...lines,
    `if ! command -v ${tool[0]} >/dev/null; then echo '${VERDICTS.none}'; exit 0; fi`,
    `if ${tool.join(' ')} 2>&1; then echo '${VERDICTS.right}'; else echo '${VERDICTS.wrong}'; fi`,
    '',
  ].join('\n');
}

export type Verdict =
  | { readonly kind: 'right' }
  /** The image does not have the tool. */
  | { readonly kind: 'none' }
  | { readonly kind: 'wrong'; readonly lines: readonly string[] };

/** What the tool said. Names of files are as they are below the container's folder. */
export function readVerdict(output: string): Verdict {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const last = lines.pop();
  if (last === VERDICTS.right) return { kind: 'right' };
  if (last === VERDICTS.none) return { kind: 'none' };
  const said = lines.map((line) => line.trim().replaceAll(`${FOLDER}/`, ''));
  const telling = said.filter((line) => /fail|error|invalid|unsupported|unknown|not/i.test(line));
  return { kind: 'wrong', lines: (telling.length > 0 ? telling : said).slice(0, LINES_MAX) };
}

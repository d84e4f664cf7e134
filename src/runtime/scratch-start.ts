/** The proof of a configuration: the server itself starts with it, reachable by nobody, and is ended again. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForgeError } from '../errors.js';
import type { NodePlaces } from './deployed-redis.js';
import { writeFileAtomic } from './files.js';
import { plainEnvironment } from './redis-server.js';
import type { InstanceFile } from './runtime.js';

const START_MS = 10_000;
const POLL_MS = 20;
const PROBE_MS = 1_000;
const OUTPUT_CHARACTERS_MAX = 16 * 1024;
const SOCKET = 'scratch.sock';

/**
 * What comes after the server's program so that it reads a configuration and does nothing else: it listens on a Unix
 * socket alone, belongs to no cluster, and keeps no data. The command line wins over the file.
 * @param directory where it works
 */
export function scratchArguments(
  config: string,
  directory: string,
  socket = path.posix.join(directory, SOCKET),
): string[] {
  return [
    config,
    ...['--port', '0', '--tls-port', '0', '--unixsocket', socket, '--unixsocketperm', '700'],
    ...['--cluster-enabled', 'no', '--appendonly', 'no', '--save', '', '--dir', directory, '--logfile', ''],
    ...['--daemonize', 'no', '--supervised', 'no'],
  ];
}

/**
 * Starts the server with these files, in a folder of its own, until it answers. Certificates are read as well: they
 * must fit their keys.
 * @param program absolute path of the server
 * @param render the files of a node at given places
 * @throws ForgeError `configuration` with the server's own words for what it refuses; `timeout` when it neither ends nor
 *   answers within ten seconds
 */
export async function proveRedisFiles(
  program: string,
  render: (places: NodePlaces) => Promise<readonly InstanceFile[]>,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-prove-'));
  try {
    const files = await render({ config: directory, data: directory, bind: '127.0.0.1' });
    for (const file of files) await writeFileAtomic(file.path, file.content, file.mode);
    const config = files[0]?.path ?? '';
    await start(program, scratchArguments(config, directory), path.join(directory, SOCKET), signal);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function start(program: string, args: readonly string[], socket: string, signal?: AbortSignal): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: plainEnvironment() });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = `${output}${chunk.toString('utf8')}`.slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let end: { failure?: Error } | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (failure) => {
      end = { failure };
      resolve();
    });
    child.once('close', () => {
      end ??= {};
      resolve();
    });
  });
  try {
    const begun = performance.now();
    while (performance.now() - begun < START_MS) {
      signal?.throwIfAborted();
      if (end !== undefined) throw refusal(program, output, end.failure);
      if (await answers(socket)) return;
      await Promise.race([ended, sleep(POLL_MS)]);
    }
    throw new ForgeError('timeout', `${program} neither starts nor ends with this configuration.`, {
      next: 'Try again; the machine may be busy.',
      details: { output: lastLines(output) },
    });
  } finally {
    if (end === undefined) child.kill('SIGKILL');
    await ended;
  }
}

/** Whether something answers PING there; that a password is needed is an answer. */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = net.connect({ path: socket });
    const finish = (answer: boolean) => {
      connection.destroy();
      resolve(answer);
    };
    connection.setTimeout(PROBE_MS, () => finish(false));
    connection.once('error', () => finish(false));
    connection.once('close', () => finish(false));
    connection.once('connect', () => connection.write('PING\r\n'));
    // -LOADING comes while it still reads; anything else means that it has read its configuration.
    connection.once('data', (data) => finish(/^(?:\+PONG|-NOAUTH|-DENIED)/.test(data.toString('latin1'))));
  });
}

function refusal(program: string, output: string, failure?: Error): ForgeError {
  if (failure !== undefined) {
    return new ForgeError('missing', `${program} does not run.`, { next: `Try: ${program} --version`, cause: failure });
  }
  const words = saidOf(output);
  return new ForgeError('configuration', `${path.basename(program)} refuses its configuration: ${words.join(' ')}`, {
    next: 'Correct the setting in forge.yaml (redis.settings), the environment or --set.',
    details: { output: lastLines(output) },
  });
}

/** The line that is refused and why, of the server's first words; no line that holds a secret. */
function saidOf(output: string): string[] {
  const lines = output.split('\n').map((line) => line.trim());
  const at = lines.findIndex((line) => line.startsWith('>>>'));
  const found = at < 0 ? lastLines(output, 3) : lines.slice(at, at + 2).map((line) => line.replace(/^>>> /, ''));
  return found.map(withoutSecret);
}

function lastLines(output: string, count = 8): string[] {
  return output
    .split('\n')
    .map((line) => withoutSecret(line.trim()))
    .filter((line) => line !== '')
    .slice(-count);
}

function withoutSecret(line: string): string {
  return /masterauth|requirepass|key-file-pass/i.test(line)
    ? line.replace(/(masterauth|requirepass|pass)\b.*/i, '$1 …')
    : line;
}

/**
 * A server of our own, which loads what a backup holds and is asked about it. It listens on a Unix socket in a folder of
 * this user alone, keeps nothing, and ends with this process, however that ends: a shell beside it waits for the end of
 * a pipe.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { NodeConnection } from '../../cluster/node-connection.js';
import { infoNumber, parseInfo } from '../../cluster/parse-info.js';
import { ForgeError } from '../../errors.js';
import { plainEnvironment } from '../../runtime/redis-server.js';
import { kindText, type ServerProgram } from './choose.js';
import { noteServer, removeScratchFolder } from './folder.js';

/** Longest time without a sign of life, from the start to the end of loading. */
const SILENCE_MAX_MS = 60_000;
const POLL_MS = 25;
const POLL_MAX_MS = 500;
const CONNECT_MS = 5_000;
/** A command on a server of our own: one that reads a value of 512 MiB takes some seconds. */
const COMMAND_MS = 120_000;
const END_MS = 30_000;
const OUTPUT_CHARACTERS_MAX = 16 * 1024;
const WORDS_MAX = 3;
const SOCKET = 'socket';
export const DUMP_FILE = 'dump.rdb';
/** Within the scratch folder: what is loaded. */
export const DATA_FOLDER = 'data';

/** Ends the server when standard input ends, which it does with the process that holds its other end. */
const SUPERVISOR = `exec 3<&0
"$@" </dev/null 3<&- &
server=$!
exec >/dev/null 2>&1
( cat <&3; kill -KILL "$server" ) &
watcher=$!
wait "$server"
kill "$watcher"
rm -rf -- "$FORGE_SCRATCH_FOLDER"`;

export interface StartScratchOptions {
  readonly server: ServerProgram;
  /** From `makeScratchFolder`; holds what is to be loaded. Removed when the server ends, or does not start. */
  readonly folder: string;
  /** For messages: what is loaded. */
  readonly what: string;
  /** An append-only file rather than an RDB: its folder and the beginning of its files' names. */
  readonly appendOnly?: { readonly directory: string; readonly file: string };
  readonly signal: AbortSignal;
  /** Told while it loads: 0 to 100. */
  readonly onLoading?: (percent: number) => void;
}

export interface ScratchServer {
  readonly what: string;
  /** A connection of its own, closed by the caller or with the server. */
  connect(): Promise<NodeConnection>;
  /** Keys that the file had and that are not there any more, because their time had come. */
  expired(): Promise<number>;
  /** Ends it and removes its folder. Safe to call twice. */
  stop(): Promise<void>;
}

function argumentsOf({ folder, appendOnly }: StartScratchOptions): string[] {
  const files =
    appendOnly === undefined
      ? ['--appendonly', 'no', '--dbfilename', DUMP_FILE]
      : [
          ...['--appendonly', 'yes', '--appenddirname', appendOnly.directory, '--appendfilename', appendOnly.file],
          ...['--auto-aof-rewrite-percentage', '0'],
        ];
  return [
    ...['--port', '0', '--unixsocket', path.join(folder, SOCKET), '--unixsocketperm', '700'],
    ...[
      '--dir',
      path.join(folder, DATA_FOLDER),
      '--save',
      '',
      '--daemonize',
      'no',
      '--supervised',
      'no',
      '--logfile',
      '',
      '--loglevel',
      'notice',
    ],
    // Values are looked at as if a stranger had sent them: what is damaged is found, and not crashed on.
    ...['--sanitize-dump-payload', 'yes', '--enable-debug-command', 'local', ...files],
  ];
}

/**
 * Starts it and waits until all is loaded.
 * @throws ForgeError `verification` with the server's own words where it does not load it, `timeout` where it does
 *   nothing for a minute, `missing` where it does not run
 */
export async function startScratch(options: StartScratchOptions): Promise<ScratchServer> {
  const { server, folder, signal } = options;
  const running = new Running(options);
  try {
    signal.throwIfAborted();
    const pid = await running.spawn(server.program, argumentsOf(options));
    await noteServer(folder, pid);
    await running.load();
    return running;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

class Running implements ScratchServer {
  readonly #options: StartScratchOptions;
  readonly #connections = new Set<NodeConnection>();
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #hasEnded = false;
  #output = '';
  #stopping: Promise<void> | undefined;

  constructor(options: StartScratchOptions) {
    this.#options = options;
  }

  get what(): string {
    return this.#options.what;
  }

  async spawn(program: string, args: readonly string[]): Promise<number> {
    const { folder, server, signal } = this.#options;
    const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'forge-scratch', program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), FORGE_SCRATCH_FOLDER: folder },
      // Of a group of its own: Ctrl-C of a terminal is for this process, which then ends it.
      detached: true,
    });
    this.#child = child;
    const keep = (chunk: Buffer) => {
      this.#output = `${this.#output}${chunk.toString('utf8')}`.slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.stdin?.on('error', () => undefined);
    const abort = () => child.stdin?.end();
    signal.addEventListener('abort', abort, { once: true });
    this.#ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    }).then(() => {
      this.#hasEnded = true;
      signal.removeEventListener('abort', abort);
    });
    if (child.pid === undefined) {
      throw new ForgeError('missing', `${server.program} does not run here.`, {
        next: `Try: ${server.program} --version`,
      });
    }
    return child.pid;
  }

  async load(): Promise<void> {
    const { signal, onLoading, what } = this.#options;
    let heardAt = performance.now();
    let sign = '';
    let waitMs = POLL_MS;
    for (;;) {
      signal.throwIfAborted();
      if (this.#hasEnded) throw this.#refusal();
      const info = await this.#look().catch(() => undefined);
      if (info !== undefined && info.get('loading') === '0') return;
      const now = `${info?.size ?? 0} ${info?.get('loading_loaded_bytes') ?? ''}`;
      if (now !== sign) heardAt = performance.now();
      sign = now;
      if (info !== undefined) onLoading?.(infoNumber(info, 'loading_loaded_perc') ?? 0);
      if (performance.now() - heardAt > SILENCE_MAX_MS) {
        throw new ForgeError('timeout', `${what}: the server that loads it has done nothing for a minute.`, {
          next: 'Look at the load of this host, and at the disk of FORGE_SCRATCH_DIR.',
          details: { output: this.#words() },
        });
      }
      await Promise.race([this.#ended, sleep(waitMs)]);
      waitMs = Math.min(POLL_MAX_MS, waitMs * 2);
    }
  }

  async #look(): Promise<ReadonlyMap<string, string>> {
    const connection = await this.connect();
    try {
      return parseInfo(await connection.callText('INFO', 'persistence'));
    } finally {
      connection.close();
      this.#connections.delete(connection);
    }
  }

  async connect(): Promise<NodeConnection> {
    const { folder, what } = this.#options;
    const client = new Redis({
      path: path.join(folder, SOCKET),
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      commandTimeout: COMMAND_MS,
      retryStrategy: null,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      disableClientInfo: true,
      protocol: 2,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (cause) {
      client.disconnect();
      throw new ForgeError('unreachable', `${what}: the server that has loaded it does not answer.`, { cause });
    }
    const connection = new NodeConnection(client, { label: `the server of ${what}`, ip: '', passwordUnused: false });
    this.#connections.add(connection);
    return connection;
  }

  async expired(): Promise<number> {
    const connection = await this.connect();
    try {
      const info = parseInfo(await connection.callText('INFO', 'everything'));
      return (infoNumber(info, 'rdb_last_load_keys_expired') ?? 0) + (infoNumber(info, 'expired_keys') ?? 0);
    } finally {
      connection.close();
      this.#connections.delete(connection);
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  async #end(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    const child = this.#child;
    if (child?.pid !== undefined && !this.#hasEnded) {
      child.stdin?.end();
      const late = new AbortController();
      await Promise.race([this.#ended, sleep(END_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
      // The group is the shell, what it waits with, and the server.
      if (!this.#hasEnded) process.kill(-child.pid, 'SIGKILL');
    }
    await removeScratchFolder(this.#options.folder);
  }

  #words(): string[] {
    const lines = this.#output
      .split('\n')
      .map((line) => line.replace(/^\d+:[A-Z] .*? [.*#-] /, '').trim())
      .filter((line) => line !== '' && !/^(RDB|Done loading|\* |\[info\]|\[additional info\])/.test(line));
    const clear = lines.filter((line) => /error|short read|bad |can't|fatal|unexpected|wrong|invalid/i.test(line));
    return (clear.length > 0 ? clear : lines).slice(-WORDS_MAX);
  }

  #refusal(): ForgeError {
    const { what, server, signal } = this.#options;
    signal.throwIfAborted();
    const words = this.#words();
    const last = words.join(' ') || 'it ended without a word';
    const newer = /Can't handle RDB format version|can't load: no matching module|Unknown RDB encoding/i.test(last);
    return new ForgeError(
      newer ? 'missing' : 'verification',
      `${what}: ${kindText(server)} does not load it: ${last}`,
      {
        next: newer
          ? 'Set FORGE_REDIS_SERVER to a server that can read it (with the same modules).'
          : 'Take another backup of the list: forge backup list.',
        details: { output: words },
      },
    );
  }
}

/** The real proxy executable for tests: started on free loopback ports, asked over its admin pages, stopped by pid. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from './ports.js';
import { poll } from './redis.js';

const START_MS = 15_000;
/** The proxy drains for up to 5 s. */
const STOP_MS = 8_000;
const RUN_MS = 15_000;
const PAGE_MS = 5_000;
const START_ATTEMPTS_MAX = 3;
const STDERR_CHARACTERS_MAX = 1024 * 1024;

/** Exit code for a port that is in use (docs/exit-codes.md). */
const EXIT_REFUSED = 5;

/** The executable under test: FORGE_PROXY_BIN, else `bin/forge-proxy`. Throws when it is not built. */
export function proxyExecutable(): string {
  const given = process.env['FORGE_PROXY_BIN'];
  const program = given ? path.resolve(given) : fileURLToPath(new URL('../../bin/forge-proxy', import.meta.url));
  try {
    accessSync(program, constants.X_OK);
  } catch {
    throw new Error(`${program} is missing: build it with \`node scripts/build.js --proxy\``);
  }
  return program;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StartProxyOptions {
  /** Nodes to learn the cluster from: `host:port,host:port`. Not with `config`. */
  cluster?: string;
  /** A configuration; `admin` and the listener's `address` are filled in when they are missing. */
  config?: Record<string, unknown>;
  /** 1 when not given, so that a test says what it means. */
  workers?: number;
  env?: Record<string, string>;
  args?: readonly string[];
  port?: number;
  adminPort?: number;
  /** What to wait for: the topology is read (`live`, the default), or only that it listens. */
  until?: 'live' | 'listening';
}

export interface Page {
  status: number;
  type: string;
  body: string;
}

export interface RunningProxy {
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  /** `host:port`. */
  readonly address: string;
  readonly pid: number;
  /** Everything that it has written to standard error. */
  stderr(): string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<Ended>;
  page(path: string, method?: string): Promise<Page>;
  /** Writes another configuration to its file; without `reload`, it does not look at it. */
  configure(config: Record<string, unknown> | string): Promise<void>;
  /** Has it read its configuration again; gives what it answers. */
  reload(dryRun?: boolean): Promise<{ outcome: string; changes: string[]; restart: string[]; error?: string }>;
  /** Statistics whose name contains the expression, as `/stats?format=json` gives them. */
  stats(filter?: string): Promise<Record<string, number>>;
  /** Resident memory in bytes, from /proc. */
  rssBytes(): number;
  signal(signal: NodeJS.Signals): void;
  /** Ends it (SIGTERM, then SIGKILL) and resolves with how it ended. Safe to call twice. */
  stop(): Promise<Ended>;
}

/** What the proxy inherits: nothing that could change its behaviour. */
function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...extra };
}

/** Writes a configuration to a directory of its own. The caller removes the directory. */
export async function writeConfig(content: string | Record<string, unknown>): Promise<{ file: string; dir: string }> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'forge-proxy-'));
  const file = path.join(dir, 'proxy.yaml');
  await writeFile(file, typeof content === 'string' ? content : stringify(content));
  return { file, dir };
}

/** Starts the proxy and waits until it is ready. Throws with what it wrote when it does not get there. */
export async function startProxy(options: StartProxyOptions): Promise<RunningProxy> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryToStart(options);
    } catch (error) {
      // Somebody may have taken the port between the choice and the start.
      const busy = error instanceof StartFailure && error.code === EXIT_REFUSED;
      if (!busy || options.port !== undefined || attempt >= START_ATTEMPTS_MAX) throw error;
    }
  }
}

class StartFailure extends Error {
  constructor(
    message: string,
    readonly code: number | null,
  ) {
    super(message);
  }
}

/** A configuration with the addresses filled in that it leaves open. */
function completed(config: Record<string, unknown>, port: number, adminPort: number): Record<string, unknown> {
  const [listener, ...others] = config['listeners'] as Record<string, unknown>[];
  return {
    admin: { address: `127.0.0.1:${adminPort}` },
    workers: 1,
    ...config,
    listeners: [{ address: `127.0.0.1:${port}`, ...listener }, ...others],
  };
}

async function tryToStart(options: StartProxyOptions): Promise<RunningProxy> {
  const program = proxyExecutable();
  const port = options.port ?? (await freePort());
  const adminPort = options.adminPort ?? (await freePort());
  const words = [...(options.args ?? [])];
  let dir: string | undefined;
  if (options.config !== undefined) {
    const written = await writeConfig(completed(options.config, port, adminPort));
    dir = written.dir;
    words.push('--config', written.file);
  } else {
    words.push('--cluster', options.cluster ?? '', '--workers', String(options.workers ?? 1));
    words.push('--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${adminPort}`);
  }
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'], env: environment(options.env) });
  const proxy = handle(child, port, adminPort, dir);
  try {
    await poll(`the proxy on port ${port} is ready`, START_MS, async () => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
        throw new StartFailure(`the proxy ended with code ${child.exitCode}:\n${proxy.stderr()}`, child.exitCode);
      }
      if (!proxy.stderr().includes(`listening on 127.0.0.1:${port}`)) return false;
      if (options.until === 'listening') return true;
      const ready = await proxy.page('/ready').catch(() => undefined);
      return ready?.status === 200;
    });
  } catch (error) {
    await proxy.stop();
    if (error instanceof StartFailure) throw error;
    throw new Error(`${(error as Error).message}; it wrote:\n${proxy.stderr()}`);
  }
  return proxy;
}

function handle(child: ChildProcess, port: number, adminPort: number, dir: string | undefined): RunningProxy {
  let written = '';
  child.stderr?.setEncoding('utf8');
  child.stderr?.on('data', (text: string) => {
    written = (written + text).slice(-STDERR_CHARACTERS_MAX);
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('error', (error) => {
      written += error.message;
      resolve({ code: null, signal: null });
    });
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  const page = async (address: string, method = 'GET'): Promise<Page> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${address}`, {
      method,
      signal: AbortSignal.timeout(PAGE_MS),
    });
    return {
      status: response.status,
      type: response.headers.get('content-type') ?? '',
      body: await response.text(),
    };
  };
  return {
    host: '127.0.0.1',
    port,
    adminPort,
    address: `127.0.0.1:${port}`,
    pid: child.pid ?? -1,
    stderr: () => written,
    ended,
    page,
    async configure(config) {
      const text = typeof config === 'string' ? config : stringify(completed(config, port, adminPort));
      await writeFile(path.join(dir as string, 'proxy.yaml'), text);
    },
    async reload(dryRun = false) {
      return JSON.parse((await page(dryRun ? '/reload?dry_run' : '/reload', 'POST')).body);
    },
    async stats(filter = '') {
      const { body } = await page(`/stats?format=json&filter=${encodeURIComponent(filter)}`);
      const { stats } = JSON.parse(body) as { stats: { name: string; value: number }[] };
      return Object.fromEntries(stats.map(({ name, value }) => [name, value]));
    },
    rssBytes() {
      const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      return Number(kilobytes) * 1024;
    },
    signal: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      const result = await ended;
      clearTimeout(late);
      if (dir !== undefined) await rm(dir, { recursive: true, force: true });
      return result;
    },
  };
}

/** Runs the proxy until it ends by itself, for calls that are refused or only check. Bounded. */
export async function runProxy(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended & { stdout: string; stderr: string }> {
  const child = spawn(proxyExecutable(), args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(env) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const late = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
  const ended = await new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(late);
  return { ...ended, stdout, stderr };
}

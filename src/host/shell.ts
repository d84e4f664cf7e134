/** A shell on a host: this machine's, or another's over SSH. Every run has a bound in time and in output. */
import { spawn } from 'node:child_process';
import { ForgeError } from '../errors.js';
import { type HostTarget, type SshDestination, sshArguments, sshWords } from './target.js';

const CONNECT_S = 5;
const RUN_MS = 15_000;
const OUTPUT_BYTES_MAX = 1024 * 1024;
/** What ssh itself ends with when it has no connection. */
const SSH_FAILED = 255;
const SHOWN_MAX = 300;

export interface ShellRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShellOptions {
  /** What the script reads on its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface HostShell {
  readonly target: HostTarget;
  /**
   * Runs a POSIX shell script with arguments. The script is one line when it is short; a longer one goes through
   * `runScript`.
   * @throws ForgeError `unreachable`, `denied` (SSH lets nobody in), `timeout`, or `missing` (no ssh)
   */
  run(script: string, args: readonly string[], options?: ShellOptions): Promise<ShellRun>;
  /** Runs a script of any length, which is sent on standard input. */
  runScript(script: string, args: readonly string[], options?: Omit<ShellOptions, 'input'>): Promise<ShellRun>;
}

/** One word for a POSIX shell. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export interface OpenShellOptions {
  /** Every command as root, by `sudo -n`, which asks for no password. */
  readonly sudo?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Connects nowhere yet: every run is a connection of its own. */
export function openShell(target: HostTarget, options: OpenShellOptions = {}): HostShell {
  const before = options.sudo ? ['sudo', '-n'] : [];
  const start = (words: readonly string[], run: ShellOptions) => {
    const whole = [...before, ...words];
    const [program = 'sh', ...args] = target.ssh === undefined ? whole : overSsh(target.ssh, whole);
    return execute(target, program, args, { ...run, environment: options.environment ?? process.env });
  };
  return {
    target,
    run: (script, args, run = {}) => start(['/bin/sh', '-c', script, 'sh', ...args], run),
    runScript: (script, args, run = {}) => start(['/bin/sh', '-s', '--', ...args], { ...run, input: script }),
  };
}

function overSsh(destination: SshDestination, words: readonly string[]): string[] {
  return ['ssh', ...sshArguments(destination, CONNECT_S), words.map(shellQuote).join(' ')];
}

interface ExecuteOptions extends ShellOptions {
  readonly environment: NodeJS.ProcessEnv;
}

async function execute(
  target: HostTarget,
  program: string,
  args: readonly string[],
  { input = '', timeoutMs = RUN_MS, signal, environment }: ExecuteOptions,
): Promise<ShellRun> {
  signal?.throwIfAborted();
  const run = await new Promise<ShellRun & { readonly ended?: 'late' | 'long' }>((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A question for a password or a host key would wait for a terminal for ever.
      env: { ...environment, SSH_ASKPASS_REQUIRE: 'never' },
      // A group of its own: what the shell started ends with it.
      detached: true,
    });
    const output = { stdout: '', stderr: '' };
    let ended: 'late' | 'long' | undefined;
    const end = (why?: 'late' | 'long') => {
      ended ??= why;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    };
    const timer = setTimeout(() => end('late'), timeoutMs);
    const abort = () => end();
    signal?.addEventListener('abort', abort, { once: true });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
        if (output[name].length > OUTPUT_BYTES_MAX) end('long');
      });
    }
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    child.once('error', (error) => {
      finish();
      reject(error);
    });
    child.once('close', (code) => {
      finish();
      resolve({ code: code ?? SSH_FAILED, ...output, ...(ended === undefined ? {} : { ended }) });
    });
    // A script that reads nothing may have ended before all is written.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  }).catch((cause: unknown) => {
    throw new ForgeError('missing', `${program} cannot be started.`, { next: `Install ${program}.`, cause });
  });
  signal?.throwIfAborted();
  if (run.ended === 'late') throw late(target, timeoutMs);
  if (run.ended === 'long') {
    throw new ForgeError('verification', `${target.name} says more than ${OUTPUT_BYTES_MAX} bytes.`, {
      host: target.name,
    });
  }
  if (target.ssh !== undefined && run.code === SSH_FAILED) throw sshFailure(target, target.ssh, run.stderr);
  return run;
}

function late({ name }: HostTarget, timeoutMs: number): ForgeError {
  return new ForgeError('timeout', `${name} did not answer within ${Math.round(timeoutMs / 1000)} s.`, {
    host: name,
    next: 'Check whether the host hangs: a dead network disk, or a login that waits for something.',
  });
}

/** Why SSH has no connection, in words, and what to do. The rule goes by what OpenSSH prints. */
export function sshFailure({ name }: HostTarget, destination: SshDestination, stderr: string): ForgeError {
  const said = stderr.trim().split('\n').filter(Boolean);
  const last = (said.at(-1) ?? 'no reason was given').replace(/\s+/g, ' ').slice(0, SHOWN_MAX);
  const words = sshWords(destination);
  const make = (kind: 'denied' | 'unreachable', message: string, next: string) =>
    new ForgeError(kind, `${name}: ${message}`, { host: name, next, details: { ssh: last } });
  if (/host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i.test(stderr)) {
    return make(
      'denied',
      'its SSH host key is not known here, or is another than before.',
      `Look at it, and accept it: ssh ${words}`,
    );
  }
  if (/permission denied|too many authentication failures/i.test(stderr)) {
    return make(
      'denied',
      'SSH lets nobody in without a question (a password is asked for, or the key is wrong).',
      `Set up a key: ssh-copy-id ${words}`,
    );
  }
  return make('unreachable', `SSH does not reach it: ${last}.`.replace(/\.\.$/, '.'), `Try: ssh ${words} true`);
}

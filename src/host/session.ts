/** One shell on a host, which runs one piece of a script after the other. Each has a bound in time and in output. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { ForgeError } from '../errors.js';
import { type ShellRun, shellQuote, sshFailure } from './shell.js';
import { type HostTarget, sshArguments } from './target.js';

const CONNECT_S = 5;
const START_MS = 15_000;
const CALL_MS = 15_000;
const END_MS = 5_000;
const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;
/** What ssh itself ends with when it has no connection. */
const SSH_FAILED = 255;
const SHOWN_MAX = 300;

export interface SessionOptions {
  /** As root, by `sudo -n`, which asks for no password. */
  readonly sudo?: boolean;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

export interface CallOptions {
  readonly timeoutMs?: number;
}

/** Close it. When the connection breaks, the shell ends by itself as soon as what it runs has ended. */
export class HostSession {
  readonly target: HostTarget;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number>;
  readonly #signal: AbortSignal;
  readonly #abort = () => this.#kill();
  #stdout = '';
  #stderr = '';
  #heard: () => void = () => undefined;
  #over = false;

  private constructor(target: HostTarget, child: ChildProcessWithoutNullStreams, signal: AbortSignal) {
    this.target = target;
    this.#child = child;
    this.#signal = signal;
    this.#ended = new Promise((resolve) => {
      child.once('error', () => resolve(SSH_FAILED));
      child.once('close', (code) => resolve(code ?? SSH_FAILED));
    }).then((code) => {
      this.#over = true;
      this.#heard();
      return code as number;
    });
    child.stdin.on('error', () => undefined);
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (name === 'stdout') this.#stdout += text;
        else this.#stderr = `${this.#stderr}${text}`.slice(-OUTPUT_CHARACTERS_MAX);
        if (this.#stdout.length > OUTPUT_CHARACTERS_MAX) this.#kill();
        this.#heard();
      });
    }
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /**
   * Connects, and runs the script, which defines what is called later.
   * @throws ForgeError `unreachable`, `denied`, `timeout`, or `missing` (no ssh)
   */
  static async open(target: HostTarget, script: string, options: SessionOptions): Promise<HostSession> {
    const { sudo = false, environment = process.env, signal } = options;
    signal.throwIfAborted();
    const words = [...(sudo ? ['sudo', '-n'] : []), '/bin/sh', '-s'];
    const [program = 'sh', ...args] =
      target.ssh === undefined ? words : ['ssh', ...sshArguments(target.ssh, CONNECT_S), words.join(' ')];
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment, SSH_ASKPASS_REQUIRE: 'never' },
      // Ctrl-C of a terminal is for this process, which then ends it.
      detached: true,
    });
    let missing: unknown;
    child.once('error', (error) => {
      missing = error;
    });
    const session = new HostSession(target, child, signal);
    try {
      const { code, stderr } = await session.#run(`${script}\n`, START_MS);
      if (code !== 0) throw session.#failure(`it ended with ${code}: ${stderr.trim().slice(0, SHOWN_MAX)}`);
      return session;
    } catch (error) {
      await session.close();
      if (missing === undefined) throw error;
      throw new ForgeError('missing', `${program} cannot be started.`, {
        next: `Install ${program}.`,
        cause: missing,
      });
    }
  }

  /**
   * Calls a function of the script.
   * @throws ForgeError `unreachable` when the connection breaks, `timeout`; then the session is of no more use
   */
  async call(words: readonly string[], { timeoutMs = CALL_MS }: CallOptions = {}): Promise<ShellRun> {
    return await this.#run(`${words.map(shellQuote).join(' ')} </dev/null\n`, timeoutMs);
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#abort);
    this.#child.stdin.end();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, END_MS);
    });
    await Promise.race([this.#ended, late]);
    clearTimeout(timer);
    this.#kill();
  }

  async #run(text: string, timeoutMs: number): Promise<ShellRun> {
    const mark = `forge-${randomBytes(12).toString('hex')}`;
    this.#stdout = '';
    this.#stderr = '';
    // What it says on standard error has come when its mark has.
    this.#child.stdin.write(`${text}code=$?; printf '\\n%s\\n' ${mark} >&2; printf '\\n%s %s\\n' ${mark} "$code"\n`);
    const end = performance.now() + timeoutMs;
    for (;;) {
      this.#signal.throwIfAborted();
      const found = new RegExp(`\\n${mark} ([0-9]+)\\n`).exec(this.#stdout);
      const said = this.#stderr.indexOf(`\n${mark}\n`);
      if (found !== null && said >= 0) {
        return {
          code: Number(found[1]),
          stdout: this.#stdout.slice(0, found.index),
          stderr: this.#stderr.slice(0, said),
        };
      }
      if (this.#over) throw this.#lost(await this.#ended);
      const left = end - performance.now();
      if (left <= 0) {
        this.#kill();
        throw new ForgeError(
          'timeout',
          `${this.target.name} did not answer within ${Math.round(timeoutMs / 1000)} s.`,
          {
            host: this.target.name,
            next: 'Check whether the host hangs, or is slow.',
          },
        );
      }
      await this.#wait(left);
    }
  }

  async #wait(mostMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#heard = resolve;
      timer = setTimeout(resolve, mostMs);
    });
    clearTimeout(timer);
    this.#heard = () => undefined;
  }

  #lost(code: number): ForgeError {
    if (this.target.ssh !== undefined && code === SSH_FAILED) {
      return sshFailure(this.target, this.target.ssh, this.#stderr);
    }
    return this.#failure(this.#stderr.trim().slice(-SHOWN_MAX) || `exit code ${code}`);
  }

  #failure(why: string): ForgeError {
    const { name } = this.target;
    const kind = /sudo/.test(why) ? 'denied' : 'unreachable';
    return new ForgeError(kind, `The shell on ${name} is gone: ${why}.`.replace(/\.\.$/, '.'), {
      host: name,
      next: kind === 'denied' ? 'Let this user call sudo without a password, or log in as root.' : 'Run it again.',
    });
  }

  #kill(): void {
    this.#heard();
    if (this.#over || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Carries out docker commands on one engine: bounded in time and output, and with errors that say what to do. */
import type * as z from 'zod/mini';
import { ForgeError } from '../errors.js';
import { type DockerCommand, OUTPUT_MAX_BYTES } from './command.js';
import { engineVersion } from './commands/engine.js';
import { type DockerEndpoint, endpointArguments, isSsh, sshTarget } from './endpoint.js';
import { explainFailure } from './failure.js';
import { versionAnswer } from './inspect.js';
import { runProgram, type SpawnResult } from './spawn.js';
import { LOGIN_TIMEOUT_MS, openSsh, type SshConnection, sshEnvironment } from './ssh.js';

/** `create --pull` and the hardening that is used came with this version. */
export const OLDEST_VERSION = '20.10';
/** The first question: a host that takes longer is held not to answer. `ssh` alone would wait half a minute. */
const PROBE_TIMEOUT_MS = 15_000;

export interface EngineOptions {
  /** The program; `docker` on the PATH when not given. */
  program?: string;
  environment?: NodeJS.ProcessEnv;
  /** Ends what runs when it is aborted. */
  signal?: AbortSignal;
  /** How long the first question may take, milliseconds. */
  probeTimeoutMs?: number;
}

export interface EngineVersion {
  client: string;
  server: string;
  /** As Go calls it: `amd64`, `arm64`. */
  architecture?: string;
}

/** What a command printed. */
export interface DockerOutput {
  stdout: Buffer;
  stderr: string;
}

export class DockerEngine {
  readonly endpoint: DockerEndpoint;
  readonly #options: EngineOptions;
  #version: Promise<EngineVersion> | undefined;
  #connection: Promise<SshConnection | undefined> | undefined;

  constructor(endpoint: DockerEndpoint, options: EngineOptions = {}) {
    this.endpoint = endpoint;
    this.#options = options;
  }

  /** Runs a command and gives what it printed on standard output. @throws ForgeError as `execute` */
  async run(command: DockerCommand): Promise<string> {
    return (await this.execute(command)).stdout.toString('utf8');
  }

  /**
   * Runs a command whose output is JSON of this shape.
   * @throws ForgeError as `execute`, and `unexpected` for an answer of another shape
   */
  async json<T extends z.ZodMiniType>(command: DockerCommand, schema: T): Promise<z.infer<T>> {
    return this.#parse(await this.run(command), command, schema);
  }

  /**
   * Runs a command.
   * @throws ForgeError by cause: `missing` (no docker, no image, no container), `denied` (no permission, no key),
   * `unreachable` (no daemon, no host), `refused` (a name or a port is taken, the disk is full), `timeout`; else
   * `unexpected`. The reason of the signal when it was aborted
   */
  async execute(command: DockerCommand): Promise<DockerOutput> {
    const result = await this.#spawn(command);
    if (result.exitCode !== 0) throw explainFailure({ args: command.args, ...result }, this.endpoint);
    return result;
  }

  /**
   * Runs a command that may go on for ever, such as `logs --follow`, and hands on its lines until it ends or the
   * signal is aborted, which is no error.
   */
  async follow(
    command: DockerCommand,
    onLine: (line: string, stream: 'stdout' | 'stderr') => void,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const errors: string[] = [];
    const result = await this.#program(command, {
      signal,
      onLine: (line, stream) => {
        if (stream === 'stderr') errors.splice(0, Math.max(0, errors.length - 9), line);
        onLine(line, stream);
      },
    });
    if (result.end === 'timeout') throw this.#late(command);
    if (result.end === 'exited' && result.exitCode !== 0) {
      throw explainFailure({ args: command.args, exitCode: result.exitCode, stderr: errors.join('\n') }, this.endpoint);
    }
  }

  /**
   * The versions of both sides; asked once.
   * @throws ForgeError as `execute`, and `missing` when one of them is older than 20.10
   */
  async version(): Promise<EngineVersion> {
    this.#version ??= this.#askVersion();
    // A host that did not answer may do so the next time.
    this.#version.catch(() => {
      this.#version = undefined;
    });
    return await this.#version;
  }

  /** Ends the connection to a host over SSH; it would end with this process. A later command opens another. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    (await connection?.catch(() => undefined))?.close();
  }

  /** What docker sees; over SSH with the connection that all commands share. */
  async #environment(): Promise<Record<string, string>> {
    const environment = dockerEnvironment(this.#options.environment ?? process.env);
    if (this.endpoint.host !== undefined && !isSsh(this.endpoint)) return environment;
    this.#connection ??= this.#connect(environment);
    try {
      const connection = await this.#connection;
      if (connection?.isOpen() === false) this.#connection = undefined;
      return sshEnvironment(environment, connection?.isOpen() === true ? connection.socket : 'none');
    } catch (error) {
      // A host that did not answer may do so the next time.
      this.#connection = undefined;
      throw error;
    }
  }

  async #connect(environment: Record<string, string>): Promise<SshConnection | undefined> {
    const outcome = await openSsh(this.endpoint, environment);
    if (outcome?.kind === 'late') throw this.#late(engineVersion(LOGIN_TIMEOUT_MS));
    if (outcome?.kind === 'failed') {
      throw explainFailure({ args: ['version'], exitCode: 255, stderr: `stderr=${outcome.stderr}` }, this.endpoint);
    }
    return outcome?.connection;
  }

  async #askVersion(): Promise<EngineVersion> {
    const command = engineVersion(this.#options.probeTimeoutMs ?? PROBE_TIMEOUT_MS);
    const answer = this.#parse(await this.run(command), command, versionAnswer);
    const server = answer.Server;
    if (server == null) throw explainFailure({ args: command.args, exitCode: 1, stderr: NO_DAEMON }, this.endpoint);
    const sides = [
      ['The docker command of this host', answer.Client.Version],
      [`The Docker engine of ${this.endpoint.name}`, server.Version],
    ] as const;
    for (const [side, version] of sides) {
      if (!isOlder(version, OLDEST_VERSION)) continue;
      throw new ForgeError('missing', `${side} is version ${version}; ${OLDEST_VERSION} is needed.`, {
        host: this.endpoint.name,
        next: 'Install a newer Docker: https://docs.docker.com/engine/install/',
        details: { reason: 'too-old', version },
      });
    }
    const architecture = server.Arch === undefined ? {} : { architecture: server.Arch };
    return { client: answer.Client.Version, server: server.Version, ...architecture };
  }

  async #spawn(command: DockerCommand): Promise<SpawnResult> {
    const result = await this.#program(command, { signal: this.#options.signal });
    if (result.end === 'aborted') this.#options.signal?.throwIfAborted();
    if (result.end === 'timeout') throw this.#late(command);
    if (result.end === 'too-much') {
      throw new ForgeError('unexpected', `docker ${command.args[0]} printed more than can be true.`, {
        host: this.endpoint.name,
        next: `Its bound is ${(command.outputMaxBytes ?? OUTPUT_MAX_BYTES) / 1024 / 1024} MiB.`,
      });
    }
    return result;
  }

  async #program(
    command: DockerCommand,
    more: { signal?: AbortSignal; onLine?: (line: string, stream: 'stdout' | 'stderr') => void },
  ): Promise<SpawnResult> {
    const program = this.#options.program ?? 'docker';
    try {
      return await runProgram(program, [...endpointArguments(this.endpoint), ...command.args], {
        env: await this.#environment(),
        timeoutMs: command.timeoutMs,
        outputMaxBytes: command.outputMaxBytes ?? OUTPUT_MAX_BYTES,
        ...(command.input === undefined ? {} : { input: command.input.bytes }),
        ...more,
      });
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'EACCES') throw cause;
      throw new ForgeError('missing', `There is no ${program} command on this host.`, {
        next: 'Install Docker: https://docs.docker.com/engine/install/ (Debian, Ubuntu: apt install docker.io). For hosts over SSH its command line is enough.',
        details: { reason: 'no-program' },
        cause,
      });
    }
  }

  #late(command: DockerCommand): ForgeError {
    const ssh = sshTarget(this.endpoint);
    const seconds = command.timeoutMs / 1000;
    if (command.args[0] === 'version') {
      return new ForgeError('unreachable', `${this.endpoint.name} does not answer within ${seconds} s.`, {
        host: this.endpoint.name,
        next:
          isSsh(this.endpoint) && ssh !== undefined
            ? `Look at the address and the network. Try: ssh ${[...ssh.options, ssh.target].join(' ')} true`
            : 'Look whether the Docker engine hangs: systemctl status docker',
        details: { reason: 'no-answer' },
      });
    }
    return new ForgeError('timeout', `docker ${command.args[0]} on ${this.endpoint.name} took over ${seconds} s.`, {
      host: this.endpoint.name,
      next: 'Look at the load and the disk of that host, and run the same command again.',
    });
  }

  #parse<T extends z.ZodMiniType>(text: string, command: DockerCommand, schema: T): z.infer<T> {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
    throw new ForgeError(
      'unexpected',
      `docker ${command.args.slice(0, 2).join(' ')} answered what is not understood.`,
      {
        host: this.endpoint.name,
        next: `Not as expected: ${where === '' ? 'the whole answer' : where}. Please report it with your version of Docker.`,
        cause: parsed.error,
      },
    );
  }
}

const NO_DAEMON = 'Cannot connect to the Docker daemon.';

/**
 * What `docker` and the `ssh` that it starts may see of the caller's environment: what they need, and none of the
 * passwords that can be in it. A question for a password fails at once: there is no terminal to ask on (docker gives
 * ssh a session of its own), and no window may be opened.
 */
export function dockerEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'SSH_AUTH_SOCK', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME'];
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  const kept = Object.entries(environment).filter(
    ([name]) => names.includes(name) || proxies.includes(name) || /^(DOCKER|BUILDKIT|BUILDX)_/.test(name),
  );
  return {
    ...Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))),
    SSH_ASKPASS_REQUIRE: 'never',
    DOCKER_CLI_HINTS: 'false',
    // Nearly all of them end before they have anything to clear away: without it, each collects garbage some times.
    GOGC: '400',
    LC_ALL: 'C',
  };
}

/** Whether `20.10.24+dfsg1` is before `20.10`; a version without numbers (a build of one's own) is not. */
export function isOlder(version: string, oldest: string): boolean {
  const numbers = (text: string) =>
    /^v?(\d+)(?:\.(\d+))?/
      .exec(text)
      ?.slice(1)
      .map((part) => Number(part ?? 0));
  const have = numbers(version);
  const need = numbers(oldest);
  if (have === undefined || need === undefined) return false;
  const [major = 0, minor = 0] = have;
  const [majorNeeded = 0, minorNeeded = 0] = need;
  return major < majorNeeded || (major === majorNeeded && minor < minorNeeded);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
